// SPDX-License-Identifier: Apache-2.0
// Who keeps a backend, for how long, and what ends it: clients of a service with session affinity, and flows of datagrams.

import { namespaceMissing } from './own-namespace.ts';
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { AFFINITY } from './cluster.ts';
import { link, loadNode, packetFrom } from './loaded.ts';
import type { LoadedNode } from './loaded.ts';
import { cases, fromPod, udp } from './traffic.ts';

const everybody = ['podB', 'far', 'far2'] as const;

describe('session affinity', { skip: namespaceMissing }, () => {
  let node: LoadedNode;
  before(async () => {
    node = await loadNode();
  });
  after(() => node[Symbol.dispose]());
  beforeEach(() => node.serve('sticky', everybody));
  afterEach(() => node.forget());

  for (const { label, body, podA, sticky, many, podB, far, far2 } of cases.filter(({ protocol }) => protocol !== 'ping')) {
    const choice = (port: number, destination: string = sticky) =>
      packetFrom(node.run('pod_from', fromPod('podA', { source: podA, destination }, body(port)), { ifindex: link.podA })).destination;
    const names = { [podB]: 'podB', [far]: 'far', [far2]: 'far2' } as const;
    const others = (address: string) => everybody.filter((name) => name !== names[address]);

    // covers: affinity
    it(`gives ${label} of one client the same backend again and again`, () => {
      const first = choice(2000);
      for (let port = 2001; port < 2040; port++) assert.equal(choice(port), first);
      const control = new Set(Array.from({ length: 40 }, (_, i) => choice(3000 + i, many)));
      assert.equal(control.size, 2, 'a service without affinity spreads the same packets');
    });

    // covers: affinity-timeout
    it(`lets ${label} choose anew once the time has passed, and not a second before`, () => {
      const first = choice(2000);
      node.age(AFFINITY - 2);
      assert.equal(choice(2001), first);
      const later = new Set<string>();
      for (let port = 2100; port < 2140; port++) {
        node.age(AFFINITY + 1);
        later.add(choice(port));
      }
      assert.ok(later.size > 1, `40 expiries led to ${later.size} backend`);
    });

    it(`counts the time of ${label} from the last connection`, () => {
      const first = choice(2000);
      for (let port = 2001; port < 2020; port++) {
        node.age(AFFINITY - 2);
        assert.equal(choice(port), first);
      }
    });

    // covers: affinity-timeout
    it(`gives ${label} another backend when its own is gone, and keeps that one when the first comes back`, () => {
      const first = choice(2000);
      node.serve('sticky', others(first));
      const second = choice(2001);
      assert.notEqual(second, first);
      node.serve('sticky', everybody);
      for (let port = 2002; port < 2020; port++) assert.equal(choice(port), second);
    });

    it(`gives ${label} another backend when its own begins to drain`, () => {
      const first = choice(2000);
      const draining = names[first];
      assert.ok(draining);
      node.serve('sticky', others(first), [draining]);
      assert.notEqual(choice(2001), first);
    });

    it(`keeps the backend of ${label} when another one leaves, whatever slots move`, () => {
      for (const leaving of everybody) {
        node.forget();
        node.serve('sticky', everybody);
        let first = choice(2000);
        for (let port = 2001; names[first] === leaving; port++) {
          node.forget();
          first = choice(port);
        }
        node.serve(
          'sticky',
          everybody.filter((name) => name !== leaving),
        );
        assert.equal(choice(2500), first, `when ${leaving} left`);
      }
    });
  }
});

describe('a flow of datagrams', { skip: namespaceMissing }, () => {
  let node: LoadedNode;
  before(async () => {
    node = await loadNode();
  });
  after(() => node[Symbol.dispose]());
  afterEach(() => {
    node.serve('many', ['far', 'far2']);
    node.forget();
  });

  for (const { family, protocol, podA, many, far, far2 } of cases.filter((one) => one.protocol !== 'ping')) {
    const body = protocol === 'UDP' ? udp(1234, 53) : undefined;
    if (!body) continue;
    const choice = () =>
      packetFrom(node.run('pod_from', fromPod('podA', { source: podA, destination: many }, body), { ifindex: link.podA })).destination;
    const [left, stays] = [
      (address: string) => (address === far ? 'far' : 'far2'),
      (address: string) => (address === far ? 'far2' : 'far'),
    ];

    // covers: udp-stale
    it(`leaves a backend over IPv${family} that its service has no more, though another service has it`, () => {
      node.serve('sticky', ['far', 'far2']); // so that the backends stay
      const first = choice();
      node.serve('many', [stays(first)]);
      assert.equal(choice(), first === far ? far2 : far);
    });

    it(`stays with a backend over IPv${family} that drains, while a new one does not begin there`, () => {
      const first = choice();
      node.serve('many', [stays(first)], [left(first)]);
      for (let i = 0; i < 10; i++) assert.equal(choice(), first);
      for (let port = 2000; port < 2010; port++) {
        const fresh = fromPod('podA', { source: podA, destination: many }, udp(port, 53));
        assert.notEqual(packetFrom(node.run('pod_from', fresh, { ifindex: link.podA })).destination, first);
      }
    });
  }
});
