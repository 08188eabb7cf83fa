// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { patternOf, policyRows, selectsInterface, selectsNode, selectsService } from './policy.ts';
import type { PolicyRow } from './policy.ts';

function read(spec: object): { readonly row: PolicyRow; readonly problems: readonly string[] } {
  const items = [...policyRows({ metadata: { name: 'p' }, spec })];
  const row = items.flatMap((item) => ('kind' in item ? [] : [item[1]]))[0] ?? assert.fail('no row');
  return { row, problems: items.flatMap((item) => ('kind' in item ? [`${item.object} ${item.reason}: ${item.message}`] : [])) };
}

const external = {
  ingressIps: [],
  externalIps: [],
  local: false,
  healthCheckNodePort: 0,
  mode: undefined,
  balance: { algorithm: undefined, key: undefined },
  sourceRanges: undefined,
  loadBalancerClass: undefined,
};
const service = (name: string, labels: Readonly<Record<string, string>>) => ({
  name,
  clusterIps: [],
  ports: [],
  affinity: 0,
  internalLocal: false,
  nodes: undefined,
  external: { ...external, labels },
});

describe('CiliumL2AnnouncementPolicy', () => {
  it('without selectors takes every Service and every node', () => {
    const { row, problems } = read({ loadBalancerIPs: true });
    assert.deepEqual(problems, []);
    assert.ok(selectsService(row, service('a/b', {})) && selectsNode(row, {}));
  });

  it('selects Services by labels, and by namespace and name', () => {
    const selecting = (matchLabels: object) => read({ loadBalancerIPs: true, serviceSelector: { matchLabels } }).row;
    const web = service('shop/web', { app: 'web' });
    assert.ok(selectsService(selecting({ app: 'web' }), web));
    assert.ok(!selectsService(selecting({ app: 'api' }), web));
    assert.ok(selectsService(selecting({ 'io.kubernetes.service.namespace': 'shop', 'io.kubernetes.service.name': 'web' }), web));
    assert.ok(!selectsService(selecting({ 'io.kubernetes.service.namespace': 'infra' }), web));
  });

  const expressions = [
    [{ key: 'a', operator: 'In', values: ['x', 'y'] }, { a: 'y' }, true],
    [{ key: 'a', operator: 'In', values: ['x'] }, {}, false],
    [{ key: 'a', operator: 'NotIn', values: ['x'] }, {}, true],
    [{ key: 'a', operator: 'NotIn', values: ['x'] }, { a: 'x' }, false],
    [{ key: 'a', operator: 'Exists' }, { a: '' }, true],
    [{ key: 'constructor', operator: 'DoesNotExist' }, {}, true],
  ] as const;
  for (const [expression, labels, wanted] of expressions)
    it(`nodes ${JSON.stringify(labels)} by ${JSON.stringify(expression)}: ${wanted}`, () => {
      const { row, problems } = read({ externalIPs: true, nodeSelector: { matchExpressions: [expression] } });
      assert.deepEqual([selectsNode(row, labels), problems], [wanted, []]);
    });

  it('that says neither kind of address announces nothing, and is told so', () => {
    assert.deepEqual(read({}).problems, [
      'CiliumL2AnnouncementPolicy p AnnouncesNothing: neither loadBalancerIPs nor externalIPs is true, so no address is announced by it',
    ]);
  });

  const bad = [
    [{ nodeSelector: { matchLabels: { 'a b': 'x' } } }, 'bad-node-selector', "nodeSelector: 'a b' is no label key"],
    [
      { serviceSelector: { matchExpressions: [{ key: 'a', operator: 'Like', values: ['x'] }] } },
      'bad-service-selector',
      "matchExpressions has operator 'Like' for a",
    ],
    [{ serviceSelector: { matchExpressions: [{ key: 'a', operator: 'In' }] } }, 'bad-service-selector', '0 values for a In'],
    [{ interfaces: ['^eth[0-9'] }, 'bad-interface-regex', "interfaces has '^eth[0-9', which is no regular expression"],
    [{ interfaces: ['(?=eth)'] }, 'bad-interface-regex', "is no part of Go's regular expressions"],
  ] as const;
  for (const [spec, fault, message] of bad)
    it(`${JSON.stringify(spec)} is ${fault}`, () => {
      const { row, problems } = read({ loadBalancerIPs: true, ...spec });
      assert.deepEqual(Object.keys(row.wrong), [fault]);
      assert.ok(row.wrong[fault]?.includes(message), `${row.wrong[fault]}`);
      assert.equal(problems.length, 1);
      assert.equal(row.loadBalancerIps, fault === 'bad-interface-regex');
    });

  it('a regular expression that is wrong takes nothing from the others, and is never every interface', () => {
    const { row } = read({ loadBalancerIPs: true, interfaces: ['[', '^eth1$'] });
    assert.deepEqual([selectsInterface(row, 'eth1'), selectsInterface(row, 'eth0')], [true, false]);
    assert.equal(selectsInterface(read({ loadBalancerIPs: true, interfaces: ['['] }).row, 'eth0'), false);
  });

  const patterns = [
    ['eth', 'veth0', true],
    ['^eth[[:digit:]]+$', 'eth12', true],
    ['(?i)ETH0', 'eth0', true],
    ['\\Aeno\\z', 'eno1', false],
    ['^en(?P<kind>o|p)\\d', 'enp3s0', true],
  ] as const;
  for (const [pattern, name, wanted] of patterns)
    it(`Go's ${pattern} on ${name}: ${wanted}`, () => {
      const read = patternOf(pattern);
      assert.equal('source' in read && new RegExp(read.source, 'u').test(name), wanted);
    });
});
