// SPDX-License-Identifier: Apache-2.0
// node writer.ts DIRECTORY FIRST EVERY MAX_BYTES: appends flows as fast as it can, and says after each flush up to which one it has.
// When the disk did not take them and does so again, it says what is there and ends.

import { openStore } from '../open.ts';
import { entriesOf, flowsFrom, NODE, told } from './stores.ts';

const [directory = '', first = '0', every = '20', maxBytes = '1e9'] = process.argv.slice(2);
let trouble = '';
const store = await openStore({
  directory,
  node: NODE,
  maxBytes: Number(maxBytes),
  rowsPerBlock: 256,
  clock: { now: () => Date.now(), monotonic: () => performance.now() },
  report({ disk }) {
    trouble = disk?.kind ?? 'over';
    process.stdout.write(`trouble ${trouble}\n`);
  },
});
for (let [next, after] = [Number(first), 0]; after < 5; next += Number(every)) {
  store.append(flowsFrom(next, Number(every)));
  await store.flush();
  process.stdout.write(`wrote ${next + Number(every)} missed ${store.missed}\n`);
  if (trouble === 'over') after++;
}
const found = told(await entriesOf(store));
const flows = found.filter((one) => typeof one === 'number');
const sorted = flows.every((one, i) => i === 0 || one > (flows[i - 1] ?? 0));
process.stdout.write(`has ${JSON.stringify({ flows: flows.length, sorted, gaps: found.filter((one) => typeof one !== 'number') })}\n`);
await store.close();
