// SPDX-License-Identifier: Apache-2.0
// Operators as processes: how they begin and end, and what becomes of the Lease when they are killed or stopped.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../../src/base/until.ts';
import { operatorApi } from './testbed.ts';
import type { Operator } from './testbed.ts';

const PATIENCE_MS = 30_000;
const lease = (duration: string, renew: string) => [`--leader-election-lease-duration=${duration}`, `--leader-election-renew-deadline=${renew}`, '--leader-election-retry-period=200ms']; // prettier-ignore
const LONG = lease('10m', '9m');
const SHORT = lease('2s', '1500ms');
const HASTY = ['--identity-gc-interval=100ms', '--identity-heartbeat-timeout=1ms', '--cilium-endpoint-gc-interval=100ms', '--cilium-endpoint-gc-grace=1ms']; // prettier-ignore
const IDLE = ['--identity-gc-interval=0s', '--cilium-endpoint-gc-interval=0s'];
const leads = (one: Operator) =>
  one.page('metrics').then(
    async (page) => (await page.text()).includes('\nstentor_operator_leads 1\n'),
    () => false,
  );

test('SIGTERM ends it with 0, and the Lease is free', { timeout: 120_000 }, async (context) => {
  const api = await operatorApi(context);
  const first = await api.start('first', LONG);
  await until(() => leads(first), PATIENCE_MS);
  assert.equal((await first.page('healthz')).status, 200);
  assert.equal(api.holder(), 'first');
  const told = performance.now();
  first.signal('SIGTERM');
  assert.equal(await first.exited, 0, first.log());
  context.diagnostic(`${Math.round(performance.now() - told)} ms from SIGTERM to exit`);
  assert.equal(api.holder(), '');
  const second = await api.start('second', LONG);
  await until(() => leads(second), PATIENCE_MS); // not after ten minutes
});

test('pages: names as dashboards know them, and nothing else is there', { timeout: 120_000 }, async (context) => {
  const api = await operatorApi(context);
  const one = await api.start('one', LONG);
  await until(() => leads(one), PATIENCE_MS);
  const page = await one.page('metrics');
  assert.match(page.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  const text = await page.text();
  for (const name of [
    'cilium_operator_process_cpu_seconds_total',
    'cilium_operator_process_resident_memory_bytes',
    'cilium_operator_identity_gc_entries{status="alive"}',
    'cilium_operator_identity_gc_runs{outcome="success"}',
    'cilium_operator_endpoint_gc_objects{outcome="success"}',
  ])
    assert.ok(text.includes(`\n${name} `), `${name} is missing in\n${text}`);
  const { url } = await one.page('healthz');
  assert.equal((await fetch(url.replace('/healthz', '/metrics'))).status, 404);
});

test(
  'after kill -9 of the leader the other leads, not before the Lease is over, and does its work',
  { timeout: 120_000 },
  async (context) => {
    const api = await operatorApi(context);
    const first = await api.start('first', [...SHORT, ...HASTY]);
    await until(() => leads(first), PATIENCE_MS);
    const second = await api.start('second', [...SHORT, ...HASTY]);
    await until(async () => (await second.page('healthz').catch(() => undefined))?.status === 200, PATIENCE_MS);
    api.identity('300');
    await until(() => !api.hasIdentity('300'), PATIENCE_MS);
    assert.equal(await leads(second), false);
    first.signal('SIGKILL');
    assert.equal(await first.exited, 137);
    assert.equal(api.holder(), 'first', 'a killed process gives nothing back');
    api.identity('301');
    api.endpoint('orphan');
    await until(() => leads(second), PATIENCE_MS);
    assert.equal(api.holder(), 'second');
    await until(() => !api.hasIdentity('301') && !api.hasEndpoint('orphan'), PATIENCE_MS);
  },
);

/** The leader removes a CiliumEndpoint in two calls; `stops`: it is stopped between them, until another has the Lease. */
for (const stops of [true, false])
  test(
    `a leader that is ${stops ? 'stopped in the middle of a deed does not end it' : 'not stopped ends its deed (control)'}`,
    { timeout: 120_000 },
    async (context) => {
      const deleted: string[] = [];
      const started: { first?: Operator } = {};
      let stopped = false;
      const api = await operatorApi(context, ({ user, verb, resource, name }) => {
        if (verb === 'delete') deleted.push(`${user} ${resource} ${name}`);
        if (stops && user === 'first' && verb === 'get' && resource === 'pods' && !stopped) {
          stopped = true;
          started.first?.signal('SIGSTOP'); // before it has the answer
        }
      });
      const first = await api.start('first', [...SHORT, ...HASTY]);
      started.first = first;
      const { log } = first;
      await until(() => leads(first), PATIENCE_MS);
      api.endpoint('orphan');
      if (!stops) {
        await until(() => !api.hasEndpoint('orphan'), PATIENCE_MS);
        assert.deepEqual(deleted, ['first ciliumendpoints orphan']);
        return;
      }
      await until(() => stopped, PATIENCE_MS);
      const second = await api.start('second', [...SHORT, ...IDLE]); // does nothing, so that whoever deletes is known
      await until(() => leads(second), PATIENCE_MS);
      first.signal('SIGCONT');
      await until(() => log().includes('Operator does not lead any more'), PATIENCE_MS);
      first.signal('SIGTERM');
      assert.equal(await first.exited, 0, log());
      assert.deepEqual([deleted, api.hasEndpoint('orphan'), api.holder()], [[], true, 'second']);
    },
  );

const refusals: readonly { readonly what: string; readonly args: (dir: string) => readonly string[]; readonly code: 1 | 2; readonly says: RegExp }[] = [
  { what: 'an unknown option', args: () => ['--vlaues=x'], code: 2, says: /Unknown option '--vlaues'/ },
  { what: 'a time that is none', args: () => ['--identity-gc-interval=15'], code: 2, says: /Cannot use --identity-gc-interval 15, wanted a time such as 30s/ },
  { what: 'a grace of nothing', args: () => ['--identity-heartbeat-timeout=0s'], code: 2, says: /Cannot use --identity-heartbeat-timeout 0s/ },
  { what: 'a port that is none', args: () => ['--health-port=0'], code: 2, says: /Cannot use --health-port 0, wanted a port from 1 to 65535/ },
  { what: 'a Lease that ends before it is renewed', args: () => ['--leader-election-lease-duration=5s'], code: 2, says: /wanted retry-period < renew-deadline < lease-duration/ },
  { what: 'values that are not there', args: () => ['--values=/nowhere/values.yaml'], code: 1, says: /Cannot use \/nowhere\/values\.yaml.*\n.*ENOENT/ },
  { what: 'a value that is none', args: (dir) => [`--values=${join(dir, 'bad.yaml')}`], code: 1, says: /operator\.identityGCInterval \(line 2\) is "often", wanted a duration such as 15s/ },
  { what: 'a kubeconfig that is not there', args: () => ['--kubeconfig=/nowhere/config'], code: 1, says: /Cannot read kubeconfig \/nowhere\/config/ },
]; // prettier-ignore

for (const { what, args, code, says } of refusals)
  test(`it refuses to start: ${what}`, { timeout: 60_000 }, async (context) => {
    const api = await operatorApi(context);
    await writeFile(join(api.dir, 'bad.yaml'), 'operator:\n  identityGCInterval: often\n');
    const one = await api.start('one', args(api.dir));
    assert.equal(await one.exited, code, one.log());
    assert.match(one.log(), says);
    assert.doesNotMatch(one.log(), /^ {4}at /m, 'a stack trace is for bugs');
    assert.equal(api.holder(), undefined);
  });

test('values are used, and the command line goes before them', { timeout: 120_000 }, async (context) => {
  const api = await operatorApi(context);
  const values = join(api.dir, 'values.yaml');
  await writeFile(values, 'operator:\n  identityGCInterval: 100ms\n  identityHeartbeatTimeout: 1ms\n  endpointGCInterval: 0s\n');
  const one = await api.start('one', [...LONG, `--values=${values}`]);
  api.endpoint('orphan');
  api.identity('300');
  await until(() => !api.hasIdentity('300'), PATIENCE_MS);
  one.signal('SIGTERM');
  await one.exited;
  assert.equal(api.hasEndpoint('orphan'), true, 'that collection is switched off');
  const two = await api.start('two', [...LONG, `--values=${values}`, ...HASTY.slice(2), '--identity-gc-interval=0s']);
  api.identity('301');
  await until(() => !api.hasEndpoint('orphan'), PATIENCE_MS);
  assert.equal(api.hasIdentity('301'), true);
  two.signal('SIGTERM');
  assert.equal(await two.exited, 0);
});
