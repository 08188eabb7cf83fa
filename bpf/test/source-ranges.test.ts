// SPDX-License-Identifier: Apache-2.0
// loadBalancerSourceRanges: which clients on the wire a load balancer IP lets in.
import { namespaceMissing } from './own-namespace.ts';
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { DropReason } from '../../src/datapath/schema.gen.ts';
import { at, families, nodePortOf, vipOf } from './cluster.ts';
import { link, loadNode } from './loaded.ts';
import type { LoadedNode } from './loaded.ts';
import type { Packet } from './packet.ts';
import { answerTo, cases, checkPairs, delivered, echo, expectDrop, expectRun, fromPod, fromWire, withPorts } from './traffic.ts';

const reason = DropReason.deniedByLbSrcRangeCheck;

describe('loadBalancerSourceRanges', { skip: namespaceMissing }, () => {
  let node: LoadedNode;
  before(async () => {
    node = await loadNode();
  });
  after(() => node[Symbol.dispose]());
  afterEach(() => {
    checkPairs(node);
    node.forget();
  });

  for (const { protocol, family, label, body, world, other, node: host, podA, podB } of cases.filter((one) => one.protocol !== 'ping')) {
    const [index, target] = protocol === 'TCP' ? [0, 8080] : [1, 5353];
    const reaches = (source: string, destination: string, port?: number) => {
      const request = fromWire({ source, destination }, withPorts(body(1234), port === undefined ? {} : { destinationPort: port }));
      const out = delivered('podB', request, { destination: podB, body: withPorts(request.body, { destinationPort: target }) });
      expectRun(node, 'host_from', request, { verdict: 'redirect', out });
    };
    const isDropped = (source: string, destination: string) =>
      expectDrop(node, 'host_from', fromWire({ source, destination }, body(1234)), { reason });

    // covers: source-ranges
    it(`lets in clients that it names and no others: ${label}`, () => {
      reaches(world, vipOf('guarded', family));
      isDropped(other, vipOf('guarded', family));
      reaches(other, vipOf('front', family)); // control: a service without ranges
    });

    it(`keeps out clients that it names and no others where the policy is deny: ${label}`, () => {
      isDropped(world, vipOf('barred', family));
      reaches(other, vipOf('barred', family));
    });

    it(`keeps out of ports that nobody serves, too, whom it keeps out: ${label}`, () => {
      const closed = (source: string, destination: string) =>
        fromWire({ source, destination }, withPorts(body(1234), { destinationPort: 81 }));
      const isRefused = (request: Packet) => assert.equal(node.run('host_from', request, { ifindex: link.uplink }).verdict, 'redirect');
      expectDrop(node, 'host_from', closed(other, vipOf('guarded', family)), { reason });
      expectDrop(node, 'host_from', closed(world, vipOf('barred', family)), { reason });
      isRefused(closed(world, vipOf('guarded', family)));
      isRefused(closed(other, vipOf('barred', family)));
      isRefused(closed(other, vipOf('front', family))); // control: a service without ranges
    });

    // covers: source-ranges-inside
    it(`says nothing of node ports and of clients inside the cluster: ${label}`, () => {
      reaches(other, host, (nodePortOf.guarded ?? 0) + index);
      reaches(world, host, (nodePortOf.barred ?? 0) + index);
      const request = fromPod('podA', { source: podA, destination: vipOf('guarded', family) }, body(1234));
      const out = delivered('podB', request, { destination: podB, body: withPorts(request.body, { destinationPort: target }) });
      expectRun(node, 'pod_from', request, { verdict: 'redirect', out });
    });
  }

  for (const family of families) {
    const { world, other, podA } = at[family];
    it(`lets those ping a load balancer IP whom it lets in: IPv${family}`, () => {
      const ping = (source: string, destination: string) => fromWire({ source, destination }, echo(7));
      const isAnswered = (request: Packet) =>
        expectRun(node, 'host_from', request, {
          verdict: 'redirect',
          out: { ...request, from: request.to, to: request.from, ...answerTo(request) },
          mark: 0,
        });
      isAnswered(ping(world, vipOf('guarded', family)));
      expectDrop(node, 'host_from', ping(other, vipOf('guarded', family)), { reason });
      isAnswered(ping(other, vipOf('barred', family)));
      expectDrop(node, 'host_from', ping(world, vipOf('barred', family)), { reason });
      isAnswered(ping(other, vipOf('front', family))); // control: a service without ranges
      const fromInside = fromPod('podA', { source: podA, destination: vipOf('guarded', family) }, echo(7));
      assert.equal(node.run('pod_from', fromInside, { ifindex: link.podA }).verdict, 'redirect');
    });
  }
});
