// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { clangMissing, everyField, workshop } from './testdata/workshop.ts';
import type { Workshop } from './testdata/workshop.ts';

describe('gen-schema', { skip: clangMissing }, () => {
  let shop: Workshop;
  let firstHash: string;

  const hashOf = (text: string): string => /schemaHash = ['"](\w+)/.exec(text)?.[1] ?? '';

  before(() => {
    shop = workshop('gen-schema');
    shop.compile(everyField);
    assert.equal(shop.generate().status, 0);
    firstHash = hashOf(readFileSync(shop.out, 'utf8'));
  });
  after(() => shop[Symbol.dispose]());

  it('passes the type checker', () => {
    const types = [
      '--noEmit',
      '--strict',
      '--exactOptionalPropertyTypes',
      '--noUncheckedIndexedAccess',
      '--erasableSyntaxOnly',
      '--allowImportingTsExtensions',
    ];
    const options = [...types, '--target', 'esnext', '--module', 'nodenext', '--types', 'node', '--skipLibCheck', '--ignoreConfig'];
    const run = spawnSync(join(shop.root, 'node_modules/.bin/tsc'), [...options, shop.out], { cwd: shop.root, encoding: 'utf8' });
    assert.equal(run.status, 0, run.stdout);
  });

  it('is current right after it was written, and --check shows what changed otherwise', () => {
    assert.equal(shop.generate('--check').status, 0);
    const text = readFileSync(shop.out, 'utf8');
    writeFileSync(shop.out, text.replace('noRoute: 3', 'noRoute: 4'));
    const stale = shop.generate('--check');
    assert.equal(stale.status, 1);
    assert.match(stale.stderr, /\+.*noRoute: 3/);
    writeFileSync(shop.out, text);
  });

  it('gives a new hash to a changed map and keeps it for new events and knobs', () => {
    const hashWith = (source: string): string => {
      shop.compile(source);
      assert.equal(shop.generate().status, 0);
      return hashOf(readFileSync(shop.out, 'utf8'));
    };
    assert.notEqual(hashWith(everyField.replace('max_entries, 512', 'max_entries, 513')), firstHash);
    assert.notEqual(hashWith(everyField.replace('__u16 half', '__be16 half')), firstHash);
    assert.equal(hashWith(everyField.replace('__u64 delay_ns', '__u64 delay_us').replace('uplink = 2', 'uplink = 3')), firstHash);
  });

  it('refuses objects that disagree, and says where', () => {
    shop.compile(everyField);
    shop.compile(everyField.replace('__u8 protocol;', '__s8 protocol;'), 'other.bpf.o');
    const run = shop.generate();
    assert.equal(run.status, 1);
    assert.match(run.stderr, /Cannot merge 'connections'.*\n.*every_field.*\n.*other/);
    shop.remove('other.bpf.o');
  });

  it('refuses a ring buffer whose records are unknown', () => {
    shop.compile(everyField.replaceAll('drop_event', 'drop_record').replaceAll('first_reply_event', 'first_reply_record'));
    assert.match(shop.generate().stderr, /records of the ring buffer 'events'/);
  });

  it('refuses what has no rule, naming the field', () => {
    shop.compile(everyField.replace('__u32 pad2;', 'void *task;'));
    assert.match(shop.generate().stderr, /every_field\.task.*pointer/s);
  });
});
