// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { labelList, labelsIn, podLabels, securityLabels } from './labels.ts';

const own = [
  'k8s:io.cilium.k8s.policy.cluster=home',
  'k8s:io.cilium.k8s.policy.serviceaccount=default',
  'k8s:io.kubernetes.pod.namespace=shop',
];
const of = (labels: Record<string, string>, namespaceLabels: Record<string, string> = {}) =>
  podLabels({ namespace: 'shop', labels, serviceAccount: 'default' }, namespaceLabels, 'home');

describe('labels of an identity', () => {
  const cases: readonly { readonly name: string; readonly labels: Record<string, string>; readonly kept: readonly string[] }[] = [
    { name: 'a pod without labels has its namespace, cluster and service account', labels: {}, kept: [] },
    { name: 'labels of the pod count', labels: { tier: 'web', app: 'cart' }, kept: ['k8s:app=cart', 'k8s:tier=web'] },
    { name: 'recommended labels count', labels: { 'app.kubernetes.io/name': 'cart' }, kept: ['k8s:app.kubernetes.io/name=cart'] },
    {
      name: 'a label that only contains an excluded key counts',
      labels: { 'my.kubernetes.io/x': '1', 'a-k8s.io': '2' },
      kept: ['k8s:a-k8s.io=2', 'k8s:my.kubernetes.io/x=1'],
    },
    { name: 'an empty value counts', labels: { app: '' }, kept: ['k8s:app='] },
    {
      name: 'what differs between pods of one owner does not count',
      labels: {
        'pod-template-hash': 'a',
        'controller-revision-hash': 'a',
        'controller-uid': 'a',
        'pod-template-generation': '1',
        'statefulset.kubernetes.io/pod-name': 'cart-0',
        'apps.kubernetes.io/pod-index': '0',
        'batch.kubernetes.io/job-completion-index': '0',
        'batch.kubernetes.io/controller-uid': 'a',
      },
      kept: [],
    },
    {
      name: 'what belongs to the system does not count',
      labels: {
        'kubernetes.io/x': '1',
        'k8s.io/x': '1',
        'io.kubernetes.x': '1',
        'foo.beta.kubernetes.io/x': '1',
        'annotation.x': '1',
        etcd_node: 'a',
      },
      kept: [],
    },
    {
      name: 'a pod does not speak for another namespace',
      labels: {
        'io.cilium.k8s.namespace.labels.team': 'admin',
        'io.kubernetes.pod.namespace': 'kube-system',
        'io.cilium.k8s.policy.serviceaccount': 'root',
        'io.cilium.k8s.policy.cluster': 'other',
      },
      kept: [],
    },
  ];
  for (const { name, labels, kept } of cases) it(name, () => assert.deepEqual(labelList(of(labels)), [...kept, ...own].toSorted()));

  it('labels of the namespace count under a prefix, also those of the system', () => {
    const found = labelList(of({}, { 'kubernetes.io/metadata.name': 'shop', team: 'blue' }));
    assert.deepEqual(
      found,
      [
        ...own,
        'k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name=shop',
        'k8s:io.cilium.k8s.namespace.labels.team=blue',
      ].toSorted(),
    );
  });

  it('equal sets are equal text, in whatever order they come', () => assert.equal(of({ a: '1', b: '2' }), of({ b: '2', a: '1' })));

  it('a CiliumIdentity says the same labels', () => {
    const labels = of({ app: 'cart', empty: '' });
    assert.equal(labelsIn(securityLabels(labels)), labels);
  });

  for (const found of [{}, { 'k8s:app': 1 }, { 'k8s:app': 'a;k8s:tier=web' }, { 'k8s:app=cart': '' }])
    it(`security-labels of ${JSON.stringify(found)} are not compared with ours`, () => assert.equal(labelsIn(found), undefined));
});
