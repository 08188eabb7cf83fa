// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Entry } from '../flows/flow-ring.ts';
import { drop, request } from '../flows/testdata/flows.ts';
import { logsOf, otlpExport } from './export-otlp.ts';

const entryOf = (flow: typeof drop): Entry => ({ kind: 'flow', flow });
const line = (entry: Entry) => `{"flow":"${entry.kind}"}\n`;

/** A collector that answers with these in turn, and then well. */
async function collector(answers: readonly (readonly [status: number, body?: string])[]) {
  const got: { readonly type: string | undefined; readonly records: number }[] = [];
  const server = createServer((asked, answered) => {
    let body = '';
    asked.on('data', (chunk) => (body += chunk));
    asked.on('end', () => {
      const records = [...body.matchAll(/"timeUnixNano"/g)].length;
      const [status, text = '{}'] = answers[got.length] ?? [200];
      got.push({ type: asked.headers['content-type'], records });
      answered.writeHead(status).end(text);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  return {
    got,
    url: `http://127.0.0.1:${port}/v1/logs`,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}
async function until(holds: () => boolean, what: string): Promise<void> {
  for (const end = Date.now() + 10_000; !holds(); await delay(5)) assert.ok(Date.now() < end, `not within 10 s: ${what}`);
}

test('records have time, severity, what one asks by, and the line as their body', () => {
  const lost: Entry = { kind: 'lost', lost: { source: 3, numEventsLost: 7n, last: 5n } };
  const logs: unknown = JSON.parse(JSON.stringify(logsOf([entryOf(drop), lost, entryOf(request)], { nodeName: 'east/node1', line })));
  const said = JSON.stringify(logs);
  assert.match(
    said,
    /^\{"resourceLogs":\[\{"resource":\{"attributes":\[\{"key":"service\.name","value":\{"stringValue":"hubble"\}\},\{"key":"k8s\.cluster\.name","value":\{"stringValue":"east"\}\}/,
  );
  for (const part of [
    '"timeUnixNano":"1234567800000","severityNumber":13,"severityText":"DROPPED"',
    '{"key":"hubble.drop_reason","value":{"stringValue":"POLICY_DENIED"}}',
    '{"key":"destination.port","value":{"intValue":"8080"}}',
    '"body":{"stringValue":"{\\"flow\\":\\"flow\\"}"}',
    '"timeUnixNano":"5","severityNumber":13,"severityText":"LOST","attributes":[{"key":"hubble.lost","value":{"intValue":"7"}}]',
    '"severityNumber":9,"severityText":"FORWARDED"',
    '{"key":"source.k8s.pod.name","value":{"stringValue":"client"}}',
  ])
    assert.ok(said.includes(part), `${part} in\n${said}`);
});

test('flows come in batches, a busy collector is asked again, and one that refuses costs them', async () => {
  await using server = await collector([[200], [503], [200], [400], [200, '{"partialSuccess":{"rejectedLogRecords":"3"}}']]);
  const told: (string | undefined)[] = [];
  await using otlp = otlpExport({ url: server.url, nodeName: 'default/node1', line, trouble: (message) => told.push(message) });
  otlp.take(Array.from({ length: 600 }, () => entryOf(drop)));
  await until(() => server.got.length === 3, 'both batches, the second twice');
  assert.deepEqual(
    server.got.map(({ records }) => records),
    [512, 88, 88],
  );
  assert.equal(server.got[0]?.type, 'application/json');
  await until(() => told.length === 2, 'it goes again');
  assert.deepEqual(told, ['the collector answers with status 503', undefined]);
  otlp.take(Array.from({ length: 1024 }, () => entryOf(drop)));
  await until(() => server.got.length === 5, 'the others');
  await until(() => otlp.lost === 515, 'what was refused is counted');
});

test('what comes while a collector is away is bounded, and counted', async () => {
  const told: (string | undefined)[] = [];
  const otlp = otlpExport({ url: 'http://127.0.0.1:1/v1/logs', nodeName: 'default/node1', line, trouble: (message) => told.push(message) });
  for (let i = 0; i < 100; i++) otlp.take(Array.from({ length: 256 }, () => entryOf(drop)));
  await until(() => told.length > 0, 'it is told');
  assert.match(told[0] ?? '', /fetch failed.*ECONNREFUSED|bad port/);
  assert.ok(otlp.lost >= 25_600 - 8192 - 512, `${otlp.lost} lost`);
  await otlp[Symbol.asyncDispose]();
  assert.equal(otlp.lost, 25_600);
});
