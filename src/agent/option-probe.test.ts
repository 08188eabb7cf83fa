// SPDX-License-Identifier: Apache-2.0
// Who is asked whether options arrive, and when. Here nothing puts options in, so all questions come without.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip } from '../base/ip.ts';
import { logTo } from '../base/log.ts';
import type { Problem } from '../base/problem.ts';
import { table } from '../base/table.ts';
import { until } from '../base/until.ts';
import type { NodeRow } from '../nodes/node.ts';
import type { OptionLoss } from '../nodes/option-paths.ts';
import { optionProbe } from './option-probe.ts';

const PORT = 45_241;

test('nodes are asked while something depends on options, and else nothing is wrong', { timeout: 30_000 }, async (context) => {
  const nodes = table<string, NodeRow>('nodes');
  const node = (name: string, address: string) => ({ name, addresses: [ip(address)] }) as unknown as NodeRow; // as: the probe reads no more of it
  const writer = nodes.writer('test');
  writer.put('node1', node('node1', '127.0.0.9'));
  writer.put('node2', node('node2', '127.0.0.1'));
  const losses = table<string, OptionLoss>('losses');
  let wanted = false;
  let reports = 0;
  let said: readonly Problem[] = [];
  const stop = new AbortController();
  const running = optionProbe(
    {
      self: 'node1',
      nodes,
      losses: losses.writer('test'),
      wanted: () => wanted,
      port: PORT,
      roundMs: 20,
      report: (rows) => {
        reports++;
        said = rows;
      },
      log: logTo(() => undefined, {}),
    },
    stop.signal,
  );
  context.after(async () => {
    stop.abort();
    await running;
  });
  await until(() => reports > 5);
  assert.deepEqual([said, losses.size], [[], 0]);
  wanted = true;
  await until(() => said.length === 1, 10_000);
  assert.deepEqual([said[0]?.object, said[0]?.reason], ['Node node2', 'OptionsLost']);
  assert.deepEqual(losses.get('node2'), { families: [4] });
  wanted = false;
  await until(() => said.length === 0, 5_000);
  assert.equal(losses.size, 0);
});
