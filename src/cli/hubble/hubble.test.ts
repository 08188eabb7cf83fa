// SPDX-License-Identifier: Apache-2.0
// The real command, as users call it, against a server that speaks the protocol over a real socket.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Flow } from '../../flows/flow.ts';
import { answer, drop, query, reply, request, syn } from '../../flows/testdata/flows.ts';
import type { GetFlowsRequest, GetFlowsResponse } from '../../hubble/observer.ts';
import { folder, leave, listen, listenOnPort, run, socket, start, world } from './testdata/server.ts';

const flowOf = (flow: Flow): GetFlowsResponse => ({ flow, nodeName: flow.nodeName, time: flow.time });
const at = (flow: Flow, seconds: number): GetFlowsResponse => flowOf({ ...flow, time: BigInt(seconds) * 1_000_000_000n });

before(listen);
after(leave);

test('observe asks for the newest 20, and prints a line for each flow', async () => {
  world.responses = [flowOf(drop), flowOf(syn)];
  const { code, out, err } = await run('observe');
  assert.deepEqual([code, err], [0, '']);
  assert.equal(
    out,
    `Jan  1 00:20:34.567: 1.1.1.1:31793 (health) <> 2.2.2.2:8080 (ID:12345) Policy denied DROPPED (TCP Flags: SYN)
Dec 13 08:49:58.888: 10.20.1.124:60588 (host) -> kube-system/coredns-565d847f94-pp8zs:8181 (ID:7518) to-endpoint FORWARDED (TCP Flags: SYN)
`,
  );
  const asked = world.requests.at(-1);
  assert.deepEqual([asked?.number, asked?.follow, asked?.whitelist], [20, undefined, undefined]);
  assert.ok(asked?.fieldMask?.includes('source.pod_name') && asked.fieldMask.includes('traffic_direction'));
});

const asks: readonly (readonly [line: string, request: Partial<GetFlowsRequest>])[] = [
  ['--last 5', { number: 5 }],
  ['--first 5', { number: 5, first: true }],
  ['--all', { number: Number.MAX_SAFE_INTEGER }],
  ['--since 1970-01-01T00:00:05Z --until 1970-01-01T00:00:06Z', { number: undefined, since: 5_000_000_000n, until: 6_000_000_000n }],
  ['--namespace networking', { number: 20, whitelist: [{ sourcePod: ['networking/'] }, { destinationPod: ['networking/'] }] }],
  ['flows --protocol dns --not --verdict FORWARDED', { whitelist: [{ protocol: ['dns'] }], blacklist: [{ verdict: [1] }] }],
  ['-o json', { fieldMask: undefined }],
  ['-o json --field-mask time,verdict', { fieldMask: ['time', 'verdict'] }],
  ['--use-default-field-masks=false', { fieldMask: undefined }],
];
for (const [line, wanted] of asks)
  test(`observe ${line} asks for what it says`, async () => {
    assert.equal((await run(`observe ${line}`)).code, 0);
    const asked: Partial<GetFlowsRequest> | undefined = world.requests.at(-1);
    for (const [key, value] of Object.entries(wanted)) assert.deepEqual(asked?.[key as keyof GetFlowsRequest], value, key);
  });

test('the newest N of many nodes are N, in order', async () => {
  world.responses = [5, 1, 4, 2, 3].map((seconds) => at(syn, seconds));
  const times = (out: string) => out.split('\n').flatMap((line) => line.match(/^\S+/)?.[0] ?? []);
  const seconds = (all: readonly number[]) => all.map((one) => `1970-01-01T00:00:0${one}Z:`);
  assert.deepEqual(times((await run('observe --last 2 --time-format RFC3339')).out), seconds([4, 5]));
  assert.deepEqual(times((await run('observe --first 2 --time-format RFC3339')).out), seconds([1, 2]));
  assert.deepEqual(times((await run('observe --all --time-format RFC3339')).out), seconds([5, 1, 4, 2, 3]));
});

test('formats', async () => {
  world.responses = [flowOf(drop), { lostEvents: { source: 3, numEventsLost: 7n }, nodeName: 'k8s1', time: drop.time }, flowOf(drop)];
  const json = (await run('observe -o json')).out
    .trim()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
  assert.equal(json.length, 3);
  assert.match(
    JSON.stringify(json[0]),
    /^\{"flow":\{"time":"1970-01-01T00:20:34\.567800Z","verdict":"DROPPED".*"Summary":"TCP Flags: SYN"\},"node_name":"k8s1","time":/,
  );
  assert.match(JSON.stringify(json[1]), /^\{"lost_events":\{"source":"HUBBLE_RING_BUFFER","num_events_lost":"7"\}/);
  assert.match(
    (await run('observe -o json', { HUBBLE_COMPAT: 'legacy-json-output' })).out,
    /^\{"time":"1970-01-01T00:20:34\.567800Z".*\}\n\{"time"/,
  );
  assert.match((await run('observe -o dict --print-node-name')).out, /^ {2}TIMESTAMP: .*\n {7}NODE: k8s1\n[^]*\n-{12}\n[^]*EVENTS LOST/);
  assert.match((await run('observe -o table')).out, /^TIMESTAMP {13}SOURCE {10}DESTINATION {4}TYPE/);
  assert.match((await run('observe --color always')).out, /\[31mDROPPED/);
  assert.ok(!(await run('observe')).out.includes('\u001b'));
  assert.match((await run('observe')).out, /EVENTS LOST: HUBBLE_RING_BUFFER CPU\(0\) 7\n/);
});

test('what is missing is said on stderr, and how much of how much that is', async () => {
  const state = (stateChange: 1 | 2 | 4, nodeNames: readonly string[], message?: string): GetFlowsResponse => ({
    nodeStatus: { stateChange, nodeNames, message },
    nodeName: 'relay',
    time: 5_000_000_000n,
  });
  world.responses = [state(1, ['a', 'b']), state(2, ['c']), state(4, ['b'], 'gone \u001b[2J'), flowOf(syn)];
  const { out, err } = await run('observe');
  assert.match(out, /^Dec 13 [^\n]*\n$/);
  assert.equal(
    err,
    `Jan  1 00:00:05.000 [relay]: 1 nodes are unavailable: c
Jan  1 00:00:05.000 [relay]: Error "gone ^[[2J" on 1 nodes: b
These are the flows of 1/3 nodes
`,
  );
  assert.match((await run('observe --debug')).err, /Receiving flows from 2 nodes: a, b/);
  assert.equal((await run('observe -s')).err, '');
});

test('observe --follow prints what comes, and ends well when interrupted', async () => {
  world.responses = [flowOf(syn)];
  const child = start(['observe', '--follow']);
  const [line] = await once(child.stdout, 'data');
  assert.match(String(line), /to-endpoint FORWARDED/);
  assert.deepEqual([world.requests.at(-1)?.number, world.requests.at(-1)?.follow], [undefined, true]);
  child.kill('SIGINT');
  const [code, signal] = await once(child, 'close');
  assert.deepEqual([code, signal], [0, null]);
});

test('an older server that does not know the mask is asked without it', async () => {
  world.responses = [flowOf(syn)];
  world.old = true;
  const { code, out } = await run('observe');
  world.old = false;
  assert.equal(code, 0);
  assert.match(out, /to-endpoint/);
});

test('a file of flows is filtered here', async () => {
  world.responses = [drop, syn, reply, query, answer, request].map(flowOf);
  const file = join(folder, 'flows.json');
  const { out } = await run('observe --all -o json');
  writeFileSync(file, `${out}{"flow":{"time":"2030-01-01T00:00:00Z","verdict":"DROPPED","news":1}}\nnonsense\n`);
  const before = world.requests.length;
  const chosen = await run(`observe --input-file ${file} --protocol dns -o compact`);
  assert.deepEqual(
    chosen.out.split('\n').map((line) => /\(([A-Z]+ \w+)/.exec(line)?.[1]),
    ['DNS Query', 'DNS Answer', undefined],
  );
  assert.match(chosen.err, /^Some fields of these flows are not known here, the first of them is flow\.news\nLine 8 of .* is no flow: /);
  assert.match((await run(`observe --input-file ${file} --first 1 -s`)).out, /^Jan  1 00:20:34\.567: [^\n]*\n$/);
  assert.equal(world.requests.length, before, 'nobody was asked');
});

test('observe agent-events shows what an agent did, and what is not served is said so', async () => {
  const line = 'Jan  1 00:00:06.000 [default/node1]: AGENT_STARTED (start time: Jan  1 00:00:05.000)\n';
  assert.equal((await run('observe agent-events --print-node-name')).out, line);
  assert.match(
    (await run('observe agent-events -o json')).out,
    /^\{"agent_event":\{"type":"AGENT_STARTED","agent_start":\{"time":"1970-01-01T00:00:05Z"\}\}/,
  );
  assert.match(
    (await run('observe agent-events -o table')).out,
    /^TIMESTAMP +TYPE +DETAILS\nJan  1 00:00:06\.000 +AGENT_STARTED +start time: /,
  );
  assert.match((await run('observe agent-events -o dict')).out, /^ {2}TIMESTAMP: .*\n {7}TYPE: AGENT_STARTED\n {4}DETAILS: start time/);
  const debug = await run('observe debug-events');
  assert.deepEqual([debug.code, debug.out], [1, '']);
  assert.match(debug.err, /refuses: .*GetDebugEvents/);
});

test('status, list and watch', async () => {
  const status = await run('status');
  assert.equal(
    status.out,
    `Healthcheck (via unix://${socket}): Ok
Current/Max Flows: 8,190/8,190 (100.00%)
Flows/s: 23.46
Connected Nodes: 2/3
Unavailable Nodes: 1
  - node3
`,
  );
  assert.match((await run('status -o dict')).out, /^ {10}NUM FLOWS: 8,190\n[^]* {13}UPTIME: 1h2m3\.5s\n/);
  assert.match((await run('status -o json')).out, /^\{"num_flows":"8190"/);
  world.serving = false;
  const sick = await run('status');
  world.serving = true;
  assert.deepEqual([sick.code, sick.out, sick.err], [1, `Healthcheck (via unix://${socket}): Unavailable: NOT_SERVING\n`, 'not healthy\n']);
  assert.equal(
    (await run('list nodes -o wide')).out,
    `NAME   STATUS        AGE      FLOWS/S   CURRENT/MAX-FLOWS    VERSION   ADDRESS        TLS
foo    Connected     16m40s   0.00      500/1000 ( 50.00%)   v1        1.2.3.4:4244   Enabled
bar    Unavailable   N/A      N/A       N/A                  N/A       N/A            Disabled
`,
  );
  assert.equal((await run('list namespaces')).out, 'NAMESPACE\nshop\n');
  assert.equal((await run('list namespaces -o wide')).out, 'NAMESPACE   CLUSTER\nshop        default\n');
  assert.equal(
    (await run('watch peers')).out,
    'PEER_ADDED   1.2.3.4:4244 foo.bar (TLS.ServerName: foo.default.hubble-grpc.cilium.io)\nPEER_DELETED 1.2.3.5:4244 baz\n',
  );
});

test('in the container of an agent the relay is asked, and where none answers the agent, which is labelled', async () => {
  const api = join(folder, 'cilium.sock');
  const relayAt = (...ports: readonly number[]) => ({
    service: 'kube-system/hubble-relay',
    type: 'ClusterIP',
    backends: ports.map((port) => ({ address: `127.0.0.1:${port}/TCP`, state: 'active' })),
  });
  let services: readonly object[] = [];
  const rows: Readonly<Record<string, () => unknown>> = { '/services': () => services, '/nodes': () => [{}, {}, {}] };
  const agent = createServer((asked, answered) => void answered.end(JSON.stringify(rows[asked.url ?? '']?.())));
  await new Promise<void>((resolve) => agent.listen(api, resolve));
  const port = await listenOnPort();
  const env = { HUBBLE_SERVER: '', STENTOR_SOCKET: api, STENTOR_HUBBLE_SOCKET: socket };
  world.responses = [flowOf(syn)];
  const alone = await run('observe', env);
  assert.deepEqual([alone.code, alone.err], [0, 'These are the flows of 1/3 nodes\n']);
  services = [relayAt(1, port)];
  const all = await run('observe', env);
  assert.deepEqual([all.code, all.err], [0, '']);
  assert.equal((await run('status', env)).out.split('\n')[0], `Healthcheck (via 127.0.0.1:${port}): Ok`);
  assert.match((await run('watch peers', env)).out, /^PEER_ADDED/, 'an agent is asked for its peers');
  services = [relayAt(1)];
  assert.equal((await run('observe', env)).err, 'These are the flows of 1/3 nodes\n', 'the relay does not answer');
  assert.match((await run('top', env)).err, /^These are the flows of 1\/3 nodes\n/);
  await new Promise((resolve) => agent.close(resolve));
});

test('top groups flows by what they have in common, and knows who asked', async () => {
  world.responses = [drop, query, answer, syn, reply, syn].map(flowOf);
  const { out } = await run('top');
  assert.equal(world.requests.at(-1)?.number, 10_000);
  assert.match(out, /^6 flows within \d+ s\nFLOWS {3}SHARE {3}PER-SECOND {3}DROPPED {3}SOURCE/);
  assert.match(out, /\n2 +33\.3% +\S+ +0 +default\/client +kube-system\/coredns-565d847f94-pp8zs +53\n/);
  assert.match(out, /\n2 +33\.3% +\S+ +0 +10\.20\.1\.124 +kube-system\/coredns-565d847f94-pp8zs +8181\n/);
  assert.match((await run('top --by reason,verdict --limit 1')).out, /\n5 +83\.3% +\S+ +0 +- +FORWARDED\n$/);
});

test('settings come from the line, then the environment, then the file', async () => {
  const config = join(folder, 'own.yaml');
  const env = { HUBBLE_SERVER: '' };
  assert.equal((await run(`config set server unix:///nowhere.sock --config ${config}`, env)).code, 0);
  assert.equal((await run(`config set tls-server-name x --config ${config}`, env)).code, 0);
  assert.equal((await run(`config get server --config ${config}`, env)).out, 'unix:///nowhere.sock\n');
  assert.match(readFileSync(config, 'utf8'), /^server: unix:\/\/\/nowhere\.sock\ntls-server-name: x\n$/);
  assert.equal((await run(`config reset tls-server-name --config ${config}`, env)).code, 0);
  assert.match((await run(`config view --config ${config}`, env)).out, /^server: unix:\/\/\/nowhere\.sock\ntimeout: 5s\n/);
  assert.match((await run(`status --config ${config}`, env)).err, /nowhere\.sock/);
  assert.equal((await run(`status --config ${config}`)).code, 0, 'the environment goes before the file');
  assert.match((await run(`status --server unix:///elsewhere.sock`)).err, /elsewhere\.sock/);
  assert.match((await run(`config get colour --config ${config}`)).err, /Cannot find the setting 'colour'/);
});

test('hubble has its own overview and completes its flags', async () => {
  assert.match((await run('help')).out, /^Usage: hubble COMMAND[^]*hubble observe --follow/);
  const { out } = await run('completion bash');
  assert.match(out, /observe\) offered="[^"]*--from-pod[^"]*--verdict|observe\) offered="[^"]*--verdict[^"]*--from-pod/);
  assert.match((await run('version')).out, /^Stentor /);
});
