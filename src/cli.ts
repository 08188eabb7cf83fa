// SPDX-License-Identifier: Apache-2.0
// One binary. `stentor` and `cilium` are the same under the names that users type, and `hubble` has commands of its own; bin/ has them.
//
//   bin/NAME ──STENTOR_NAME──▶ cli.ts ──▶ cli/<command>.ts ──▶ the agent's socket
//                                    └──▶ cli/hubble/<command>.ts ──▶ a server of flows

import { API_SOCKET } from './agent/api-types.ts';
import type { Io } from './cli/command.ts';
import { commandsOf } from './cli/commands.ts';
import type { Command } from './cli/commands.ts';

function overview(name: string, commands: readonly Command[]): string {
  const examples = commands.some((command) => command.name === 'service')
    ? ['status --brief', 'service list']
    : ['observe --follow', 'top --by reason'];

  return `Usage: ${name} COMMAND [OPTIONS]

${commands.map((command) => `  ${command.name.padEnd(10)} ${command.does}`).join('\n')}

Examples:
${[...examples, 'COMMAND --help'].map((example) => `  ${name} ${example}`).join('\n')}
`;
}

/** Runs one command line. Returns the exit code. */
export async function runCommand(typed: readonly string[], io: Io): Promise<number> {
  const [first, ...rest] = await inOrder(typed, io.name);
  const commands = await commandsOf(io.name);
  if (first === undefined || (asksHelp(first) && rest.length === 0)) {
    (first === undefined ? io.err : io.out)(overview(io.name, commands));
    return first === undefined ? 2 : 0;
  }
  const name = asksHelp(first) ? rest[0] : first === '--version' ? 'version' : first;
  const command = commands.find((candidate) => candidate.name === name);
  if (!command) return unknownCommand(name ?? '', commands, io);
  const { run, help } = await command.load();
  if (asksHelp(first) || rest.some((word) => word === '--help' || word === '-h')) {
    io.out(help.replaceAll('NAME', io.name));
    return 0;
  }
  try {
    return await run(rest, io);
  } catch (error) {
    return await explained(error, help, io);
  }
}

const asksHelp = (word: string | undefined): boolean => word === 'help' || word === '--help' || word === '-h';

/** The command, and what it is told. */
async function inOrder(typed: readonly string[], name: string): Promise<readonly string[]> {
  const [first] = typed;
  if (name !== 'hubble' || first?.startsWith('-') !== true || asksHelp(first) || first === '--version') return typed;
  return (await import('./cli/hubble/leading-flags.ts')).commandFirst(typed);
}

async function unknownCommand(typed: string, commands: readonly Command[], io: Io): Promise<number> {
  const { nearest } = await import('./agent/nearest.ts');
  const meant =
    nearest(
      typed,
      commands.map((command) => command.name),
    ) ?? commands.find(({ name }) => `${name}s` === typed || name === `${typed}s`)?.name;
  io.err(
    `Cannot run '${typed}': there is no such command${meant === undefined ? '' : `, did you mean ${meant}`}\nSay '${io.name} help' to see them\n`,
  );
  return 2;
}

/** An error that we know, in words; one that we do not know crashes. */
async function explained(error: unknown, help: string, io: Io): Promise<number> {
  const { UsageError } = await import('./cli/command.ts');
  if (error instanceof UsageError) {
    io.err(`${error.message}\n${help.split('\n')[0]?.replaceAll('NAME', io.name)}\n`);
    return 2;
  }
  const { StentorError, messageOf } = await import('./base/errors.ts');
  if (!(error instanceof StentorError)) throw error;
  io.err(`${messageOf(error)}\n`);
  return 1;
}

if (import.meta.main) {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1)); // the reader has enough, as `head` does
  const io: Io = {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    socket: process.env['STENTOR_SOCKET'] || API_SOCKET,
    name: process.env['STENTOR_NAME'] || 'stentor',
  };
  process.exitCode = await runCommand(process.argv.slice(2), io);
}
