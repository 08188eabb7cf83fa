// SPDX-License-Identifier: Apache-2.0
// What to try next, once the sandbox is up.
import { relative } from 'node:path';
import type { Layout } from './layout.ts';
import { netnsOf } from './layout.ts';

export const usage = (
  layout: Layout,
  kubeconfig: string,
  page?: string,
): string => `The sandbox is up. In another terminal, in this directory:

  export KUBECONFIG=${relative(process.cwd(), kubeconfig)}
  kubectl get nodes,pods,services -A -o wide
  kubectl -n kube-system exec ds/cilium -- cilium status --brief
  kubectl -n kube-system exec ds/cilium -- cilium service list
  kubectl -n shop logs -f deploy/visitor
  kubectl -n checks exec -it client -- bash
  ip netns exec ${netnsOf(layout, 'client')} ping -c 3 192.168.0.11
${
  page === undefined
    ? ''
    : `
The web page is at ${page}
`
}
Ctrl-C here, or 'npm run sandbox -- down' there, ends it and leaves nothing.`;
