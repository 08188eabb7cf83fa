// SPDX-License-Identifier: Apache-2.0
// How backends are chosen, as the values say it.

import { textHash } from '../base/hash.ts';
import type { BalanceOptions } from '../services/choice.ts';
import { TABLE_SIZES } from '../services/maglev.ts';
import type { Complain } from './masquerade-config.ts';
import type { Values } from './values.ts';

export function balanceFrom(values: Values, complain: Complain): BalanceOptions {
  const tableSize = Number(values.get('maglev.tableSize'));
  if (!TABLE_SIZES.includes(tableSize)) complain('maglev.tableSize', `one of ${TABLE_SIZES.join(', ')}`);
  const said = String(values.get('maglev.hashSeed'));
  if (said !== '' && !/^[A-Za-z0-9+/]{16}$/.test(said))
    complain('maglev.hashSeed', '12 bytes in base64, as of head -c12 /dev/urandom | base64 -w0');
  const cluster = `${String(values.get('cluster.name'))}/${Number(values.get('cluster.id'))}`;
  return {
    algorithm: values.get('loadBalancer.algorithm') === 'maglev' ? 'maglev' : 'random',
    key: values.get('maglev.key') === 'flow' ? 'flow' : 'client',
    tableSize,
    seed: textHash(said === '' ? cluster : said),
  };
}
