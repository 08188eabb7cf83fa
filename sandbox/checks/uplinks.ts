// SPDX-License-Identifier: Apache-2.0
// The interfaces that lead out of a node: which they are, and what follows when they change.
import { expect } from './check.ts';
import type { Check, CheckContext } from './check.ts';
import { agentOn, said } from './commands.ts';
import { NODE_NAMES } from './places.ts';

async function reasonsAreTold(context: CheckContext): Promise<string> {
  for (const node of NODE_NAMES) {
    const text = await said(agentOn(context, node), ['cilium', 'status', '--verbose']);
    const [address = ''] = context.places.node(node).ips;
    for (const line of [`  eth0: chosen because it has ${address}, an address of Node ${node}`, '  lo: ignored because it is the loopback'])
      expect(text.split('\n').includes(line), `'cilium status --verbose' on ${node} has no line '${line}':\n${text}`);
    expect(
      /^MTU: +1500 \(the least of the uplinks: eth0 1500\)$/m.test(text),
      `'cilium status --verbose' on ${node} tells no MTU:\n${text}`,
    );
  }
  return 'eth0 and its MTU';
}

export const uplinkChecks: readonly Check[] = [
  { name: 'cilium status --verbose says which interfaces lead out, and why', needs: 'agent', run: reasonsAreTold },
];
