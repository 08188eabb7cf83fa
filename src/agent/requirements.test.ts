// SPDX-License-Identifier: Apache-2.0
// What is missing is named, with what to do. (With mounts taken away for real: test/faults/start.test.ts.)

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MissingRequirement, missingCapabilities, requireNode } from './requirements.ts';

const cases: readonly (readonly [what: string, status: string, missing: RegExp | undefined])[] = [
  ['root', 'Name:\tnode\nCapEff:\t000001ffffffffff\n', undefined],
  ['only what is needed', 'CapEff:\t0000000000201000\n', undefined],
  ['no CAP_NET_ADMIN', 'CapEff:\t000001ffffffefff\n', /without CAP_NET_ADMIN: run the agent as root/],
  ['a plain user', 'CapEff:\t0000000000000000\n', /without CAP_NET_ADMIN and CAP_SYS_ADMIN: /],
];

for (const [what, status, missing] of cases)
  test(`capabilities: ${what}`, () => {
    const said = missingCapabilities(status);
    if (missing) assert.match(said ?? '', missing);
    else assert.equal(said, undefined);
  });

test('everything that is missing is named at once', () => {
  assert.throws(
    () => requireNode({ bpfRoot: '/proc', cgroupRoot: '/nowhere', kubeProxyReplacement: true }),
    (error: unknown) => {
      assert.ok(error instanceof MissingRequirement);
      assert.match(error.message, /Cannot keep the data plane in \/proc: it is on no bpf filesystem; mount/);
      assert.match(error.message, /Cannot attach the socket programs to \/nowhere: ENOENT.*; mount cgroup2 there/);
      return true;
    },
  );
});

test('without socket programs no cgroup is asked for', () => {
  assert.throws(
    () => requireNode({ bpfRoot: '/proc', cgroupRoot: '/nowhere', kubeProxyReplacement: false }),
    (error: Error) => !error.message.includes('cgroup'),
  );
});
