// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../base/clock.ts';
import { metricsText } from '../base/metrics.ts';
import type { Problem } from '../base/problem.ts';
import { flowRing } from '../flows/flow-ring.ts';
import { drop, query, syn } from '../flows/testdata/flows.ts';
import { dynamicWishes, staticWish } from './export-wishes.ts';
import { flowExporter } from './exporter.ts';
import type { StaticExport } from './export-wishes.ts';

const root = mkdtempSync(join(tmpdir(), 'stentor-exporter-'));
after(() => rmSync(root, { recursive: true }));

const fixed = (more: Partial<StaticExport> = {}): StaticExport => ({
  filePath: join(root, 'static.log'),
  fieldMask: [],
  allowList: [],
  denyList: [],
  maxSizeMb: 10,
  maxBackups: 5,
  compress: false,
  ...more,
});

async function until(holds: () => boolean, what: string): Promise<void> {
  for (const end = Date.now() + 10_000; !holds(); await delay(5)) assert.ok(Date.now() < end, `not within 10 s: ${what}`);
}
const linesIn = (
  path: string,
): readonly { flow?: { verdict?: string; Type?: string; time?: string }; lost_events?: object; node_name?: string }[] => {
  try {
    return readFileSync(path, 'utf8')
      .trim()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  } catch {
    return [];
  }
};
const common = { nodeName: 'default/node1', clock: systemClock, lookMs: 5 };

test('flows that match are lines in the file, and losses stand between them', async () => {
  const ring = flowRing(7);
  const path = join(root, 'static.log');
  const wish = fixed({ allowList: ['{"verdict":["DROPPED"]}{"protocol":["dns"]}'], denyList: ['{"destination_port":["53"]}'] });
  await using _ = flowExporter({ ...common, ring, static: wish, dynamic: undefined, report: () => undefined });
  await delay(1); // it begins with what comes from now on
  ring.append([syn, drop, query]);
  ring.lose({ source: 1, numEventsLost: 7n, cpu: 0 });
  await until(() => linesIn(path).length >= 2, 'two lines');
  const [flow, lost] = linesIn(path);
  assert.deepEqual([flow?.flow?.verdict, flow?.node_name, flow?.flow?.time], ['DROPPED', 'k8s1', '1970-01-01T00:20:34.567800Z']);
  assert.deepEqual(lost, { lost_events: { source: 'PERF_EVENT_RING_BUFFER', num_events_lost: '7', cpu: 0 }, node_name: 'default/node1' });
});

test('what a mask leaves out is left out of the envelope too', async () => {
  const ring = flowRing(7);
  const path = join(root, 'masked.log');
  await using _ = flowExporter({
    ...common,
    ring,
    static: fixed({ filePath: path, fieldMask: ['verdict'] }),
    dynamic: undefined,
    report: () => undefined,
  });
  await delay(1); // it begins with what comes from now on
  ring.append([drop]);
  await until(() => linesIn(path).length > 0, 'a line');
  assert.deepEqual(linesIn(path), [{ flow: { verdict: 'DROPPED' } }]);
});

test('one that is overtaken says how many flows it missed', async () => {
  const ring = flowRing(7);
  const path = join(root, 'overtaken.log');
  await using _ = flowExporter({ ...common, ring, static: fixed({ filePath: path }), dynamic: undefined, report: () => undefined });
  await delay(1); // it begins with what comes from now on
  ring.append(Array.from({ length: 20 }, () => syn));
  await until(() => linesIn(path).length >= 7, 'the flows');
  const missed = linesIn(path).flatMap(({ lost_events }) => (lost_events ? [lost_events] : []));
  assert.match(JSON.stringify(missed), /"source":"HUBBLE_RING_BUFFER","num_events_lost":"\d+"/);
});

test('a file says what else is exported, and may change', async () => {
  const ring = flowRing(1023);
  const file = join(root, 'flowlogs.yaml');
  const [drops, all] = [join(root, 'drops.log'), join(root, 'all.log')];
  const reports: (readonly Problem[])[] = [];
  const exporter = flowExporter({ ...common, ring, static: undefined, dynamic: file, report: (rows) => reports.push(rows) });
  const metrics = () => metricsText(exporter.metrics);
  const up = (name: string) => metrics().includes(`hubble_dynamic_exporter_up{name="${name}"} 1`);
  writeFileSync(file, `flowLogs:\n  - name: drops\n    filePath: ${drops}\n    includeFilters:\n      - verdict: [DROPPED]\n`);
  await until(() => up('drops'), 'drops are exported');
  ring.append([syn, drop]);
  await until(() => linesIn(drops).length === 1, 'a drop');
  writeFileSync(
    file,
    `flowLogs:\n  - name: drops\n    filePath: ${drops}\n    includeFilters:\n      - verdict: [DROPPED]\n  - {name: all, filePath: ${all}, end: "2001-01-01T00:00:00Z"}\n`,
  );
  await until(() => metrics().includes('exporters_total{status="inactive"} 1'), 'the other one has ended');
  writeFileSync(file, `flowLogs:\n  - {name: all, filePath: ${all}}\n  - {name: wrong}\n`);
  await until(() => up('all') && !up('drops'), 'all are exported');
  ring.append([syn, drop]);
  await until(() => linesIn(all).length === 2, 'all flows');
  assert.equal(linesIn(drops).length, 1);
  assert.match(metrics(), /reconfigurations_total\{op="add"\} 2\n.*\{op="update"\} 1\n.*\{op="remove"\} 1\n/);
  assert.deepEqual(
    reports.at(-1)?.map(({ reason, message }) => [reason, message]),
    [['FlowExportMisread', 'Flows are not exported as this says: wrong: filePath is missing']],
  );
  rmSync(file);
  await until(() => !up('all'), 'nothing is exported');
  await exporter[Symbol.asyncDispose]();
});

test('a file that cannot be written is a Problem', async () => {
  const ring = flowRing(7);
  const file = join(root, 'no-folder');
  writeFileSync(file, '');
  const reports: (readonly Problem[])[] = [];
  await using _ = flowExporter({
    ...common,
    ring,
    static: fixed({ filePath: join(file, 'events.log') }),
    dynamic: undefined,
    report: (rows) => reports.push(rows),
  });
  await delay(1); // it begins with what comes from now on
  ring.append([syn]);
  await until(() => reports.at(-1)?.[0]?.reason === 'FlowExportFails', 'a Problem');
  assert.match(reports.at(-1)?.[0]?.message ?? '', /cannot be written to .*no-folder\/events\.log: /);
});

const mistakes: readonly (readonly [text: string, mistake: RegExp])[] = [
  ['flowLogs: 7', /flowLogs is no list/],
  ['[1]', /has no fields/],
  ['flowLogs: [{', /./],
  ['flowLogs: [{name: a}]', /^a: filePath is missing$/],
  ['flowLogs: [{filePath: /a}]', /^flowLogs\[0\]: name is missing$/],
  ['flowLogs: [{name: a, filePath: /a, includeFilters: [{pods: [x]}]}]', /^pods is no field of a FlowFilter$/],
  ['flowLogs: [{name: a, filePath: /a, excludeFilters: [{source_ip: [x]}]}]', /source_ip/],
  ['flowLogs: [{name: a, filePath: /a, fieldMask: ["a b"]}]', /field_mask/],
  ['flowLogs: [{name: a, filePath: /a, end: soon}]', /^a: end is no time/],
  ['flowLogs: [{name: a, filePath: /a, fileMaxSizeMb: 0}]', /^a: the file may have no size$/],
  ['flowLogs: [{name: a, filePath: /a, fileMaxBackups: -1}]', /^a: fileMaxBackups is no whole number$/],
  ['flowLogs: [{name: a, filePath: /a}, {name: a, filePath: /b}]', /^a: another one has its name or its file$/],
];
for (const [text, mistake] of mistakes)
  test(`'${text}' is misread`, () => {
    const { mistakes: found } = dynamicWishes(text);
    assert.equal(found.length, 1);
    assert.match(found[0] ?? '', mistake);
  });

test('nothing and an empty list are nothing', () => {
  for (const text of ['', 'flowLogs:', 'flowLogs: []']) assert.deepEqual(dynamicWishes(text), { wishes: [], mistakes: [] });
});

test('filters of the values are JSON, one after another', () => {
  const { wishes, mistakes: none } = staticWish(
    fixed({ allowList: ['{"source_pod":["a/{b}"]} {"verdict":["DROPPED"]}', '{"uuid":["u"]}'] }),
  );
  assert.deepEqual([wishes[0]?.include, none], [[{ sourcePod: ['a/{b}'] }, { verdict: [2] }, { uuid: ['u'] }], []]);
  assert.equal(staticWish(fixed({ allowList: ['source_pod=a'] })).mistakes.length, 1);
});
