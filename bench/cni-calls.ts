// SPDX-License-Identifier: Apache-2.0
// Runs on a node, as a container runtime does, and times calls of a CNI plugin: reads {calls, atOnce} from standard input,
// prints the milliseconds of each call as a JSON list. A call that fails ends everything with its output.
import { spawn } from 'node:child_process';
import { json } from 'node:stream/consumers';

export type PluginCall = {
  readonly program: string;
  readonly env: Readonly<Record<string, string>>;
  readonly input: string;
};

export type PluginCalls = { readonly calls: readonly PluginCall[]; readonly atOnce: number };

if (import.meta.main) {
  const { calls, atOnce } = (await json(process.stdin)) as PluginCalls; // as: our parent wrote it
  const left = calls.values();
  const times: number[] = [];
  const work = async () => {
    for (const one of left) times.push(await timed(one));
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  console.log(JSON.stringify(times));
}

function timed({ program, env, input }: PluginCall): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  let said = '';
  const started = performance.now();
  const child = spawn(program, { env: { ...env }, stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  child.on('error', reject);
  child.on('exit', (code) => (code === 0 ? resolve(performance.now() - started) : setImmediate(() => reject(new Error(`${env['CNI_COMMAND']} failed with code ${code}: ${said}`)))));
  child.stdin.end(input);
  return promise;
}
