// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { ObjectFormatError } from './elf.ts';
import { readObject } from './object.ts';

const clang = spawnSync('clang-19', ['--version']).status === 0;

function compiled(source: string): Buffer {
  const run = spawnSync('clang-19', ['-target', 'bpf', '-g', '-O2', '-x', 'c', '-c', '-', '-o', '-'], { input: source });
  assert.equal(run.status, 0, run.stderr.toString());
  return run.stdout;
}

const source = `
  typedef unsigned int __u32; typedef unsigned short __be16; typedef unsigned char __u8;
  struct key { __u32 a; __be16 port; __u8 pad[2]; };
  enum color { COLOR_RED, COLOR_BLUE = -2 };
  struct paint_event { enum color color; struct key key; };
  struct { int (*type)[1]; struct key *key; __u32 *value; int (*max_entries)[7]; } things __attribute__((section(".maps"), used));
  const volatile __u32 first = 1;
  const volatile __u8 second[3] __attribute__((btf_decl_tag("three bytes"))) = { 4, 5, 6 };
  const volatile __u32 zero;
  const __u32 constant = 9;
  __attribute__((noinline)) int helper(struct paint_event *event) { return event ? event->color : 0; }
  __attribute__((section("tc"))) int program(void *ctx) { return first + second[1] + zero; }
  __attribute__((section("xdp"))) int other(void *ctx) { return 2; }
`;

describe('readObject', { skip: clang ? false : 'clang-19 is not installed' }, () => {
  const bytes = clang ? compiled(source) : Buffer.alloc(0);

  it('finds programs in their sections and leaves helper functions out', () => {
    assert.deepEqual(readObject(bytes).programs, [
      { name: 'other', section: 'xdp' },
      { name: 'program', section: 'tc' },
    ]);
  });

  it('reads maps with the layouts of their keys and values', () => {
    const [map, ...rest] = readObject(bytes).maps;
    assert.equal(rest.length, 0);
    assert.deepEqual(
      { ...map, key: undefined, value: undefined },
      { name: 'things', type: 1, keySize: 8, valueSize: 4, maxEntries: 7, flags: 0, key: undefined, value: undefined, inner: undefined },
    );
    assert.deepEqual(map?.key?.kind === 'struct' && map.key.fields.map((field) => [field.name, field.offset, field.layout.size]), [
      ['a', 0, 4],
      ['port', 4, 2],
      ['pad', 6, 2],
    ]);
  });

  it('reads knobs with their place and default, and takes no plain constant for one', () => {
    const { config } = readObject(bytes);
    assert.deepEqual(
      config.map((knob) => [knob.name, knob.size, knob.default.toString('hex'), knob.description]),
      [
        ['first', 4, '01000000', ''],
        ['second', 3, '040506', 'three bytes'],
        ['zero', 4, '00000000', ''],
      ],
    );
    assert.equal(new Set(config.map((knob) => knob.offset)).size, 3);
  });

  it('finds events and enums that no map uses', () => {
    const { events, enums } = readObject(bytes);
    assert.deepEqual(
      events.map((event) => [event.name, event.size]),
      [['paint_event', 12]],
    );
    assert.deepEqual(enums, [
      {
        kind: 'enum',
        name: 'color',
        size: 4,
        members: [
          { name: 'COLOR_RED', value: 0 },
          { name: 'COLOR_BLUE', value: -2 },
        ],
      },
    ]);
  });

  it('hashes meaning: code does not change the hash, a field does', () => {
    const hash = (text: string): string => readObject(compiled(text)).btfHash;
    assert.equal(hash(source.replace('return 2', 'return 3')), readObject(bytes).btfHash);
    assert.notEqual(hash(source.replace('__be16 port', 'unsigned short port')), readObject(bytes).btfHash);
  });

  it('refuses every truncated object with one clear error', () => {
    for (let length = 0; length < bytes.length; length += 13)
      assert.throws(() => readObject(bytes.subarray(0, length)), ObjectFormatError, `${length} bytes`);
  });

  it('survives flipped bytes: a description or an ObjectFormatError', () => {
    const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
    let state = seed || 1;
    for (let round = 0; round < 2000; round++) {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      const damaged = Buffer.from(bytes);
      damaged[state % damaged.length] = (state >>> 8) & 0xff;
      try {
        readObject(damaged);
      } catch (error) {
        assert.ok(error instanceof ObjectFormatError, `seed ${seed}, round ${round}: ${String(error)}`);
      }
    }
  });

  it('says what it wanted of a file that is no BPF object', () => {
    assert.throws(() => readObject(Buffer.from('hello')), /wanted the magic/);
    const native = Buffer.from(bytes);
    native.writeUInt16LE(62, 18);
    assert.throws(() => readObject(native), /machine 62, wanted 247/);
  });
});
