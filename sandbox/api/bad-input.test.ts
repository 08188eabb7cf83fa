// SPDX-License-Identifier: Apache-2.0
// What clients send that they should not: every answer is a Status, and the server lives.
import assert from 'node:assert/strict';
import { request } from 'node:https';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { startTestServer, TOKEN } from './server-fixture.ts';

const MAPS = '/api/v1/namespaces/default/configmaps';
const named = (name: string, more: object = {}): object => ({ metadata: { name, ...more } });
const patch = (kind: string): Record<string, string> => ({ 'content-type': `application/${kind}` });
const refused: readonly (readonly [number, string, string, unknown?, Record<string, string>?])[] = [
  [400, 'POST', MAPS, '{"metadata":'],
  [400, 'POST', MAPS, '[]'],
  [400, 'POST', MAPS, 'null'],
  [400, 'POST', MAPS, ''],
  [400, 'POST', MAPS, { metadata: 'x' }],
  [400, 'POST', MAPS, { metadata: { name: 5 } }],
  [400, 'POST', MAPS, { metadata: { name: 'x', ownerReferences: 'y' } }],
  [400, 'POST', MAPS, { kind: 'Pod', metadata: { name: 'x' } }],
  [400, 'POST', MAPS, { metadata: { name: 'x', namespace: 'elsewhere' } }],
  [400, 'POST', MAPS, { metadata: { name: 'x', resourceVersion: '5' } }],
  [400, 'POST', MAPS, { metadata: { name: 'x' }, data: { a: 1 } }],
  [422, 'POST', MAPS, { metadata: {} }],
  [422, 'POST', MAPS, { metadata: { name: 'x', labels: { 'a b': 'c' } } }],
  [413, 'POST', MAPS, 'x'.repeat(4 * 1024 * 1024)],
  [415, 'POST', MAPS, 'x', { 'content-type': 'text/html' }],
  [400, 'POST', MAPS, 'k8s\0 nonsense', patch('vnd.kubernetes.protobuf')],
  [406, 'GET', MAPS, undefined, { accept: 'text/html' }],
  [404, 'GET', '/api/v1/frogs'],
  [404, 'GET', '/api/v2/pods'],
  [404, 'GET', '/apis/frogs.io/v1/frogs'],
  [404, 'GET', '/api/v1/namespaces/default/nodes'],
  [404, 'GET', '/api/v1/namespaces/default/configmaps/%ff'],
  [404, 'GET', `${MAPS}/a/status`],
  [404, 'GET', '/frogs'],
  [404, 'GET', '//x'],
  [405, 'POST', '/api/v1/configmaps', {}],
  [405, 'DELETE', '/api'],
  [400, 'GET', `${MAPS}?labelSelector=%3D%3D`],
  [400, 'GET', `${MAPS}?limit=frog`],
  [400, 'DELETE', `${MAPS}/a`, { dryRun: ['Some'] }],
  [422, 'DELETE', `${MAPS}/a`, { propagationPolicy: 'Frog' }],
  [400, 'PATCH', `${MAPS}/a`, '5', patch('merge-patch+json')],
  [400, 'PATCH', `${MAPS}/a`, [{ op: 'frog', path: '/' }], patch('json-patch+json')],
  [422, 'PATCH', `${MAPS}/a`, [{ op: 'add', path: '', value: 5 }], patch('json-patch+json')],
  [422, 'PATCH', `${MAPS}/a`, [{ op: 'add', path: '/x/y/z', value: 5 }], patch('json-patch+json')],
  [400, 'PATCH', `${MAPS}/a`, { metadata: { name: 'b' } }, patch('merge-patch+json')],
  [400, 'PATCH', `${MAPS}/a`, { metadata: { ownerReferences: [{ kind: 'x' }] } }, patch('strategic-merge-patch+json')],
  [415, 'PATCH', `${MAPS}/a`, {}, patch('json')],
  [400, 'PATCH', `${MAPS}/a`, {}, patch('apply-patch+yaml')],
  [400, 'PATCH', `${MAPS}/a?fieldManager=x`, 'a: [', patch('apply-patch+yaml')],
  [400, 'GET', '/api/v1/namespaces/default/pods/p/exec'],
  [404, 'GET', '/api/v1/namespaces/default/pods/p/log'],
];

test('bad input is answered with a Status and the server lives', async (t) => {
  const { send, api } = await startTestServer(t);
  api.store.create('configmaps', named('a'));
  for (const [code, method, path, body, headers] of refused) {
    const answer = await send(method, path, body, headers);
    const label = `${method} ${path} ${String(JSON.stringify(body)).slice(0, 80)}`;
    if (path.endsWith('/exec') && answer.code === 404) continue; // no such pod is as good an answer
    assert.equal(answer.code, code, `${label}: ${answer.text}`);
    assert.equal(answer.body?.kind, 'Status', label);
    assert.equal(answer.body?.code, code, label);
  }
  assert.equal((await send('GET', `${MAPS}/a`)).code, 200);
});

test('random objects never make a 500', async (t) => {
  const { send } = await startTestServer(t);
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
  t.diagnostic(`SEED=${seed}`);
  let state = seed;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const fields = [
    'spec',
    'ports',
    'containers',
    'selector',
    'matchLabels',
    'template',
    'metadata',
    'name',
    'labels',
    'data',
    'endpoints',
    'addresses',
    'versions',
    'names',
    'finalizers',
    '__proto__',
    'ingress',
    'from',
    'podSelector',
    'matchExpressions',
    'key',
    'operator',
    'rules',
    'status',
    'subsets',
    'schema',
    'openAPIV3Schema',
    'type',
    'taints',
  ];
  const value = (depth: number): unknown => {
    const kind = random(depth > 5 ? 5 : 9);
    if (kind < 5) return [undefined, 'text', random(100), true, { x: 1 }][kind] ?? (random(2) === 0 ? null : []); // null: part of the input
    if (kind === 5) return Array.from({ length: random(3) }, () => value(depth + 1));
    return Object.fromEntries(Array.from({ length: random(4) }, () => [fields[random(fields.length)], value(depth + 1)]));
  };
  const groups = [
    '/api/v1',
    '/apis/apps/v1',
    '/apis/discovery.k8s.io/v1',
    '/apis/networking.k8s.io/v1',
    '/apis/apiextensions.k8s.io/v1',
    '/apis/rbac.authorization.k8s.io/v1',
  ];
  const paths: string[] = [];
  for (const group of groups)
    for (const { name, namespaced } of (await send('GET', group)).body.resources)
      if (!name.includes('/')) paths.push(`${group}/${namespaced ? 'namespaces/default/' : ''}${name}`);
  for (let round = 0; round < 400; round += 1) {
    const path = paths[random(paths.length)] ?? '';
    const object = { metadata: { name: `r-${round}` }, spec: value(0), status: value(3), [fields[random(fields.length)] ?? 'x']: value(1) };
    const answers = [
      await send('POST', path, object),
      await send('GET', path, undefined, { accept: 'application/json;as=Table;g=meta.k8s.io;v=v1' }),
    ];
    for (const { code, text } of answers) assert.ok(code < 500, `SEED=${seed} round ${round} ${path} ${JSON.stringify(object)}: ${text}`);
  }
});

test('connections that speak no HTTP are dropped', async (t) => {
  const { api, port, send } = await startTestServer(t);
  const socket = connect({ host: '127.0.0.1', port, ca: api.caPem });
  socket.on('error', () => undefined).write('FROG\r\n\r\n');
  await new Promise((resolve) => socket.on('close', resolve).resume());
  const half = request({
    host: '127.0.0.1',
    port,
    ca: api.caPem,
    method: 'POST',
    path: MAPS,
    headers: { authorization: `Bearer ${TOKEN}`, 'content-length': 1000 },
    agent: false,
  });
  half.on('error', () => undefined).write('{');
  await new Promise((resolve) => setImmediate(resolve));
  half.destroy();
  assert.equal((await send('GET', '/readyz')).text, 'ok');
});
