// SPDX-License-Identifier: Apache-2.0
// `completion bash|zsh`: a script that completes commands, their words and their options. What it offers is read from the helps, so that
// what completes is what is described.

import { commandsOf } from './commands.ts';
import type { Io } from './command.ts';
import { argumentsOf, UsageError } from './command.ts';

export const help = `Usage: NAME completion bash|zsh

Prints a script that makes the shell complete commands, their words and their options.

Examples:
  source <(NAME completion bash)
  NAME completion bash > /etc/bash_completion.d/NAME
  NAME completion zsh > "\${fpath[1]}/_NAME"
`;

export async function run(args: readonly string[], io: Io): Promise<number> {
  const [shell, ...more] = argumentsOf(args, {}, 1).positionals;
  if ((shell !== 'bash' && shell !== 'zsh') || more.length > 0)
    throw new UsageError(`Cannot complete for '${shell ?? ''}', wanted bash or zsh`);
  const words = new Map<string, readonly string[]>();
  for (const command of await commandsOf(io.name)) {
    const { help: described, options = [] } = await command.load();
    words.set(command.name, [...wordsIn(command.name, described), ...options]);
  }
  io.out((shell === 'bash' ? bashScript : zshScript)(io.name, words));
  return 0;
}

/** Words that the first line offers in the place after the command, and every option that the help names. */
export function wordsIn(command: string, help: string): string[] {
  const usage = help.split('\n')[0] ?? '';
  const lines = help.split('\n').map((line) => line.trim());
  const marker = `NAME ${command} `;
  const verbs = [usage.slice('Usage: '.length), ...lines]
    .filter((line) => line.startsWith(marker))
    .flatMap((line) => (line.slice(marker.length).split(' ')[0] ?? '').split('|'))
    .filter((word) => /^[a-z]+$/.test(word));
  const options = [...help.matchAll(/(?<![\w-])--[a-z][a-z-]+/g)].map(([option]) => option);
  return [...new Set([...verbs, ...options])].sort();
}

type Words = ReadonlyMap<string, readonly string[]>;

const shellName = (name: string) => name.replaceAll(/[^a-z0-9]/gi, '_');

/** A branch for each command that sets `variable`; both shells read it. */
function cases(words: Words, variable: string): string {
  return Array.from(words, ([command, offered]) => `    ${command}) ${variable}="${[...offered, '--help'].join(' ')}" ;;`).join('\n');
}

export function bashScript(name: string, words: Words): string {
  return `# completes ${name}; source it
_${shellName(name)}() {
  local current=\${COMP_WORDS[COMP_CWORD]} offered=
  case \${COMP_WORDS[1]} in
${cases(words, 'offered')}
  esac
  [ "$COMP_CWORD" -eq 1 ] && offered="${[...words.keys(), 'help'].join(' ')}"
  mapfile -t COMPREPLY < <(compgen -W "$offered" -- "$current")
}
complete -F _${shellName(name)} ${name}
`;
}

export function zshScript(name: string, words: Words): string {
  return `#compdef ${name}
_${shellName(name)}() {
  local offered=
  case \${words[2]} in
${cases(words, 'offered')}
  esac
  (( CURRENT == 2 )) && offered="${[...words.keys(), 'help'].join(' ')}"
  compadd -- \${(s: :)offered}
}
compdef _${shellName(name)} ${name}
`;
}
