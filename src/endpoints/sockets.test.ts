// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../kube/types.ts';
import { exemptPodRows } from './sockets.ts';

const cases: readonly [what: string, pod: Partial<Pod['metadata']>, exempt: boolean, problems: number][] = [
  ['nothing', {}, false, 0],
  ['the annotation "false"', { annotations: { 'stentor.dev/socket-lb': 'false' } }, true, 0],
  ['the annotation "true"', { annotations: { 'stentor.dev/socket-lb': 'true' } }, false, 0],
  ['an annotation that is neither', { annotations: { 'stentor.dev/socket-lb': 'off' } }, false, 1],
  ['a sidecar of Istio', { annotations: { 'sidecar.istio.io/status': '{}' } }, true, 0],
  ['a sidecar of Linkerd', { annotations: { 'linkerd.io/proxy-version': '2' } }, true, 0],
  ['a virtual machine of KubeVirt', { labels: { 'kubevirt.io/created-by': 'u' } }, true, 0],
  ['a sidecar, and the annotation "true"', { annotations: { 'stentor.dev/socket-lb': 'true', 'sidecar.istio.io/status': '{}' } }, false, 0],
];
for (const [what, metadata, exempt, problems] of cases)
  test(`the sockets of a pod with ${what} are ${exempt ? 'left as they are' : 'translated'}`, () => {
    const rows = [...exemptPodRows({ metadata: { name: 'a', namespace: 'shop', ...metadata } })];
    assert.equal(rows.filter((row) => !('kind' in row)).length, exempt ? 1 : 0);
    assert.equal(rows.filter((row) => 'kind' in row).length, problems);
  });

test('the sockets of a pod on the host network are the node’s', () => {
  const metadata = { name: 'a', annotations: { 'stentor.dev/socket-lb': 'false' } };
  assert.deepEqual([...exemptPodRows({ metadata, spec: { hostNetwork: true } })], []);
});
