// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { logTo } from '../base/log.ts';
import { until } from '../base/until.ts';
import type { Flow } from '../flows/flow.ts';
import { grpcClient } from '../grpc/client.ts';
import { streaming, unary } from '../grpc/handler.ts';
import { grpcServer } from '../grpc/server.ts';
import { flowPredicate } from '../hubble/filter.ts';
import { NodeState, observer } from '../hubble/observer.ts';
import type { GetFlowsResponse } from '../hubble/observer.ts';
import type { FlowPage, Health, Session, StreamState, Vips } from '../page/api.ts';
import type { Graph } from '../page/graph.ts';
import { vipsOf } from './agent-vips.ts';
import { assetsIn } from './assets.ts';
import { openGuard } from './guard.ts';
import type { Guard } from './guard.ts';
import { grpcSource } from './grpc-source.ts';
import { servePage } from './server.ts';
import type { PageServer } from './server.ts';
import type { FlowSource } from './source.ts';
import { smallTown } from './testdata/town.ts';
import { townSource } from './testdata/town-source.ts';

const log = logTo(() => undefined);
let folder = '';
let server: PageServer;
const town = townSource(smallTown);

async function serving(source: FlowSource, guard: Guard = openGuard): Promise<PageServer> {
  const assets = await assetsIn(folder);
  const rest = { version: '1.2.3', cluster: 'home', losses: () => [], log };
  return servePage({ ...rest, host: '127.0.0.1', port: 0, assets, source, guard, vips: vipsOf(undefined) });
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'stentor-page-'));
  await writeFile(join(folder, 'index.html'), '<!doctype html><title>Hubble</title>');
  await writeFile(join(folder, 'main-ABCD2345.js'), 'export {}');
  server = await serving(town);
});
after(async () => {
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const ask = async <T>(path: string, of = server): Promise<{ readonly status: number; readonly body: T; readonly headers: Headers }> => {
  const response = await fetch(`http://127.0.0.1:${of.port}${path}`);
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text.startsWith('{') ? JSON.parse(text) : text };
};

/** Events of a stream until `enough` of one name, or all until it ends. */
async function events(
  path: string,
  enough: (name: string, data: unknown) => boolean,
  of = server,
): Promise<ReadonlyMap<string, readonly unknown[]>> {
  const response = await fetch(`http://127.0.0.1:${of.port}${path}`);
  assert.equal(response.status, 200);
  const found = new Map<string, unknown[]>();
  let text = '';
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk).toString();
    const parts = text.split('\n\n');
    text = parts.pop() ?? '';
    for (const part of parts) {
      const [, name = '', data = ''] = /^event: (\w+)\ndata: (.*)$/.exec(part) ?? [];
      if (name === '') continue;
      const value: unknown = JSON.parse(data);
      found.getOrInsertComputed(name, () => []).push(value);
      if (enough(name, value)) return found;
    }
  }
  return found;
}

test('the page is there, and what never changes is kept by browsers', async () => {
  const page = await ask<string>('/');
  assert.match(page.body, /<title>Hubble/);
  assert.match(page.headers.get('content-security-policy') ?? '', /default-src 'self'/);
  assert.equal(page.headers.get('cache-control'), 'no-cache');
  assert.match((await ask('/main-ABCD2345.js')).headers.get('cache-control') ?? '', /immutable/);
});

test('who asks is told the version and the namespaces', async () => {
  const { body } = await ask<Session>('/api/session');
  assert.deepEqual([body.version, body.cluster, body.login, body.namespaces.includes('shop')], ['1.2.3', 'home', 'none', true]);
});

test('a live view has a map, a histogram and the newest flows', async () => {
  const found = await events('/api/live?window=1m', (name, data) => name === 'state' && (data as StreamState).flows > 200);
  const deltas = found.get('delta') as readonly { readonly delta: Graph }[];
  assert.ok(deltas.flatMap(({ delta }) => delta.links).length > 20);
  const [histogram = []] = (found.get('histogram') ?? []) as readonly (readonly unknown[])[];
  assert.equal(histogram.length, 60);
  assert.ok((found.get('flows') as readonly (readonly unknown[])[]).flat().length > 0);
});

test('the past is read once and ends', async () => {
  const range = 'since=2026-03-01T12:00:00Z&until=2026-03-01T12:02:00Z';
  const found = await events(`/api/live?${range}`, (name, data) => name === 'state' && (data as StreamState).state === 'done');
  const last = found.get('state')?.at(-1) as StreamState;
  assert.deepEqual([last.nodes, last.partialUntil], [3, undefined]);
  assert.ok(last.flows > 1000, `${last.flows} flows`);
});

test('the histogram of all of the past comes from what nodes know of it, that of a part from what was read', async () => {
  const range = 'since=2026-03-01T12:00:00Z&until=2026-03-01T12:10:00Z';
  type Slots = readonly { readonly start: number; readonly forwarded: number; readonly dropped: number }[];
  const slots = async (filter: string, holds: (found: Slots) => boolean) => {
    const found = await events(`/api/live?${range}${filter}`, (name, data) => name === 'histogram' && holds(data as Slots));
    return (found.get('histogram')?.at(-1) ?? []) as Slots;
  };
  const whole = await slots('', (found) => found.length === 120);
  assert.deepEqual([whole[0]?.start, whole.every(({ forwarded }) => forwarded > 0)], [Date.parse('2026-03-01T12:00:00Z'), true]);
  const part = await slots('&verdict=dropped', (found) => found.some(({ dropped }) => dropped > 0));
  assert.deepEqual([part.length, part.every(({ forwarded }) => forwarded === 0)], [121, true]);
});

test('pages of flows follow each other without a gap and without one twice', async () => {
  const range = 'verdict=dropped&since=2026-03-01T12:00:00Z&until=2026-03-01T12:02:00Z';
  const all = (await ask<FlowPage>(`/api/flows?${range}&limit=500`)).body.rows;
  const paged: FlowPage['rows'][number][] = [];
  for (let next: string | undefined = ''; next !== undefined;) {
    const { body }: { readonly body: FlowPage } = await ask(`/api/flows?${range}&limit=37${next === '' ? '' : `&before=${next}`}`);
    paged.push(...body.rows);
    next = body.next;
  }
  assert.ok(all.length > 100, `${all.length} rows`);
  assert.deepEqual(
    paged.map(({ id }) => id),
    all.map(({ id }) => id),
  );
});

test('a link has its flows only, and one flow all of itself', async () => {
  const range = 'since=2026-03-01T12:00:00Z&until=2026-03-01T12:10:00Z';
  const [some] = (await ask<FlowPage>(`/api/flows?${range}&protocol=http&limit=50`)).body.rows.filter(({ reply }) => reply === false);
  assert.ok(some);
  const link = encodeURIComponent(`${some.source.id}>${some.destination.id}`);
  const { rows } = (await ask<FlowPage>(`/api/flows?${range}&link=${link}`)).body;
  assert.ok(rows.length > 0);
  for (const row of rows) {
    const [from, to] = row.reply ? [row.destination.id, row.source.id] : [row.source.id, row.destination.id];
    assert.deepEqual([from, to], [some.source.id, some.destination.id]);
  }
  const { body } = await ask<{ readonly uuid: string; readonly time: string }>(`/api/flow?uuid=${some.id}&time=${some.time}`);
  assert.deepEqual([body.uuid, body.time], [some.id, some.time]);
  assert.equal((await ask(`/api/flow?uuid=00000000-0000&time=${some.time}`)).status, 404);
});

const bad: readonly (readonly [path: string, status: number, says: RegExp])[] = [
  ['/api/live?verdict=maybe', 400, /Cannot filter by verdict 'maybe'/],
  ['/api/flows?before=soon', 400, /Cannot read before 'soon'/],
  ['/api/flow?uuid=%3Cscript%3E', 400, /wanted a uuid/],
  ['/api/flows?since=soon&until=later', 400, /Cannot look since/],
  ['/api/nothing', 404, /Cannot find \/api\/nothing/],
  ['/../package.json', 404, /Cannot find/],
];
for (const [path, status, says] of bad)
  test(`${path} is refused in words`, async () => {
    const answer = await ask<{ readonly error: string }>(path);
    assert.equal(answer.status, status);
    assert.match(answer.body.error, says);
  });

test('what somebody may not see is neither told nor counted', async () => {
  const visitor = { user: 'ann', allowed: ['media'] };
  await using guarded = await serving(town, { login: 'token', admit: () => Promise.resolve({ kind: 'admitted', visitor }) });
  const { body } = await ask<Session>('/api/session', guarded);
  assert.deepEqual([body.user, body.namespaces], ['ann', ['media']]);
  const { rows } = (await ask<FlowPage>('/api/flows?limit=300', guarded)).body;
  assert.ok(rows.length > 50);
  assert.ok(rows.every(({ source, destination }) => source.namespace === 'media' || destination.namespace === 'media'));
  const hidden = (await ask<FlowPage>('/api/flows?ns=shop&limit=50')).body.rows.find(
    ({ source, destination }) => source.namespace === 'shop' && destination.namespace === 'shop',
  );
  assert.ok(hidden);
  assert.equal((await ask(`/api/flow?uuid=${hidden.id}&time=${hidden.time}`, guarded)).status, 404);
  const found = await events('/api/live?window=1m', (name, data) => name === 'state' && (data as StreamState).flows > 100, guarded);
  const nodes = (found.get('delta') as readonly { readonly delta: Graph }[]).flatMap(({ delta }) =>
    delta.links.map(({ from, to }) => [from, to].map((index) => delta.nodes.find((node) => node.index === index)?.namespace)),
  );
  assert.ok(nodes.every((ends) => ends.includes('media') || ends.includes(undefined)));
});

test('who is not admitted sees nothing but the page', async () => {
  await using closed = await serving(town, {
    login: 'token',
    admit: () => Promise.resolve({ kind: 'refused', status: 401, why: 'A token is wanted' }),
  });
  assert.equal((await ask('/', closed)).status, 200);
  for (const path of ['/api/session', '/api/live', '/api/flows', '/api/flow?uuid=a', '/api/vips', '/api/health'])
    assert.equal((await ask(path, closed)).status, 401, path);
});

test('a source that breaks is asked again, and the page is told meanwhile', async () => {
  let asked = 0;
  const broken: FlowSource = {
    ...town,
    async *flows(request, signal) {
      if (asked++ < 2) throw new Error('the relay is gone');
      yield* town.flows(request, signal);
    },
  };
  await using one = await serving(broken);
  const found = await events('/api/live?window=1m', (name, data) => name === 'state' && (data as StreamState).flows > 50, one);
  const states = found.get('state') as readonly StreamState[];
  assert.ok(states.some(({ state, message }) => state === 'broken' && message === 'the relay is gone'));
});

test('two replicas tell the same of the past, and when one ends its browsers are told', async () => {
  const other = await serving(town);
  const path = '/api/live?since=2026-03-01T12:00:00Z&until=2026-03-01T12:01:00Z';
  const isDone = (name: string, data: unknown) => name === 'state' && (data as StreamState).state === 'done';
  const [a, b] = await Promise.all([events(path, isDone), events(path, isDone, other)]);
  assert.deepEqual(b.get('histogram')?.at(-1), a.get('histogram')?.at(-1));
  const gone = events('/api/live?window=1m', (name) => name === 'bye', other);
  await pause(200); // the stream is open by then
  await other[Symbol.asyncDispose]();
  assert.ok((await gone.catch(() => new Map<string, unknown>([['ended', true]]))).size > 0);
});

test('over gRPC, as agents and the relay answer', async () => {
  const flows: Flow[] = [];
  for await (const answer of town.flows({ number: 300, whitelist: [], blacklist: [] }, new AbortController().signal))
    if (answer.kind === 'flow') flows.push(answer.flow);
  const lost = { source: 3, numEventsLost: 7n } as const;
  const grpc = grpcServer({
    handlers: [
      streaming(observer.getFlows, async function* (request, { signal }): AsyncGenerator<readonly GetFlowsResponse[]> {
        const wanted = flowPredicate(request);
        yield [{ nodeStatus: { stateChange: 1, nodeNames: ['home/a', 'home/b'] } }, { lostEvents: lost, nodeName: 'home/a' }];
        yield flows.filter(wanted).map((flow) => ({ flow, nodeName: flow.nodeName, time: flow.time }));
        if (request.follow) await once(signal, 'abort');
      }),
      unary(observer.serverStatus, () => ({ version: '9.9.9', flowsRate: 12.5 })),
      unary(observer.getNodes, () => ({
        nodes: [{ name: 'home/a', state: NodeState.NODE_CONNECTED, seenFlows: 5, maxFlows: 4095, tls: { enabled: true } }],
      })),
      unary(observer.getNamespaces, () => ({ namespaces: [{ namespace: 'shop' }] })),
    ],
  });
  const socket = join(folder, 'hubble.sock');
  await grpc.listen({ path: socket });
  using client = grpcClient({ address: { path: socket } });
  const source = grpcSource(client, 'relay');
  await using page = await servePage({
    version: '1',
    cluster: 'home',
    log,
    host: '127.0.0.1',
    port: 0,
    assets: await assetsIn(folder),
    source,
    guard: openGuard,
    vips: vipsOf(undefined),
    losses: source.losses,
  });
  assert.deepEqual((await ask<Session>('/api/session', page)).body.namespaces, ['shop']);
  const { rows } = (await ask<FlowPage>('/api/flows?protocol=http&limit=10', page)).body;
  assert.equal(rows.length, 10);
  assert.equal(rows[0]?.layer7, 'HTTP');
  const found = await events('/api/live', (name, data) => name === 'state' && (data as StreamState).flows >= 300, page);
  const last = found.get('state')?.at(-1) as StreamState;
  assert.deepEqual([last.nodes, last.lost], [2, 7]);
  const { body } = await ask<Health>('/api/health', page);
  assert.deepEqual([body.relay.version, body.nodes[0]?.state, body.nodes[0]?.seen], ['9.9.9', 'connected', 5]);
  assert.deepEqual([body.losses[0]?.node, body.losses[0]?.source], ['home/a', 'hubble ring buffer']);
  await grpc[Symbol.asyncDispose]();
});

test('load balancer addresses are those of the agent, and its silence has a reason', async () => {
  const path = join(folder, 'agent.sock');
  const row = { ip: '192.168.0.220', services: ['a/b'], owner: 'node1', answers: 4, why: 'it can' };
  const agent = createServer((request, response) => response.end(JSON.stringify(request.url === '/vips' ? [row] : {}))).listen(path);
  await until(() => agent.listening);
  const { answers: _, ...shown } = row;
  const signal = AbortSignal.timeout(5000);
  assert.deepEqual(await vipsOf(path)(signal), { vips: [shown] } as unknown as Vips);
  agent.close();
  assert.match((await vipsOf(join(folder, 'nobody.sock'))(signal)).unknown ?? '', /does not answer: .*ENOENT/);
});
