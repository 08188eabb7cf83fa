// SPDX-License-Identifier: Apache-2.0
// Which nodes IP options arrive at. Networks drop packets with options, or take them out; DSR by option would then lose connections
// in silence. So nodes ask one another, with an option and without:
//
//   answered with it ────────────────▶ arrives
//   only answered without it, often ─▶ lost: these nodes get envelopes
//   not answered at all ─────────────▶ nothing is said about options: as before

import type { Family } from '../base/ip.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';

/** A node, and the families whose options do not come there. */
export type OptionLoss = { readonly families: readonly Family[] };

/** What is known of one node and family. `misses`: rounds in a row in which only the plain question was answered. */
export type OptionPath = { readonly misses: number; readonly lost: boolean };

export const UNKNOWN_PATH: OptionPath = { misses: 0, lost: false };

/** `told`: the question with the option came with it. */
export type Round = { readonly plain: boolean; readonly told: boolean };

/** One lost packet proves nothing. */
const PROOF = 3;

export function afterRound(path: OptionPath, { plain, told }: Round): OptionPath {
  if (told) return UNKNOWN_PATH;
  if (!plain) return { ...path, misses: 0 };
  const misses = path.misses + 1;
  return { misses, lost: path.lost || misses >= PROOF };
}

export function lossProblem(node: string, { families }: OptionLoss): Problem {
  const what = families.map((family) => (family === 4 ? 'IPv4 options' : 'IPv6 Destination Options')).join(' and ');
  return problem({
    object: `Node ${node}`,
    reason: 'OptionsLost',
    message: `packets with ${what} do not come to ${node}, and others do; DSR tells it frontends in Geneve envelopes meanwhile`,
    advice: `Let the network between the nodes pass them, or set loadBalancer.dsrDispatch: geneve`,
  });
}
