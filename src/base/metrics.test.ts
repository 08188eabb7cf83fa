// SPDX-License-Identifier: Apache-2.0
// Metrics as text.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { metricsText } from './metrics.ts';

test('a metric is its help, its type and its samples as they are now', () => {
  let value = 1;
  const metric = {
    name: 'stentor_drops_total',
    type: 'counter',
    help: 'Packets dropped',
    samples: () => [{ labels: { reason: 'policy' }, value }],
  } as const;
  assert.equal(
    metricsText([metric]),
    '# HELP stentor_drops_total Packets dropped\n# TYPE stentor_drops_total counter\nstentor_drops_total{reason="policy"} 1\n',
  );
  value = 2;
  assert.match(metricsText([metric]), / 2\n$/);
});

test('quotes, backslashes and line ends in labels and help are escaped, and no label is no brace', () => {
  const text = metricsText([
    { name: 'a', type: 'gauge', help: 'one\ntwo\\', samples: () => [{ labels: { x: 'q"\\\n' }, value: 0 }, { value: 1 }] },
  ]);
  assert.equal(text, '# HELP a one\\ntwo\\\\\n# TYPE a gauge\na{x="q\\"\\\\\\n"} 0\na 1\n');
});
