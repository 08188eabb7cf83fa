// SPDX-License-Identifier: Apache-2.0
// `hubble -P` against a server of flows that is reached through kubectl alone. A program takes kubectl's place that says what it says and
// forwards as it does.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { observerHandlers } from '../../src/agent/observer.ts';
import { systemClock } from '../../src/base/clock.ts';
import { agentEvents } from '../../src/flows/agent-events.ts';
import { flowRing } from '../../src/flows/flow-ring.ts';
import { syn } from '../../src/flows/testdata/flows.ts';
import { healthHandlers } from '../../src/grpc/health.ts';
import { grpcServer } from '../../src/grpc/server.ts';

const hubble = fileURLToPath(new URL('../../bin/hubble', import.meta.url));
const stop = new AbortController();
const end = new AsyncDisposableStack();
const directory = mkdtempSync(join(tmpdir(), 'hubble-'));

/** kubectl as far as it is asked: its arguments and its number are in files. */
const KUBECTL = `
import { appendFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
const words = process.argv.slice(2);
appendFileSync(process.env.KUBECTL_SAID, words.join(' ') + '\\n');
if (process.env.KUBECTL_FAILS) {
  console.error(process.env.KUBECTL_FAILS);
  process.exit(1);
}
if (words.includes('get')) process.stdout.write('80');
else {
  appendFileSync(process.env.KUBECTL_SAID, 'pid ' + process.pid + '\\n');
  const [local] = words.at(-1).split(':');
  const server = createServer((one) => {
    console.log('Handling connection for ' + server.address().port);
    const other = connect(Number(process.env.RELAY_PORT), '127.0.0.1');
    one.pipe(other).pipe(one);
    one.on('error', () => other.destroy());
    other.on('error', () => one.destroy());
  });
  server.listen(Number(local), '127.0.0.1', () => console.log('Forwarding from 127.0.0.1:' + server.address().port + ' -> 4245'));
}
`;

let relayPort = 0;
before(async () => {
  const ring = flowRing(255);
  ring.append([{ ...syn, uuid: 'one' }]);
  const facts = { ring, events: agentEvents(1), nodeName: 'default/a', version: 'v1', clock: systemClock };
  const server = end.use(grpcServer({ handlers: [...observerHandlers(facts, stop.signal), ...healthHandlers(() => true)] }));
  await server.listen({ host: '127.0.0.1', port: 0 });
  relayPort = server.port;
  writeFileSync(join(directory, 'kubectl.mjs'), KUBECTL);
  writeFileSync(join(directory, 'kubectl'), `#!/bin/sh\nexec '${process.execPath}' '${join(directory, 'kubectl.mjs')}' "$@"\n`);
  chmodSync(join(directory, 'kubectl'), 0o755);
});
after(async () => {
  stop.abort();
  await end.disposeAsync();
  rmSync(directory, { recursive: true });
});

/** What hubble and kubectl say; `path`: where programs are looked for before the usual places. */
async function run(line: string, env: Readonly<Record<string, string>> = {}, path = `${directory}:`) {
  const said = join(directory, `said-${process.hrtime.bigint()}`);
  writeFileSync(said, '');
  const child = spawn(hubble, line.split(' '), {
    env: { PATH: `${path}${process.env['PATH']}`, HOME: '/nowhere', KUBECTL_SAID: said, RELAY_PORT: `${relayPort}`, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => (out += chunk));
  child.stderr.on('data', (chunk) => (err += chunk));
  await once(child, 'close');
  const calls = readFileSync(said, 'utf8').trim().split('\n');
  return { code: child.exitCode, out, err, calls };
}

test('hubble -P observe shows flows, through the Service of the relay in the cluster that was named, and leaves no kubectl behind', async () => {
  const { code, out, err, calls } = await run('-P --port-forward-port 0 --kubeconfig /k/c --kube-context prod observe --last 1');
  assert.equal(code, 0, err);
  assert.match(out, / to-endpoint FORWARDED \(TCP Flags: SYN\)\n$/);
  const common = '--kubeconfig=/k/c --context=prod --namespace=kube-system';
  assert.deepEqual(calls.slice(0, 2), [
    `${common} get service hubble-relay --output=jsonpath={.spec.ports[0].port}`,
    `${common} port-forward service/hubble-relay 0:80`,
  ]);
  const pid = Number(/^pid (\d+)$/.exec(calls[2] ?? '')?.[1]);
  assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
});

test('hubble status --port-forward asks in another namespace', async () => {
  const { code, out, calls } = await run('status --port-forward --port-forward-port=0 --kube-namespace=cilium');
  assert.equal(code, 0);
  assert.match(out, /^Healthcheck \(via 127\.0\.0\.1:\d+\): Ok\n/);
  assert.match(calls[0] ?? '', /^--namespace=cilium get service hubble-relay /);
});

test('hubble -P says what kubectl says when it cannot', async () => {
  const { code, err } = await run('-P observe', { KUBECTL_FAILS: 'Error from server (NotFound): services "hubble-relay" not found' });
  assert.equal(code, 1);
  assert.match(err, /Cannot reach service hubble-relay in kube-system through kubectl: .*services "hubble-relay" not found/s);
});
