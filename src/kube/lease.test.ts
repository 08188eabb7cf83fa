// SPDX-License-Identifier: Apache-2.0
// The protocol of the Lease against the API of the sandbox, with a clock that the test moves.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { Faults } from '../../sandbox/api/faults.ts';
import { startTestServer, TOKEN } from '../../sandbox/api/server-fixture.ts';
import type { Clock } from '../base/clock.ts';
import { until } from '../base/until.ts';
import { kubeClient } from './client.ts';
import type { KubeClient } from './client.ts';
import { leaseHolder } from './lease.ts';
import type { Term } from './lease.ts';
import type { Lease } from './types.ts';

const LEASES = 'leases.coordination.k8s.io';
const KEY = { namespace: 'default', name: 'lock' };
const TIMES = { durationMs: 15_000, renewMs: 10_000, retryMs: 2 };

/** `monotonic` stands still unless moved; the time of day may be anything. */
type TestClock = Clock & { ms: number; dayMs: number };

function clockAt(dayMs = 0): TestClock {
  const clock = { ms: 1000, dayMs, now: () => clock.dayMs, monotonic: () => clock.ms };
  return clock;
}

async function setup(context: TestContext) {
  const faults: Faults = {};
  const asked: string[] = [];
  const onRequest = ({ verb, resource }: { readonly verb: string; readonly resource: string }) => void asked.push(`${verb} ${resource}`);
  const { api, port } = await startTestServer(context, { faults, onRequest });
  const credentials = () => ({ token: TOKEN, ca: api.caPem, cert: undefined, key: undefined });
  const servers = () => [{ url: `https://127.0.0.1:${port}`, name: undefined }];
  const access = { servers, insecure: false, namespace: undefined, credentials };
  const spec = () => (api.store.get(LEASES, KEY) as Lease | undefined)?.spec; // as: it is a Lease
  /** Its tries until now are over, and some more have been made since. */
  const tried = async () => {
    const before = asked.length;
    await until(() => asked.length > before + 6);
  };
  const start = (identity: string, clock: Clock, change: (client: KubeClient) => KubeClient = (client) => client) => {
    const client = kubeClient({ access, deadlineMs: 2000 });
    const stop = new AbortController();
    const terms: Term[] = [];
    const holder = leaseHolder({ ...KEY, ...TIMES, client: change(client), identity, clock });
    const lead = (term: Term) => {
      terms.push(term);
      return new Promise<void>((resolve) => term.signal.addEventListener('abort', () => resolve()));
    };
    const done = holder.run(lead, stop.signal);
    const end = async () => {
      stop.abort();
      await done;
      client.close();
    };
    context.after(end);
    return { holder, terms, end };
  };
  const held = (fields: object) =>
    api.store.create(LEASES, { metadata: KEY, spec: { holderIdentity: 'other', leaseDurationSeconds: 15, ...fields } });
  return { store: api.store, faults, asked, access, spec, tried, start, held };
}

test('a Lease that nobody has is taken, and says by whom and for how long', async (context) => {
  const { start, spec, tried } = await setup(context);
  const one = start('one', clockAt());
  await until(() => one.holder.status.leads);
  await tried();
  const { holderIdentity, leaseDurationSeconds, leaseTransitions } = spec() ?? {};
  assert.deepEqual({ holderIdentity, leaseDurationSeconds, leaseTransitions }, { holderIdentity: 'one', leaseDurationSeconds: 15, leaseTransitions: 0 }); // prettier-ignore
  assert.equal(one.terms.length, 1);
  assert.equal(one.terms[0]?.holds(), true);
});

for (const renewTime of ['1970-01-01T00:00:00.000000Z', '2199-01-01T00:00:00.000000Z'])
  test(`times that others write count for nothing: ${renewTime}`, async (context) => {
    const { start, held, tried, spec } = await setup(context);
    held({ renewTime, acquireTime: renewTime });
    const clock = clockAt(Date.parse('2026-01-01'));
    const one = start('one', clock);
    await tried();
    assert.deepEqual([one.holder.status.leads, one.holder.status.holder], [false, 'other']);
    clock.ms += 14_999;
    clock.dayMs += 365 * 86_400_000;
    await tried();
    assert.equal(one.holder.status.leads, false, 'a millisecond too early');
    clock.ms += 1;
    await until(() => one.holder.status.leads);
    assert.deepEqual([spec()?.holderIdentity, spec()?.leaseTransitions], ['one', 1]);
  });

test('each renewal of another begins its time anew, as we see it', async (context) => {
  const { start, held, tried, store } = await setup(context);
  held({});
  const clock = clockAt();
  const one = start('one', clock);
  for (let i = 1; i <= 3; i++) {
    await tried();
    clock.ms += 14_000;
    store.patch(LEASES, KEY, { spec: { renewTime: `2026-01-01T00:00:0${i}.000000Z` } });
    await tried();
    assert.equal(one.holder.status.leads, false);
  }
  clock.ms += 15_000;
  await until(() => one.holder.status.leads);
});

test('who was faster has it: a write on an older version is refused, and that is no error', async (context) => {
  const { start, held, store, tried } = await setup(context);
  held({ holderIdentity: '' });
  let races = 0;
  const raced = (client: KubeClient): KubeClient => ({
    ...client,
    put: (path, body, signal) => {
      if (races++ === 0) store.patch(LEASES, KEY, { spec: { holderIdentity: 'other' } });
      return client.put(path, body, signal);
    },
  });
  const one = start('one', clockAt(), raced);
  await until(() => races > 0);
  await tried();
  assert.deepEqual(one.holder.status, { leads: false, holder: 'other', error: undefined });
  assert.equal(races, 1);
  assert.equal(one.terms.length, 0);
});

test('control: with nobody faster the same write is taken', async (context) => {
  const { start, held } = await setup(context);
  held({ holderIdentity: '' });
  const one = start('one', clockAt());
  await until(() => one.holder.status.leads);
});

test('of two that begin at once one leads', async (context) => {
  const { start, tried } = await setup(context);
  const both = ['one', 'two'].map((name) => start(name, clockAt()));
  await until(() => both.some(({ holder }) => holder.status.leads));
  await tried();
  assert.equal(both.filter(({ holder }) => holder.status.leads).length, 1);
});

test('who cannot renew stops before others may begin, says why, and leads again when it can', async (context) => {
  const { start, faults, tried } = await setup(context);
  const [clock, others] = [clockAt(), clockAt()];
  const one = start('one', clock);
  await until(() => one.holder.status.leads);
  const two = start('two', others);
  await tried();
  faults.refuse = 1;
  await until(() => one.holder.status.error !== undefined);
  assert.equal(one.terms[0]?.holds(), true, 'one failure is not the end');
  clock.ms += 10_000;
  others.ms += 10_000;
  await until(() => !one.holder.status.leads);
  assert.deepEqual([one.terms[0]?.holds(), one.terms[0]?.signal.aborted, two.holder.status.leads], [false, true, false]);
  assert.match(one.holder.status.error ?? '', /lock/);
  faults.refuse = 0;
  await until(() => one.holder.status.leads);
  await tried();
  assert.deepEqual([one.terms.length, two.holder.status.leads, one.holder.status.error], [2, false, undefined]);
});

test('control: who renews keeps it, however long', async (context) => {
  const { start, tried } = await setup(context);
  const [clock, others] = [clockAt(), clockAt()];
  const one = start('one', clock);
  await until(() => one.holder.status.leads);
  const two = start('two', others);
  for (let i = 0; i < 10; i++) {
    await tried();
    clock.ms += 5000;
    others.ms += 5000;
  }
  await tried();
  assert.deepEqual([one.terms.length, one.holder.status.leads, two.holder.status.leads], [1, true, false]);
});

test('who has slept holds nothing, before anything has told it', async (context) => {
  const { start } = await setup(context);
  const clock = clockAt();
  const one = start('one', clock);
  await until(() => one.holder.status.leads);
  assert.equal(one.terms[0]?.holds(), true);
  clock.ms += 10_000;
  assert.equal(one.terms[0]?.holds(), false);
});

test('a clock that is set back or forth changes nothing', async (context) => {
  const { start, tried } = await setup(context);
  const clock = clockAt(Date.parse('2026-01-01'));
  const one = start('one', clock);
  await until(() => one.holder.status.leads);
  for (const days of [-400, 800, -10]) {
    clock.dayMs += days * 86_400_000;
    await tried();
    assert.deepEqual([one.terms.length, one.terms[0]?.holds()], [1, true]);
  }
});

test('who finds another in its place stops', async (context) => {
  const { start, store } = await setup(context);
  const one = start('one', clockAt());
  await until(() => one.holder.status.leads);
  store.patch(LEASES, KEY, { spec: { holderIdentity: 'other' } });
  await until(() => !one.holder.status.leads);
  assert.deepEqual([one.terms[0]?.signal.aborted, one.holder.status.holder], [true, 'other']);
});

test('a Lease that somebody deletes is made again', async (context) => {
  const { start, store, spec } = await setup(context);
  const one = start('one', clockAt());
  await until(() => one.holder.status.leads);
  store.delete(LEASES, KEY);
  await until(() => spec()?.holderIdentity === 'one');
  assert.equal(one.terms.length, 1);
});

test('who ends gives it back, and the next has it without waiting', async (context) => {
  const { start, spec, tried } = await setup(context);
  const [one, two] = [start('one', clockAt()), start('two', clockAt())];
  await until(() => one.holder.status.leads || two.holder.status.leads);
  await tried();
  const [leader, standby] = one.holder.status.leads ? [one, two] : [two, one];
  await leader.end();
  await until(() => standby.holder.status.leads);
  await standby.end();
  assert.equal(spec()?.holderIdentity, '');
});

test('who ends after it has lost the Lease leaves it to who has it', async (context) => {
  const { start, store, spec } = await setup(context);
  const one = start('one', clockAt());
  await until(() => one.holder.status.leads);
  store.patch(LEASES, KEY, { spec: { holderIdentity: 'other' } });
  await one.end();
  assert.equal(spec()?.holderIdentity, 'other');
});

test('what fails while leading ends it all, and is told', async (context) => {
  const { access } = await setup(context);
  const client = kubeClient({ access });
  context.after(() => client.close());
  const holder = leaseHolder({ ...KEY, ...TIMES, client, identity: 'one', clock: clockAt() });
  await assert.rejects(
    holder.run(() => Promise.reject(new Error('a bug')), new AbortController().signal),
    /a bug/,
  );
  assert.equal(holder.status.leads, false);
});
