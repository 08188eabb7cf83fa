// SPDX-License-Identifier: Apache-2.0
// Runs on a node, as a container runtime does, and times calls of a CNI plugin: reads {calls, atOnce} from standard input,
// prints the milliseconds of each call, and what each failed one said, as JSON.
import { spawn } from 'node:child_process';
import { json } from 'node:stream/consumers';

export type PluginCall = {
  readonly program: string;
  readonly env: Readonly<Record<string, string>>;
  readonly input: string;
};

export type PluginCalls = { readonly calls: readonly PluginCall[]; readonly atOnce: number };

/** `times`: milliseconds of each call, failed or not. */
export type PluginOutcome = { readonly times: readonly number[]; readonly failures: readonly string[] };

if (import.meta.main) {
  const { calls, atOnce } = (await json(process.stdin)) as PluginCalls; // as: our parent wrote it
  const left = calls.values();
  const times: number[] = [];
  const failures: string[] = [];
  const work = async () => {
    for (const one of left) {
      const { milliseconds, failure } = await called(one);
      times.push(milliseconds);
      if (failure !== undefined) failures.push(failure);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  console.log(JSON.stringify({ times, failures } satisfies PluginOutcome));
}

type Called = { readonly milliseconds: number; readonly failure: string | undefined };

function called({ program, env, input }: PluginCall): Promise<Called> {
  const { promise, resolve, reject } = Promise.withResolvers<Called>();
  let said = '';
  let milliseconds = 0;
  const started = performance.now();
  const child = spawn(program, { env: { ...env }, stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  child.stdin.on('error', () => undefined); // the plugin need not read it
  child.on('error', reject);
  child.on('exit', () => (milliseconds = performance.now() - started));
  child.on('close', (code) =>
    resolve({ milliseconds, failure: code === 0 ? undefined : `${env['CNI_COMMAND']} failed with code ${code}: ${said}` }),
  );
  child.stdin.end(input);
  return promise;
}
