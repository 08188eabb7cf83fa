// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { reservedPorts, reservedPortsTarget } from './reserved-ports.ts';

const nodePorts = { first: 30_000, last: 32_767 };

describe('reserved ports', () => {
  const cases: readonly [ephemeral: { first: number; last: number }, isReserved: boolean][] = [
    [{ first: 32_768, last: 60_999 }, false],
    [{ first: 32_767, last: 60_999 }, true],
    [{ first: 1024, last: 30_000 }, true],
    [{ first: 1024, last: 29_999 }, false],
  ];
  for (const [ephemeral, isReserved] of cases)
    it(`${isReserved ? 'are' : 'are not'} wanted where ${ephemeral.first} to ${ephemeral.last} are given away`, () => {
      assert.deepEqual(Array.from(reservedPorts(nodePorts, ephemeral).entries()), isReserved ? [['30000-32767', nodePorts]] : []);
    });

  it('are not wanted with nodePort.autoProtectPortRange: false', () => {
    assert.equal(reservedPorts(undefined, { first: 1024, last: 60_999 }).size, 0);
  });

  const before: readonly [text: string, isThere: boolean][] = [
    ['\n', false],
    ['8080,9000-9010\n', false],
    ['30000-32766\n', false],
    ['29000-33000\n', true],
    ['30000-32767\n', true],
  ];
  for (const [text, isThere] of before)
    it(`are ${isThere ? 'there already' : 'added to what others have'}: ${JSON.stringify(text)}`, () => {
      const directory = mkdtempSync(join(tmpdir(), 'stentor-reserved-'));
      const path = join(directory, 'ip_local_reserved_ports');
      writeFileSync(path, text);
      const wanted = reservedPorts(nodePorts, { first: 1024, last: 60_999 });
      const target = reservedPortsTarget(wanted, directory);
      assert.equal([...target.list()].length, Number(isThere));
      if (!isThere) {
        target.put([...wanted.entries()]);
        const others = text.trim() === '' ? '' : `${text.trim()},`;
        assert.equal(readFileSync(path, 'utf8'), `${others}30000-32767`);
        assert.equal([...target.list()].length, 1);
      }
      rmSync(directory, { recursive: true });
    });
});
