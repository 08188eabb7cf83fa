// SPDX-License-Identifier: Apache-2.0
// Somebody sets the clock of the machine, a day forwards or back: what lasts and what is waited for is measured on a clock that does not step.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Clock } from '../base/clock.ts';
import type { ReconcilerStatus } from '../base/ledger.ts';
import { table } from '../base/table.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
import { diskWatch } from './disk.ts';
import { mapUsage } from './map-usage.ts';
import { troublesOf } from './troubles.ts';

const DAY = 86_400_000;
/** Milliseconds that the wall shows at a moment of the steady clock; it is set after 500 ms. */
type Wall = (steady: number) => number;
const walls: Readonly<Record<string, Wall>> = {
  'a day forwards': (steady) => DAY * 20_000 + steady + (steady > 500 ? DAY : 0),
  'a day back': (steady) => DAY * 20_000 + steady - (steady > 500 ? DAY : 0),
};
const steadily: Wall = (steady) => DAY * 20_000 + steady;

type Time = { readonly clock: Clock; readonly pass: (ms: number) => void };

function timeOn(wall: Wall, monotonic: Wall = (steady) => steady): Time {
  let steady = 0;
  return { clock: { now: () => wall(steady), monotonic: () => monotonic(steady) }, pass: (ms) => (steady += ms) };
}

/** What each says while time passes. */
const scenes: Readonly<Record<string, (time: Time) => Promise<unknown[]>>> = {
  async 'a trouble is told once it has lasted'({ clock, pass }) {
    const refused = new Map([['x', 'no']]);
    const status: ReconcilerStatus = { name: 'routes', entries: 0, pending: 1, failures: 1, error: undefined, refused };
    const look = troublesOf({ reconcilers: [{ status }], endpoints: table<string, EndpointRow>('endpoints'), clock });
    return [0, 900, 900, 900, 900].map((ms) => (pass(ms), look().length));
  },
  async 'a map says when it will be full'({ clock, pass }) {
    let entries = 100;
    const maps = [{ name: 'lb_slots', maxEntries: 262_144 }];
    const usage = mapUsage({ maps, entriesOf: () => entries, memoryBytes: 2 ** 33, clock });
    return [0, 30_000, 30_000, 60_000].map((ms) => (pass(ms), (entries += 50), usage.look(), usage.uses()[0]?.fullIn));
  },
  async 'a disk is asked again after a second'({ clock, pass }) {
    let asked = 0;
    const disk = diskWatch({ directory: '/state', report: () => undefined, clock, probe: async () => void asked++ });
    const found: number[] = [];
    for (const ms of [0, 400, 400, 400, 400]) {
      pass(ms);
      await disk.ask();
      found.push(asked);
    }
    return found;
  },
};

for (const [what, scene] of Object.entries(scenes)) {
  for (const [jump, wall] of Object.entries(walls))
    test(`${what}, also when the clock is set ${jump}`, async () => {
      assert.deepEqual(await scene(timeOn(wall)), await scene(timeOn(steadily)));
    });
  test(`control: ${what}: on a clock that can be set it would not`, async () => {
    const [forwards = steadily, back = steadily] = Object.values(walls);
    const wanted = JSON.stringify(await scene(timeOn(steadily)));
    const found = await Promise.all([forwards, back].map(async (wall) => JSON.stringify(await scene(timeOn(wall, wall)))));
    assert.ok(
      found.some((one) => one !== wanted),
      wanted,
    );
  });
}
