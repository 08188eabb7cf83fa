// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rootShape } from './shapes.ts';
import { strategicMerged } from './strategic-merge.ts';

const pod = rootShape('Pod');
const service = rootShape('Service');

test('lists merge by their keys, sets by their values, others as a whole', () => {
  assert.ok(pod && service);
  const containers = [
    { name: 'a', image: 'a:1', env: [{ name: 'X', value: '1' }] },
    { name: 'b', image: 'b:1' },
  ];
  const cases: readonly (readonly [string, typeof pod, unknown, unknown, unknown])[] = [
    [
      'a keyed item changes',
      pod,
      { spec: { containers } },
      { spec: { containers: [{ name: 'b', image: 'b:2' }] } },
      { spec: { containers: [containers[0], { name: 'b', image: 'b:2' }] } },
    ],
    [
      'a keyed item inside a keyed item is added',
      pod,
      { spec: { containers: [containers[0]] } },
      { spec: { containers: [{ name: 'a', env: [{ name: 'Y', value: '2' }] }] } },
      {
        spec: {
          containers: [
            {
              ...containers[0],
              env: [
                { name: 'X', value: '1' },
                { name: 'Y', value: '2' },
              ],
            },
          ],
        },
      },
    ],
    [
      'a keyed item is deleted',
      pod,
      { spec: { containers } },
      { spec: { containers: [{ $patch: 'delete', name: 'a' }] } },
      { spec: { containers: [containers[1]] } },
    ],
    [
      'a missing keyed item is deleted',
      pod,
      { spec: { containers } },
      { spec: { containers: [{ $patch: 'delete', name: 'z' }] } },
      { spec: { containers } },
    ],
    [
      'a keyed list is replaced',
      pod,
      { spec: { containers } },
      { spec: { containers: [{ $patch: 'replace' }, { name: 'c' }] } },
      { spec: { containers: [{ name: 'c' }] } },
    ],
    [
      'the order is as asked',
      pod,
      { spec: { containers } },
      { spec: { $setElementOrder: 0, '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }] } },
      { spec: { containers: containers.toReversed() } },
    ],
    [
      'service ports are known by port',
      service,
      { spec: { ports: [{ port: 80, targetPort: 1 }] } },
      { spec: { ports: [{ port: 80, targetPort: 2 }, { port: 81 }] } },
      { spec: { ports: [{ port: 80, targetPort: 2 }, { port: 81 }] } },
    ],
    [
      'finalizers are a set',
      pod,
      { metadata: { finalizers: ['a'] } },
      { metadata: { finalizers: ['a', 'b'] } },
      { metadata: { finalizers: ['a', 'b'] } },
    ],
    [
      'a set loses values',
      pod,
      { metadata: { finalizers: ['a', 'b'] } },
      { metadata: { '$deleteFromPrimitiveList/finalizers': ['a'] } },
      { metadata: { finalizers: ['b'] } },
    ],
    [
      'tolerations are replaced',
      pod,
      { spec: { tolerations: [{ key: 'a' }] } },
      { spec: { tolerations: [{ key: 'b' }] } },
      { spec: { tolerations: [{ key: 'b' }] } },
    ],
    [
      'null deletes',
      pod,
      { metadata: { labels: { a: '1', b: '2' } } },
      { metadata: { labels: { a: null } } },
      { metadata: { labels: { b: '2' } } },
    ],
    [
      '$retainKeys keeps only those',
      pod,
      { spec: { volumes: [{ name: 'v', emptyDir: {} }] } },
      { spec: { volumes: [{ $retainKeys: ['name', 'hostPath'], name: 'v', hostPath: { path: '/x' } }] } },
      { spec: { volumes: [{ name: 'v', hostPath: { path: '/x' } }] } },
    ],
    [
      '$patch replace takes the whole object',
      pod,
      { metadata: { labels: { a: '1' } } },
      { metadata: { labels: { $patch: 'replace', b: '2' } } },
      { metadata: { labels: { b: '2' } } },
    ],
  ];
  for (const [name, shape, target, patch, wanted] of cases) assert.deepEqual(shape && strategicMerged(target, patch, shape), wanted, name);
});

test('a keyed item without its key is refused', () => {
  assert.ok(pod);
  for (const item of [{ image: 'x' }, 'text', null])
    assert.throws(() => strategicMerged({ spec: { containers: [] } }, { spec: { containers: [item] } }, pod), { code: 400 }); // null: bad input
});
