// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { afterRound, lossProblem, UNKNOWN_PATH } from './option-paths.ts';
import type { Round } from './option-paths.ts';

const arrives: Round = { plain: true, told: true };
const stripped: Round = { plain: true, told: false };
const silent: Round = { plain: false, told: false };

const cases: readonly { readonly name: string; readonly rounds: readonly Round[]; readonly lost: boolean }[] = [
  { name: 'nothing is known of a node that nobody has asked', rounds: [], lost: false },
  { name: 'options arrive', rounds: [arrives, arrives], lost: false },
  { name: 'two packets may be lost by chance', rounds: [stripped, stripped], lost: false },
  { name: 'three are no chance', rounds: [stripped, stripped, stripped], lost: true },
  {
    name: 'a packet that arrives in between begins the count anew',
    rounds: [stripped, stripped, arrives, stripped, stripped],
    lost: false,
  },
  { name: 'a node that does not answer at all says nothing about options', rounds: [silent, silent, silent, silent], lost: false },
  { name: 'nor does its silence count as a miss', rounds: [stripped, stripped, silent, stripped], lost: false },
  { name: 'what was lost stays so while the node is silent', rounds: [stripped, stripped, stripped, silent], lost: true },
  { name: 'one packet that arrives is enough to believe in options again', rounds: [stripped, stripped, stripped, arrives], lost: false },
];

for (const { name, rounds, lost } of cases) test(name, () => assert.equal(rounds.reduce(afterRound, UNKNOWN_PATH).lost, lost));

test('the Problem names the node, what is lost and what to do', () => {
  const { object, reason, message, advice } = lossProblem('node3', { families: [4, 6] });
  assert.deepEqual([object, reason], ['Node node3', 'OptionsLost']);
  assert.match(message, /IPv4 options and IPv6 Destination Options do not come to node3/);
  assert.match(advice, /dsrDispatch: geneve/);
});
