// SPDX-License-Identifier: Apache-2.0
// What `stentor problems` has from the operator.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from '../../sandbox/api/json.ts';
import type { Faults } from '../../sandbox/api/faults.ts';
import { startTestServer, TOKEN } from '../../sandbox/api/server-fixture.ts';
import { problem } from '../base/problem.ts';
import { kubeClient } from '../kube/client.ts';
import { writeReport } from '../kube/problem-report.ts';
import { problemsOfOperator } from './operator-problems.ts';

const row = { object: 'CiliumLoadBalancerIPPool pool', reason: 'NoBlocks', message: 'There is nothing to give', advice: 'Add a block' };

test("the operator's Problems are those that it reported last; one that is not heard is a Problem", async (context) => {
  const faults: Faults = {};
  const { api, port } = await startTestServer(context, { faults });
  const access = {
    servers: () => [{ url: `https://127.0.0.1:${port}`, name: undefined }],
    insecure: false,
    namespace: undefined,
    credentials: () => ({ token: TOKEN, ca: api.caPem, cert: undefined, key: undefined }),
  };
  const client = kubeClient({ access });
  context.after(() => client.close());
  const say = (...problems: readonly ReturnType<typeof problem>[]) =>
    writeReport(client, { namespace: 'kube-system', problems }, AbortSignal.timeout(5000));
  assert.deepEqual(await problemsOfOperator(client), [], 'before there has been an operator');
  await say(problem(row));
  assert.deepEqual(await problemsOfOperator(client), [row]);
  await say();
  assert.deepEqual(await problemsOfOperator(client), []);
  faults.refuse = 1;
  const [unheard] = await problemsOfOperator(client);
  assert.equal(unheard?.reason, 'OperatorNotHeard');
  faults.refuse = 0;
  const damaged: Json = { data: { problems: '{' } };
  api.store.patch('configmaps', { namespace: 'kube-system', name: 'stentor-operator-problems' }, damaged);
  assert.equal((await problemsOfOperator(client))[0]?.reason, 'OperatorNotHeard');
});
