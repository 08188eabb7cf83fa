// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { randomFrom, seedOfRun } from '../base/random.ts';
import type { Random } from '../base/random.ts';
import { indexedFrom, rowsFrom, sectionNames, sectionsOf } from './block.ts';
import type { Sections } from './block.ts';
import { rowBuilder } from './builder.ts';
import { FormatError } from './bytes.ts';
import type { Flow } from '../flows/flow.ts';
import { randomEntry, randomFlow } from './random-flow.ts';
import { entryAt } from './rows.ts';
import type { HistoryEntry, Rows } from './rows.ts';
import { textOf, valueOf } from './text.ts';
import { uuidsOf } from './uuid.ts';

const NODE = 'default/node1';
const NOW = 1_764_000_000_000_000_000n;
const uuids = uuidsOf(NODE);

/** As an agent sees them: time mostly goes on, and most uuids say where they stand. */
function randomEntries(random: Random, count: number): readonly HistoryEntry[] {
  let [time, position] = [NOW, 1_764_000_000_000_000];
  return Array.from({ length: count }, () => {
    time += BigInt(random.below(1e9)) - 1000n;
    position += random.pick([1, 1, 1, 1000]);
    return randomEntry(random, { time, uuid: random.chance(0.9) ? uuids.of(position) : random.pick(['', 'foreign', uuids.of(5)]) });
  });
}

/** Without what is undefined. */
const plain = (entry: HistoryEntry): unknown => valueOf(textOf(entry));

function rowsOf(entries: readonly HistoryEntry[]): Rows {
  const builder = rowBuilder({ capacity: entries.length, node: NODE, after: 0 });
  for (const entry of entries) assert.ok(builder.add(entry));
  return builder.rows();
}

// as: all sections that there are
const bytesOf = (rows: Rows): Sections => Object.fromEntries(sectionsOf(rows)) as Sections;
const decoded = (sections: Sections, count: number): Rows => rowsFrom(indexedFrom(sections, count), sections, NODE);
const entriesIn = (rows: Rows): readonly HistoryEntry[] => Array.from({ length: rows.count }, (_, row) => entryAt(rows, row));

describe('rows', () => {
  it('give back every entry that they were made of, in memory and out of bytes', () => {
    const seed = seedOfRun();
    const random = randomFrom(seed);
    for (let run = 0; run < 20; run++) {
      const entries = randomEntries(random, 1 + random.below(120));
      const rows = rowsOf(entries);
      assert.deepEqual(entriesIn(rows), entries, `SEED=${seed} run ${run}, in memory`);
      assert.deepEqual(entriesIn(decoded(bytesOf(rows), rows.count)), entries, `SEED=${seed} run ${run}, out of bytes`);
    }
  });

  it('differ when one field of a flow does, whichever it is', () => {
    const seed = seedOfRun();
    const random = randomFrom(seed);
    const own = { time: NOW, uuid: uuids.of(7) };
    const full = randomFlow(random, own, 1);
    for (const key of Object.keys(full)) {
      const changed = Array.from({ length: 4 }, () => randomFlow(random, own, 1)[key as keyof Flow]); // as: one of its keys
      const values = ['verdict', 'type', 'nodeName', 'summary', 'time', 'uuid'].includes(key) ? changed : [undefined, ...changed];
      const others = values.map((value) => ({ ...full, [key]: value }));
      const entries = [full, ...others].map((flow, i): HistoryEntry => ({
        kind: 'flow',
        flow: { ...flow, time: NOW, uuid: uuids.of(100 + i) } as Flow,
      })); // as: but for one field
      assert.deepEqual(entriesIn(rowsOf(entries)).map(plain), entries.map(plain), `SEED=${seed} ${key}`);
    }
  });

  it('have in bytes only what they use of what there is in common', () => {
    const random = randomFrom(7);
    const builder = rowBuilder({ capacity: 200, node: NODE, after: 0 });
    for (const entry of randomEntries(random, 200)) builder.add(entry);
    const last = builder.rows(199);
    assert.equal(last.count, 1);
    const back = indexedFrom(bytesOf(last), 1);
    assert.deepEqual([back.shapes.length, back.places.length, back.ends.length < 3], [1, 1, true]);
    assert.ok(last.shapes.length > 100);
  });

  it('are full when they are, and when times lie too far apart for one number', () => {
    const flow = (time: bigint, position: number): HistoryEntry => ({
      kind: 'flow',
      flow: randomFlow(randomFrom(1), { time, uuid: uuids.of(position) }),
    });
    const two = rowBuilder({ capacity: 2, node: NODE, after: 0 });
    assert.deepEqual(
      [flow(NOW, 1), flow(NOW, 2), flow(NOW, 3)].map((one) => two.add(one)),
      [true, true, false],
    );
    const far = rowBuilder({ capacity: 9, node: NODE, after: 0 });
    const year = 365n * 86_400n * 1_000_000_000n;
    assert.deepEqual(
      [NOW, NOW + year, NOW - year, NOW - 1n].map((time, i) => far.add(flow(time, i + 1))),
      [true, false, false, true],
    );
    assert.equal(far.count, 2);
  });
});

describe('damaged bytes', () => {
  const rows = rowsOf(randomEntries(randomFrom(3), 50));
  const sections = bytesOf(rows);
  const refusal = (one: Sections): string | undefined => {
    try {
      entriesIn(decoded(one, rows.count));
      return undefined;
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      return error.message;
    }
  };

  it('are refused, or are other rows: nothing else comes of them', () => {
    const seed = seedOfRun();
    const random = randomFrom(seed);
    let refused = 0;
    for (let run = 0; run < 400; run++) {
      const name = random.pick(sectionNames);
      const bytes = Buffer.from(sections[name]);
      for (let i = 1 + random.below(4); i > 0; i--) bytes[random.below(bytes.length)] = random.below(256);
      const cut = random.chance(0.3) ? bytes.subarray(0, random.below(bytes.length)) : bytes;
      try {
        if (refusal({ ...sections, [name]: cut }) !== undefined) refused++;
      } catch (cause) {
        throw new Error(`SEED=${seed} run ${run}: not a FormatError`, { cause });
      }
    }
    assert.ok(refused > 100, `${refused} of 400 were refused`);
    assert.equal(refusal(sections), undefined, 'as they were written they are none');
  });

  for (const [what, name, bytes] of [
    ['a number that goes on and on', 'index', Buffer.alloc(40, 0xff)],
    ['a dictionary that is no object', 'dictionary', Buffer.from('[]')],
    [
      'a row of a kind that nobody knows',
      'dictionary',
      Buffer.from('{"since":{"$n":"1"},"shapes":[{"kind":"x"}],"places":[]}\n{"ends":[],"endpoints":[]}'),
    ],
    ['indices that lead nowhere', 'dictionary', Buffer.from('{"since":{"$n":"1"},"shapes":[],"places":[]}\n{"ends":[],"endpoints":[]}')],
    ['too many bytes', 'time', Buffer.concat([sections.time, Buffer.from([0])])],
    ['payloads that are none', 'payloads', Buffer.from('[1]')],
  ] as const)
    it(`are refused: ${what}`, () => assert.ok(refusal({ ...sections, [name]: bytes })));
});
