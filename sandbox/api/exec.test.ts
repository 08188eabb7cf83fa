// SPDX-License-Identifier: Apache-2.0
// kubectl exec without kubectl: raw WebSocket messages.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { startTestServer, TOKEN } from './server-fixture.ts';

test('exec over WebSocket: both subprotocols, refusals, garbage', async (t) => {
  const { api, port } = await startTestServer(t);
  api.store.create('pods', { metadata: { name: 'p' }, spec: { nodeName: 'n', containers: [{ name: 'c', image: 'x:1' }] } });
  const open = (query: string, protocols: readonly string[], pod = 'p'): WebSocket =>
    new WebSocket(`wss://127.0.0.1:${port}/api/v1/namespaces/default/pods/${pod}/exec?${query}`, [...protocols], {
      ca: api.caPem,
      headers: { authorization: `Bearer ${TOKEN}` },
    });
  const conversation = (socket: WebSocket): Promise<readonly Buffer[]> =>
    new Promise((resolve, reject) => {
      const messages: Buffer[] = [];
      socket
        .on('message', (message: Buffer) => messages.push(message))
        .on('close', () => resolve(messages))
        .on('error', reject);
    });
  const cat = open('command=cat&stdin=true&stdout=true', ['v5.channel.k8s.io', 'v4.channel.k8s.io']);
  cat.on('open', () => {
    cat.send(Buffer.from([9, 1, 2])); // no such channel
    cat.send(Buffer.from([4, 123])); // no terminal size
    cat.send(Buffer.from('\0hello'));
    cat.send(Buffer.from([255, 0]));
  });
  const messages = await conversation(cat);
  assert.equal(cat.protocol, 'v5.channel.k8s.io');
  assert.deepEqual(messages.map(String), ['\u0001hello', '\u0003{"metadata":{},"status":"Success"}']);
  const failing = await conversation(open('command=sh&command=-c&command=exit%203&stdout=true', ['v4.channel.k8s.io']));
  assert.equal(JSON.parse(String(failing.at(-1)).slice(1)).details.causes[0].message, '3');
  for (const [query, protocols, pod, code] of [
    ['command=true', ['v4.channel.k8s.io'], 'nobody', 404],
    ['', ['v4.channel.k8s.io'], 'p', 400],
    ['command=true', ['frog'], 'p', 400],
  ] as const)
    await assert.rejects(conversation(open(query, protocols, pod)), new RegExp(`Unexpected server response: ${code}`));
  const garbage = open('command=cat&stdin=true', ['v4.channel.k8s.io']);
  await new Promise((resolve) => garbage.on('open', resolve));
  const ended = new Promise((resolve) => garbage.on('close', resolve).on('error', () => undefined));
  (garbage as unknown as { _socket: { write(data: Buffer): void } })._socket.write(Buffer.from([0xff, 0xff, 0xff])); // as: the raw socket below, to break the framing
  await ended;
});
