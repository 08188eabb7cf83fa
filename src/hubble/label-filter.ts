// SPDX-License-Identifier: Apache-2.0
// Selectors of labels as clients write them ('k8s:app=x, tier in (a,b), !canary'), against labels as flows have them
// ('k8s:app=x'). A key with a source means labels of that source, one without means those of any.

export type Labels = readonly string[];

type Requirement = { readonly source: string | undefined; readonly key: string; readonly holds: (value: string | undefined) => boolean };

/** All of its requirements hold. Throws SyntaxError, which says what is wrong. */
export function labelSelector(text: string): (labels: Labels) => boolean {
  const requirements = split(text).map((one) => requirementOf(one));
  return (labels) => requirements.every(({ source, key, holds }) => holds(valueOf(labels, source, key)));
}

/** At the commas that are not in parentheses. */
function split(text: string): readonly string[] {
  if (text.trim() === '') return [];
  const parts: string[] = [];
  let [depth, from] = [0, 0];
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '(') depth++;
    else if (text[at] === ')') depth--;
    else if (text[at] === ',' && depth === 0) {
      parts.push(text.slice(from, at));
      from = at + 1;
    }
  }
  return [...parts, text.slice(from)];
}

const KEY = String.raw`(?:([\w.-]+):)?([A-Za-z0-9](?:[\w./-]*[A-Za-z0-9])?)`;
const VALUE = String.raw`[\w.:/-]*`;
const forms: readonly (readonly [RegExp, (value: string) => Requirement['holds']])[] = [
  [new RegExp(`^${KEY}()$`), () => (found) => found !== undefined],
  [new RegExp(`^!\\s*${KEY}()$`), () => (found) => found === undefined],
  [new RegExp(`^${KEY}\\s*==?\\s*(${VALUE})$`), (value) => (found) => found === value],
  [new RegExp(`^${KEY}\\s*!=\\s*(${VALUE})$`), (value) => (found) => found !== value],
  [new RegExp(`^${KEY}\\s+in\\s*\\((\\s*${VALUE}\\s*(?:,\\s*${VALUE}\\s*)*)\\)$`), (list) => among(list)],
  [new RegExp(`^${KEY}\\s+notin\\s*\\((\\s*${VALUE}\\s*(?:,\\s*${VALUE}\\s*)*)\\)$`), (list) => not(among(list))],
  [new RegExp(`^${KEY}\\s*>\\s*(-?\\d+)$`), (value) => (found) => isWhole(found) && Number(found) > Number(value)],
  [new RegExp(`^${KEY}\\s*<\\s*(-?\\d+)$`), (value) => (found) => isWhole(found) && Number(found) < Number(value)],
];

const isWhole = (text: string | undefined): boolean => text !== undefined && /^-?\d+$/.test(text);
const not =
  (holds: Requirement['holds']): Requirement['holds'] =>
  (found) =>
    !holds(found);

function among(list: string): Requirement['holds'] {
  const values = new Set(list.split(',').map((value) => value.trim()));
  return (found) => found !== undefined && values.has(found);
}

function requirementOf(text: string): Requirement {
  for (const [form, holdsFor] of forms) {
    const [, source, key, value] = form.exec(text.trim()) ?? [];
    if (key !== undefined) return { source: source === 'any' ? undefined : source, key, holds: holdsFor(value ?? '') };
  }
  throw new SyntaxError(
    `'${text.trim()}' is no requirement of labels, wanted key=value, key!=value, key in (a,b), key notin (a,b), key or !key`,
  );
}

/** Of the first label that has this key. */
function valueOf(labels: Labels, source: string | undefined, key: string): string | undefined {
  for (const label of labels) {
    const colon = label.indexOf(':');
    const equals = label.indexOf('=');
    const start = colon >= 0 && (equals < 0 || colon < equals) ? colon + 1 : 0;
    const end = equals < 0 ? label.length : equals;
    if (end - start !== key.length || !label.startsWith(key, start)) continue;
    if (source === undefined || label.slice(0, Math.max(0, start - 1)) === source) return equals < 0 ? '' : label.slice(equals + 1);
  }
  return undefined;
}
