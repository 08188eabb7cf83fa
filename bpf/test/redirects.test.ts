// SPDX-License-Identifier: Apache-2.0
// Policies lead clients inside the cluster to podB: all of the service `local`, whose usual backend is on another node, and one port of
// `metadata`, an address of the world.
import { namespaceMissing } from './own-namespace.ts';
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { ip } from '../../src/base/ip.ts';
import { LbAddressFlag, lbAddressCodec, lbSkipCodec } from '../../src/datapath/schema.gen.ts';
import { ipCodec } from '../../src/kernel/codec.ts';
import { link, loadNode } from './loaded.ts';
import type { LoadedNode } from './loaded.ts';
import { answerTo, cases, checkPairs, delivered, expectRun, fromPod, fromWire, routed, withPorts } from './traffic.ts';

const serviceCases = cases
  .filter(({ protocol }) => protocol !== 'ping')
  .map((one) => ({ ...one, target: one.protocol === 'TCP' ? 8080 : 5353 }));

describe('a redirect', { skip: namespaceMissing }, () => {
  let node: LoadedNode;
  before(async () => {
    node = await loadNode();
  });
  after(() => node[Symbol.dispose]());
  afterEach(() => {
    node.podIs('ready');
    checkPairs(node);
    node.forget();
  });

  for (const { label, protocol, body, target, podA, podB, far, local } of serviceCases) {
    const request = fromPod('podA', { source: podA, destination: local }, body(1234));
    const toPodB = delivered('podB', request, { destination: podB, body: withPorts(request.body, { destinationPort: target }) });
    const toFar = routed(request, { destination: far, body: withPorts(request.body, { destinationPort: target }) });

    it(`leads ${label} to the pod of its own node and back`, () => {
      expectRun(node, 'pod_from', request, { verdict: 'redirect', out: toPodB });
      const reply = fromPod('podB', answerTo(toPodB), answerTo(toPodB).body);
      expectRun(node, 'pod_from', reply, {
        verdict: 'redirect',
        ifindex: link.podB,
        out: delivered('podA', reply, { source: local, body: answerTo(request).body }),
      });
    });

    for (const state of ['not ready', 'ending'] as const)
      it(`leads new flows of ${label} to the usual backends when that pod is ${state}`, () => {
        node.podIs(state);
        expectRun(node, 'pod_from', request, { verdict: 'redirect', out: toFar });
      });

    it(`does not concern ${label} from the pod that it leads to`, () => {
      const own = fromPod('podB', { source: podB, destination: local }, body(1234));
      const out = routed(own, { destination: far, body: withPorts(own.body, { destinationPort: target }) });
      expectRun(node, 'pod_from', own, { verdict: 'redirect', ifindex: link.podB, out });
    });

    it(`concerns ${label} from that pod, too, where nothing says that it skips (control)`, () => {
      const skips = node.datapath.map('lb_skips');
      const kept = Array.from(skips.entries());
      for (const [key] of kept) skips.delete(key);
      const own = fromPod('podB', { source: podB, destination: local }, body(40_000));
      const out = delivered('podB', own, {
        source: label.includes('IPv4') ? '169.254.42.1' : '100::a9fe:2a01',
        destination: podB,
        body: withPorts(own.body, { destinationPort: target }),
      });
      expectRun(node, 'pod_from', own, { verdict: 'redirect', ifindex: link.podB, out });
      for (const [key, value] of kept) skips.update(key, value);
    });

    it(`keeps a flow of ${label} with a pod that ends`, () => {
      expectRun(node, 'pod_from', request, { verdict: 'redirect', out: toPodB });
      node.podIs('ending');
      expectRun(node, 'pod_from', request, { verdict: 'redirect', out: toPodB });
    });

    it(`${protocol === 'UDP' ? 'takes a flow' : 'leaves the connection'} of ${label} ${protocol === 'UDP' ? 'from' : 'with'} a pod that is not ready any more`, () => {
      expectRun(node, 'pod_from', request, { verdict: 'redirect', out: toPodB });
      node.podIs('not ready');
      expectRun(node, 'pod_from', request, { verdict: 'redirect', out: protocol === 'UDP' ? toFar : toPodB });
      node.forget(); // the answers of the flow as it was are nobody's now
    });
  }

  for (const { label, family, body, podA, podB, world, node: host, metadata } of cases.filter(({ protocol }) => protocol !== 'ping')) {
    const asked = (port: number) => withPorts(body(40_000), { destinationPort: port });
    const through = (port: number) => fromPod('podA', { source: podA, destination: metadata }, asked(port));
    const passed = (port: number) => routed(through(port), { source: host });

    if (label.startsWith('TCP')) {
      it(`leads one port of an address to the pod, over IPv${family}, and back`, () => {
        const out = delivered('podB', through(80), { destination: podB, body: withPorts(asked(80), { destinationPort: 8080 }) });
        expectRun(node, 'pod_from', through(80), { verdict: 'redirect', out });
        const reply = fromPod('podB', answerTo(out), answerTo(out).body);
        expectRun(node, 'pod_from', reply, {
          verdict: 'redirect',
          ifindex: link.podB,
          out: delivered('podA', reply, { source: metadata, body: answerTo(through(80)).body }),
        });
      });

      it(`leaves that port to the address itself when the pod is not ready, over IPv${family}`, () => {
        node.podIs('not ready');
        expectRun(node, 'pod_from', through(80), { verdict: 'redirect', out: passed(80) });
      });

      it(`leaves that port to the address itself for the pod that it leads to, over IPv${family}`, () => {
        const own = fromPod('podB', { source: podB, destination: metadata }, asked(80));
        expectRun(node, 'pod_from', own, { verdict: 'redirect', ifindex: link.podB, out: routed(own, { source: host }) });
      });

      it(`refuses the other ports where the address is a service's (control), over IPv${family}`, () => {
        const addresses = node.datapath.map('lb_addresses');
        const key = ipCodec.encode(ip(metadata));
        const before = addresses.lookup(key);
        assert.deepEqual(before && lbAddressCodec.decode(before).flags, LbAddressFlag.redirect);
        addresses.update(key, lbAddressCodec.encode({ flags: LbAddressFlag.inside, guards: [0, 0, 0] }));
        const outcome = node.run('pod_from', through(81), { ifindex: link.podA });
        if (before) addresses.update(key, before);
        assert.equal(outcome.verdict, 'redirect');
        assert.notDeepEqual(outcome.frame, node.run('pod_from', through(81), { ifindex: link.podA }).frame);
      });
    }

    it(`leaves other ports of that address alone, ${label}`, () => {
      const port = label.startsWith('TCP') ? 81 : 80;
      expectRun(node, 'pod_from', through(port), { verdict: 'redirect', out: passed(port) });
      assert.notEqual(world, metadata);
    });

    it(`does not concern the wire, ${label}`, () => {
      const request = fromWire({ source: world, destination: metadata }, asked(80));
      expectRun(node, 'host_from', request, { verdict: 'stack', out: request });
    });
  }

  it('names who skips by the interface of the pod, once for each port and family', () => {
    const rows = Array.from(node.datapath.map('lb_skips').entries(), ([key]) => lbSkipCodec.decode(key));
    assert.deepEqual([...new Set(rows.map(({ cookie }) => cookie))], [BigInt(link.podB)]);
    assert.equal(rows.length, 6);
  });
});
