// SPDX-License-Identifier: Apache-2.0
// How services are served where no value says otherwise.

import type { FrontendOptions } from '../frontends.ts';

export const usualOptions: Omit<FrontendOptions, 'isOwnAddress' | 'ownNode' | 'healthAddress'> = {
  mode: 'snat',
  externalClusterIp: false,
  trustExternalIps: false,
  rangesOfAllTypes: false,
  balance: { algorithm: 'random', key: 'client', tableSize: 16_381, seed: 1 },
};
