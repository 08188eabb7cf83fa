// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ip } from '../base/ip.ts';
import { LbServiceFlag } from '../datapath/schema.gen.ts';
import type { ContainerPort, Pod } from '../kube/types.ts';
import { cluster, service, values } from './testdata/cluster.ts';

function pod(
  name: string,
  ports: readonly ContainerPort[],
  more: { spec?: Pod['spec'] & object; status?: Pod['status'] & object; deleted?: boolean } = {},
): Pod {
  return {
    metadata: { namespace: 'shop', name, ...(more.deleted === true && { deletionTimestamp: '2026-01-01T00:00:00Z' }) },
    spec: { containers: [{ name: 'main', ports }], ...more.spec },
    status: { phase: 'Running', podIPs: [{ ip: '10.244.1.5' }, { ip: 'fd00:10:244:1::5' }], ...more.status },
  };
}

const web = (port: Partial<ContainerPort> = {}): ContainerPort => ({ containerPort: 80, hostPort: 8080, ...port });

async function withPods(...pods: readonly Pod[]) {
  const found = cluster();
  for (const one of pods) found.putPod(one);
  await found.synced();
  return found;
}

type Tables = Awaited<ReturnType<typeof withPods>>;
const frontends = (found: Tables) => Object.keys(values(found.lbServices)).toSorted();
const troubles = ({ problems }: Tables) => Array.from(problems.entries(), ([, { object, reason }]) => `${object} ${reason}`);

/** The address to which a frontend leads. */
function backendAt({ lbServices, lbSlots, lbBackends }: Tables, key: string): string | undefined {
  const id = lbServices.get(key)?.value.id;
  const slot = lbSlots.get(`${id}/0`)?.value.backend;
  const backend = lbBackends.get(`${slot}`)?.value;
  return backend && `${backend.address} ${backend.port}`;
}

describe('host ports', () => {
  const places: readonly [hostIP: string | undefined, frontends: readonly string[]][] = [
    [undefined, ['0.0.0.0:8080/TCP', '[::]:8080/TCP']],
    ['0.0.0.0', ['0.0.0.0:8080/TCP']],
    ['::', ['[::]:8080/TCP']],
    ['192.168.0.11', ['192.168.0.11:8080/TCP']],
    ['127.0.0.1', ['127.0.0.1:8080/TCP']],
    ['::1', ['[::1]:8080/TCP']],
  ];
  for (const [hostIP, wanted] of places)
    it(`with hostIP ${hostIP ?? 'unset'} are at ${wanted.join(' and ')}`, async () => {
      const found = await withPods(pod('web', [web(hostIP === undefined ? {} : { hostIP })]));
      assert.deepEqual(frontends(found), wanted);
      assert.equal(found.problems.size, 0);
      for (const key of wanted) {
        const { id, outside, flags } = found.lbServices.get(key)?.value ?? {};
        assert.equal(flags, LbServiceFlag.hostPort);
        assert.equal(outside, hostIP === '127.0.0.1' || hostIP === '::1' ? 0 : id, 'the wire does not reach loopback addresses');
        assert.equal(backendAt(found, key), key.startsWith('[') ? 'fd00:10:244:1::5 80' : '10.244.1.5 80');
      }
      const services = Array.from(found.lbAddresses.entries(), ([address]) => address);
      assert.deepEqual(services, ['192.168.0.11'], 'what the pod does not serve at these addresses stays as it was');
    });

  // covers: host-port-address
  it('are of their protocol: one number may be three of them', async () => {
    const ports = [web(), web({ protocol: 'UDP' }), web({ protocol: 'SCTP', containerPort: 8080 })];
    const found = await withPods(pod('web', ports));
    assert.deepEqual(
      frontends(found).filter((key) => key.startsWith('0')),
      ['0.0.0.0:8080/SCTP', '0.0.0.0:8080/TCP', '0.0.0.0:8080/UDP'],
    );
  });

  // covers: host-port-address
  it('of one number at two addresses are two pods', async () => {
    const other = { status: { podIPs: [{ ip: '10.244.1.6' }] } };
    const found = await withPods(pod('a', [web({ hostIP: '127.0.0.1' })]), pod('b', [web({ hostIP: '192.168.0.11' })], other));
    assert.deepEqual(
      [backendAt(found, '127.0.0.1:8080/TCP'), backendAt(found, '192.168.0.11:8080/TCP')],
      ['10.244.1.5 80', '10.244.1.6 80'],
    );
  });

  const absent: readonly [what: string, pod: Pod][] = [
    ['that is being deleted', pod('web', [web()], { deleted: true })],
    ['that has ended', pod('web', [web()], { status: { phase: 'Succeeded' } })],
    ['that has no address yet', pod('web', [web()], { status: { podIPs: [] } })],
    [
      "that has the node's network: its process has the port itself",
      pod('web', [web()], { spec: { hostNetwork: true, containers: [{ name: 'main', ports: [web()] }] } }),
    ],
    ['without host ports', pod('web', [{ containerPort: 80 }])],
  ];
  for (const [what, one] of absent)
    it(`are none of a pod ${what}, and go when it becomes so`, async () => {
      const found = await withPods(pod('web', [web()]));
      assert.equal(frontends(found).length, 2);
      found.putPod(one);
      await found.settled();
      assert.deepEqual([frontends(found), found.lbBackends.size, found.problems.size], [[], 0, 0]);
    });

  it('go with their pod, and its successor on the same port gets them', async () => {
    const found = await withPods(pod('a', [web()]));
    found.putPod(pod('b', [web()], { status: { podIPs: [{ ip: '10.244.1.6' }] } }));
    await found.settled();
    assert.deepEqual(troubles(found), ['Pod shop/b FrontendTaken']);
    found.forgetPod(pod('a', []));
    await found.settled();
    assert.deepEqual([backendAt(found, '0.0.0.0:8080/TCP'), found.problems.size], ['10.244.1.6 80', 0]);
  });

  // covers: host-port-taken
  it('give way to a node port of the same number and protocol, whoever came first', async () => {
    const found = await withPods(pod('web', [web({ hostPort: 30_080 })]));
    assert.equal(backendAt(found, '0.0.0.0:30080/TCP'), '10.244.1.5 80');
    const ports = (protocol: string) => [{ name: 'http', port: 80, nodePort: 30_080, protocol }];
    found.put(service('cart', { type: 'NodePort', clusterIPs: ['10.96.4.7'], ports: ports('UDP') }));
    await found.settled();
    assert.deepEqual(troubles(found), [], 'another protocol is another port');
    found.put(service('cart', { type: 'NodePort', clusterIPs: ['10.96.4.7'], ports: ports('TCP') }));
    await found.settled();
    assert.deepEqual(troubles(found), ['Pod shop/web HostPortTaken']);
    assert.equal(found.frontends.get('0.0.0.0:30080/TCP')?.service, 'shop/cart');
    found.forget(service('cart', {}));
    await found.settled();
    assert.deepEqual([backendAt(found, '0.0.0.0:30080/TCP'), troubles(found)], ['10.244.1.5 80', []]);
  });

  const refused: readonly [what: string, port: Partial<ContainerPort>, trouble: string][] = [
    ["at an address that is not the node's", { hostIP: '192.168.0.99' }, 'HostIpNotServed'],
    ['with a hostIP that is no address', { hostIP: 'eth0' }, 'InvalidField'],
    ['of no port', { hostPort: 70_000 }, 'InvalidField'],
  ];
  for (const [what, port, reason] of refused)
    it(`${what} are Problems, and the pod's others are served`, async () => {
      const found = await withPods(pod('web', [web(port), web({ hostPort: 8081 })]));
      assert.deepEqual([frontends(found), troubles(found)], [['0.0.0.0:8081/TCP', '[::]:8081/TCP'], [`Pod shop/web ${reason}`]]);
    });

  it('are served at an address as soon as it is one of the node', async () => {
    const found = await withPods(pod('web', [web({ hostIP: '192.168.0.99' })]));
    found.addresses.put('192.168.0.99', { address: ip('192.168.0.99') });
    await found.settled();
    assert.deepEqual([frontends(found), troubles(found)], [['192.168.0.99:8080/TCP'], []]);
  });
});
