// SPDX-License-Identifier: Apache-2.0
// The interfaces that lead out of a node: which they are, and what follows when they change.
import { expect, IPV, ofFamily } from './check.ts';
import type { Check, CheckContext } from './check.ts';
import { agentOn, said } from './agents.ts';
import { answersBySecondSegment } from './segments.ts';
import { NODE_NAMES } from './places.ts';
import { url } from './traffic.ts';
import { until } from '../until.ts';

async function reasonsAreTold(context: CheckContext): Promise<string> {
  for (const node of NODE_NAMES) {
    const text = await said(agentOn(context, node), ['cilium', 'status', '--verbose']);
    const [address = ''] = context.places.node(node).ips;
    for (const line of [`  eth0: chosen because it has ${address}, an address of Node ${node}`, '  lo: ignored because it is the loopback'])
      expect(text.split('\n').includes(line), `'cilium status --verbose' on ${node} has no line '${line}':\n${text}`);
    const direct = /^  services, from the wire, DSR: 1492 IPv4, 1476 IPv6 \(/m;
    expect(direct.test(text), `'cilium status --verbose' on ${node} tells no budget of DSR:\n${text}`);
    expect(
      /^MTU: +1500 \(the least of the uplinks: eth0 1500\)$/m.test(text),
      `'cilium status --verbose' on ${node} tells no MTU:\n${text}`,
    );
  }
  return 'eth0, its MTU, and the budget of DSR';
}

const SMALLER = 1_400; // bytes

/** The MTU of node3's uplink goes down and up again; a pod of node3 that runs all the time follows, and is reached. */
async function podsFollow({ places, signal }: CheckContext): Promise<string> {
  const [node, pod] = [places.node('node3'), places.echoOn('node3')];
  const mtu = async () => /mtu (\d+)/.exec((await pod.run(['ip', 'link', 'show', 'eth0'])).stdout)?.[1];
  const change = async (to: number) => {
    await node.run(['ip', 'link', 'set', 'eth0', 'mtu', String(to)]);
    const started = performance.now();
    await until(`the pod on node3 to have an MTU of ${to}`, 3_000, async () => (await mtu()) === String(to), signal);
    return `${(performance.now() - started).toFixed(0)} ms`;
  };
  expect((await mtu()) === '1500', `The pod on node3 begins with an MTU of ${await mtu()}, wanted 1500`);
  try {
    const took = await change(SMALLER);
    for (const family of IPV) {
      const target = url(ofFamily(pod.ips, family), 8080, '/bytes/100000');
      const ran = await places.client.run([
        'curl',
        '--silent',
        '--globoff',
        '--max-time',
        '4',
        '--output',
        '/dev/null',
        '--write-out',
        '%{size_download}',
        target,
      ]);
      expect(ran.stdout === '100000', `${ran.stdout || 'No'} bytes came from ${target} with an MTU of ${SMALLER}, wanted 100000`);
    }
    return `${SMALLER} after ${took}, 1500 again after ${await change(1_500)}`;
  } finally {
    await node.run(['ip', 'link', 'set', 'eth0', 'mtu', '1500']);
  }
}

export const uplinkChecks: readonly Check[] = [
  { name: 'cilium status --verbose says which interfaces lead out, and why', needs: 'agent', run: reasonsAreTold },
  { name: 'Pods follow when the MTU of their uplink changes', needs: 'agent', run: podsFollow },
  { name: 'A node with a second segment answers those who ask there by that segment', needs: 'services', run: answersBySecondSegment },
];
