// SPDX-License-Identifier: Apache-2.0
// The syntax of RE2, as far as it is about whether something matches: literals, classes, groups, alternatives, repetitions,
// anchors, the flags i, m, s and U. Groups are not captured. What RE2 refuses (look-around, back references) is refused.

export type Range = readonly [first: number, last: number];

export type Syntax =
  | { readonly kind: 'empty' }
  | { readonly kind: 'char'; readonly ranges: readonly Range[]; readonly negated: boolean }
  | { readonly kind: 'assert'; readonly at: 'start' | 'end' | 'lineStart' | 'lineEnd' | 'word' | 'noWord' }
  | { readonly kind: 'sequence'; readonly parts: readonly Syntax[] }
  | { readonly kind: 'choice'; readonly parts: readonly Syntax[] }
  | { readonly kind: 'repeat'; readonly of: Syntax; readonly least: number; readonly most: number | undefined };

type Flags = { readonly ignoreCase: boolean; readonly multiline: boolean; readonly dotAll: boolean };

const MOST_REPETITIONS = 1000;
const DEEPEST = 100;

const digits: readonly Range[] = [[48, 57]];
const letters: readonly Range[] = [
  [65, 90],
  [97, 122],
];
const word: readonly Range[] = [...digits, ...letters, [95, 95]];
const space: readonly Range[] = [
  [9, 10],
  [12, 13],
  [32, 32],
];
const classes: Readonly<Record<string, readonly Range[]>> = { d: digits, w: word, s: space };
const named: Readonly<Record<string, readonly Range[]>> = {
  alnum: [...digits, ...letters],
  alpha: letters,
  ascii: [[0, 127]],
  blank: [
    [9, 9],
    [32, 32],
  ],
  cntrl: [
    [0, 31],
    [127, 127],
  ],
  digit: digits,
  graph: [[33, 126]],
  lower: [[97, 122]],
  print: [[32, 126]],
  punct: [
    [33, 47],
    [58, 64],
    [91, 96],
    [123, 126],
  ],
  space: [
    [9, 13],
    [32, 32],
  ],
  upper: [[65, 90]],
  word,
  xdigit: [...digits, [65, 70], [97, 102]],
};
const escapes: Readonly<Record<string, number>> = { a: 7, f: 12, t: 9, n: 10, r: 13, v: 11 };

/** Ranges of everything that is not in `ranges`. */
function outside(ranges: readonly Range[]): readonly Range[] {
  const out: Range[] = [];
  let from = 0;
  for (const [first, last] of ranges.toSorted((a, b) => a[0] - b[0])) {
    if (first > from) out.push([from, first - 1]);
    from = Math.max(from, last + 1);
  }
  return [...out, [from, 0x10ffff]];
}

/** The same letters in the other case; of ASCII and of single letters beyond it. */
function inBothCases(ranges: readonly Range[]): readonly Range[] {
  const more = ranges.flatMap(([first, last]): readonly Range[] => {
    if (first === last) {
      const char = String.fromCodePoint(first);
      return [char.toLowerCase(), char.toUpperCase()]
        .filter((one) => Array.from(one).length === 1)
        .map((one) => [one.codePointAt(0) ?? 0, one.codePointAt(0) ?? 0]);
    }
    const [lower, upper] = [overlap(first, last, [97, 122]), overlap(first, last, [65, 90])];
    return [...(lower ? [[lower[0] - 32, lower[1] - 32] as const] : []), ...(upper ? [[upper[0] + 32, upper[1] + 32] as const] : [])];
  });
  return [...ranges, ...more];
}

function overlap(first: number, last: number, [from, to]: Range): Range | undefined {
  return last < from || first > to ? undefined : [Math.max(first, from), Math.min(last, to)];
}

export function parsePattern(source: string): Syntax {
  const parser = new Parser(source);
  const parsed = parser.choice({ ignoreCase: false, multiline: false, dotAll: false }, 0);
  if (!parser.atEnd) throw new SyntaxError("there is a ')' without '('");
  return parsed;
}

class Parser {
  readonly #chars: readonly string[];
  #at = 0;
  constructor(source: string) {
    this.#chars = Array.from(source); // code points
  }
  get atEnd(): boolean {
    return this.#at >= this.#chars.length;
  }
  #peek(text: string): boolean {
    return Array.from(text).every((char, index) => this.#chars[this.#at + index] === char);
  }
  #take(text: string): boolean {
    if (!this.#peek(text)) return false;
    this.#at += text.length;
    return true;
  }
  #next(): string {
    const char = this.#chars[this.#at++];
    if (char === undefined) throw new SyntaxError('the pattern ends too early');
    return char;
  }
  #match(expression: RegExp): RegExpExecArray | undefined {
    const found = expression.exec(this.#chars.slice(this.#at, this.#at + 64).join(''));
    if (!found) return undefined;
    this.#at += Array.from(found[0]).length;
    return found;
  }

  choice(given: Flags, depth: number): Syntax {
    if (depth > DEEPEST) throw new SyntaxError('groups are nested too deeply');
    let flags = given;
    const alternatives: Syntax[][] = [[]];
    while (!this.atEnd && !this.#peek(')')) {
      if (this.#take('|')) {
        alternatives.push([]);
        continue;
      }
      const set = this.#match(/^\(\?([imsU]*)(?:-([imsU]+))?\)/);
      if (set) {
        flags = changed(flags, set);
        continue;
      }
      alternatives.at(-1)?.push(this.#repeated(this.#atom(flags, depth)));
    }
    const parts = alternatives.map((of): Syntax => (of.length === 0 ? { kind: 'empty' } : { kind: 'sequence', parts: of }));
    return parts.length > 1 ? { kind: 'choice', parts } : (parts[0] ?? { kind: 'empty' });
  }

  #repeated(atom: Syntax): Syntax {
    const found = this.#match(/^(?:([*+?])|\{(\d{1,4})(,?)(\d{1,4})?\})\??/);
    if (!found) return atom;
    if (this.#match(/^(?:[*+?]|\{\d{1,4},?(?:\d{1,4})?\})/)) throw new SyntaxError('a repetition is repeated');
    const [, sign, low, comma, high] = found;
    if (sign !== undefined) return { kind: 'repeat', of: atom, least: sign === '+' ? 1 : 0, most: sign === '?' ? 1 : undefined };
    const least = Number(low);
    const most = comma === '' ? least : high === undefined ? undefined : Number(high);
    if (least > MOST_REPETITIONS || (most ?? 0) > MOST_REPETITIONS || (most !== undefined && most < least))
      throw new SyntaxError(`'${found[0]}' cannot be`);
    return { kind: 'repeat', of: atom, least, most };
  }

  #atom(flags: Flags, depth: number): Syntax {
    const char = this.#next();
    const chars = (ranges: readonly Range[]): Syntax => ({
      kind: 'char',
      ranges: flags.ignoreCase ? inBothCases(ranges) : ranges,
      negated: false,
    });
    if (char === '(') return this.#group(flags, depth);
    if (char === '[') return this.#set(flags);
    if (char === '.') return { kind: 'char', ranges: flags.dotAll ? [] : [[10, 10]], negated: true };
    if (char === '^') return { kind: 'assert', at: flags.multiline ? 'lineStart' : 'start' };
    if (char === '$') return { kind: 'assert', at: flags.multiline ? 'lineEnd' : 'end' };
    if (char === '*' || char === '+' || char === '?') throw new SyntaxError(`there is nothing before '${char}'`);
    if (char !== '\\') return chars([only(char)]);
    for (const [letter, at] of [
      ['b', 'word'],
      ['B', 'noWord'],
      ['A', 'start'],
      ['z', 'end'],
    ] as const)
      if (this.#take(letter)) return { kind: 'assert', at };
    if (this.#take('Q')) return this.#quoted(chars);
    return chars(this.#escape());
  }

  #quoted(chars: (ranges: readonly Range[]) => Syntax): Syntax {
    const parts: Syntax[] = [];
    while (!this.atEnd && !this.#take('\\E')) parts.push(chars([only(this.#next())]));
    return { kind: 'sequence', parts };
  }

  #group(flags: Flags, depth: number): Syntax {
    const head = this.#match(/^\?(?:P?<\w+>|([imsU]*)(?:-([imsU]+))?:)/);
    if (!head && this.#peek('?')) throw new SyntaxError("'(?' begins nothing that is known");
    const inner = this.choice(head ? changed(flags, head) : flags, depth + 1);
    if (!this.#take(')')) throw new SyntaxError("there is a '(' without ')'");
    return inner;
  }

  /** After a backslash. */
  #escape(): readonly Range[] {
    const hex = this.#match(/^x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,6})\})/);
    if (hex) {
      const code = Number.parseInt(hex[1] ?? hex[2] ?? '', 16);
      return [[code, code]];
    }
    const letter = this.#next();
    const ranges = classes[letter.toLowerCase()];
    if (ranges) return letter === letter.toLowerCase() ? ranges : outside(ranges);
    const code = escapes[letter];
    if (code !== undefined) return [[code, code]];
    if (/[\p{L}\p{N}]/u.test(letter)) throw new SyntaxError(`'\\${letter}' is not known`);
    return [only(letter)];
  }

  #set(flags: Flags): Syntax {
    const negated = this.#take('^');
    const ranges: Range[] = [];
    for (let first = true; first || !this.#peek(']'); first = false) {
      const name = this.#match(/^\[:(\^?)(\w+):\]/);
      if (name) {
        const known = named[name[2] ?? ''];
        if (!known) throw new SyntaxError(`there is no class '${name[0]}'`);
        ranges.push(...(name[1] === '^' ? outside(known) : known));
      } else ranges.push(...this.#range());
    }
    this.#next();
    return { kind: 'char', ranges: flags.ignoreCase ? inBothCases(ranges) : ranges, negated };
  }

  #range(): readonly Range[] {
    const one = () => {
      const char = this.#next();
      return char === '\\' ? this.#escape() : [only(char)];
    };
    const from = one();
    if (!this.#peek('-') || this.#chars[this.#at + 1] === ']' || this.#chars[this.#at + 1] === undefined) return from;
    this.#next();
    const [[first = 0] = [], [, last = 0] = []] = [from[0], one()[0]];
    if (from.length > 1 || last < first) throw new SyntaxError('a range ends before it begins');
    return [[first, last]];
  }
}

const only = (char: string): Range => [char.codePointAt(0) ?? 0, char.codePointAt(0) ?? 0];

function changed(flags: Flags, [, on = '', off = '']: RegExpExecArray): Flags {
  const is = (letter: string, before: boolean) => (on.includes(letter) ? true : off.includes(letter) ? false : before);
  return { ignoreCase: is('i', flags.ignoreCase), multiline: is('m', flags.multiline), dotAll: is('s', flags.dotAll) };
}
