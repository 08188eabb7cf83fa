// SPDX-License-Identifier: Apache-2.0
// Deeds of the operator: none without the Lease, also when it is lost between two calls of one deed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpointTarget, identityTarget } from '../../src/operator/targets.ts';
import { operatorApi } from './testbed.ts';

const DEEDS = () => ({ identitiesDeleted: 0, endpointsDeleted: 0, endpointsFailed: 0 });

/** A Term that is lost when the API has been asked for `resource`; undefined: never. */
for (const lostAt of ['get pods', undefined] as const)
  test(`a CiliumEndpoint ${lostAt ? `stays when the Lease is lost at '${lostAt}'` : 'goes while the Lease is held'}`, async (context) => {
    let holds = true;
    const api = await operatorApi(context, ({ verb, resource }) => {
      if (`${verb} ${resource}` === lostAt) holds = false;
    });
    const { uid, resourceVersion } = api.endpoint('orphan').metadata;
    const term = { signal: new AbortController().signal, holds: () => holds };
    const target = endpointTarget({ client: api.client, term, now: Date.now, deeds: DEEDS() });
    const put = target.put([['default/orphan', { pod: undefined, uid, resourceVersion }]]);
    if (lostAt === undefined) await put;
    else await assert.rejects(put, /NoLease/);
    assert.equal(api.hasEndpoint('orphan'), lostAt !== undefined);
  });

for (const holds of [false, true])
  test(`an identity ${holds ? 'goes while the Lease is held' : 'stays without the Lease'}`, async (context) => {
    const api = await operatorApi(context);
    const { uid, resourceVersion } = api.identity('300').metadata;
    const term = { signal: new AbortController().signal, holds: () => holds };
    const target = identityTarget({ client: api.client, term, now: Date.now, deeds: DEEDS() });
    const put = target.put([['300', { kind: 'remove', uid, resourceVersion }]]);
    if (holds) await put;
    else await assert.rejects(put, /NoLease/);
    assert.equal(api.hasIdentity('300'), !holds);
  });

test('an identity that somebody has touched since is left alone', async (context) => {
  const api = await operatorApi(context);
  const { uid, resourceVersion } = api.identity('300').metadata;
  api.touchIdentity('300');
  const term = { signal: new AbortController().signal, holds: () => true };
  await identityTarget({ client: api.client, term, now: Date.now, deeds: DEEDS() }).put([
    ['300', { kind: 'remove', uid, resourceVersion }],
  ]);
  assert.equal(api.hasIdentity('300'), true);
});
