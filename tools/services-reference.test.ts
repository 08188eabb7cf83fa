// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { servicesReference } from './services-reference.ts';

const behaviours = [
  { id: 'a', group: 'One', text: 'It serves' },
  { id: 'b', group: 'Two', text: 'It refuses | ends' },
  { id: 'c', group: 'Two', text: 'It flies', not: 'it has no wings' },
];
const source = (text: string) => ({ path: 'x.test.ts', text });
const both = source("  // covers: a\n  it('serves', () => {});\n  // covers: a, b\n  ...inBoth(\n    \"doesn't serve\",\n");

describe('the reference of Services', () => {
  it('has a row for each behaviour with the scenarios that prove it', () => {
    const { text, mistakes } = servicesReference(behaviours, [both]);
    assert.deepEqual(mistakes, []);
    assert.match(text, /\| It serves \| \[x\.test\.ts\]\(\.\.\/\.\.\/x\.test\.ts\): doesn't serve<br>\[x\.test\.ts\]\([^)]*\): serves \|/);
    assert.match(text, /## Two\n\n[^]*\| It refuses \\\| ends \| \[x[^|]*\|\n\| It flies \| not covered: it has no wings \|/);
  });

  const wrong: readonly [what: string, text: string, mistake: RegExp][] = [
    ['a scenario that is gone with its comment', "// covers: a\nit('serves', f);", /^b: no scenario covers/],
    ['a scenario that is gone without its comment', `${both.text}\n// covers: a\n`, /is above no scenario$/],
    ['a comment above what is no scenario', `${both.text}\n// covers: a\nconst x = 'y';`, /is above no scenario$/],
    ['a behaviour that nobody knows', `${both.text}\n// covers: z\nit('swims', f);`, /'swims' covers 'z', which is no behaviour/],
    ['a proof of what is said not to be covered', `${both.text}\n// covers: c\nit('flies', f);`, /^c: said not to be covered/],
  ];
  for (const [what, text, mistake] of wrong)
    it(`finds ${what}`, () => {
      const { mistakes } = servicesReference(behaviours, [source(text)]);
      assert.equal(mistakes.length, 1);
      assert.match(mistakes[0] ?? '', mistake);
    });

  it('changes when a scenario is renamed or removed', () => {
    const less = source(both.text.replace("  // covers: a\n  it('serves', () => {});\n", ''));
    const renamed = source(both.text.replace("it('serves'", "it('serves all'"));
    const { text } = servicesReference(behaviours, [both]);
    for (const other of [less, renamed]) assert.notEqual(servicesReference(behaviours, [other]).text, text);
  });
});
