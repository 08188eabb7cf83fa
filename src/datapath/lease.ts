// SPDX-License-Identifier: Apache-2.0
// Whether the data plane may answer for addresses on the segment now: native/beat.c extends the lease while the agent lives.

import { native } from '../kernel/addon.ts';
import type { BpfMap } from '../kernel/map.ts';
import { l2LeaseCodec } from './schema.gen.ts';

const KEY = Buffer.alloc(4);

export function leaseLasts(lease: BpfMap): boolean {
  const found = lease.lookup(KEY);
  return found !== undefined && l2LeaseCodec.decode(found).until > Number(native().monotonicNs());
}
