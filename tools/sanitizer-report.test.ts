// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faultsIn } from './sanitizer-report.ts';

const leak = (frame: string): string => `
=================================================================
==node==7==ERROR: LeakSanitizer: detected memory leaks

Direct leak of 40 byte(s) in 1 object(s) allocated from:
    #0 0x7f in __interceptor_malloc ../../../../src/libsanitizer/asan/asan_malloc_linux.cpp:69
    #1 0x98 in ${frame}

SUMMARY: AddressSanitizer: 40 byte(s) leaked in 1 allocation(s).
`;

const cases: readonly { readonly name: string; readonly text: string; readonly faults: number }[] = [
  { name: 'nothing', text: '', faults: 0 },
  { name: 'a leak of the addon', text: leak('map_create /checkout/native/map.c:41'), faults: 1 },
  { name: 'a leak of the plugin', text: leak('main /checkout/cni/shim.c:170'), faults: 1 },
  { name: 'a leak inside libbpf', text: leak('libbpf_strdup (/lib/x86_64-linux-gnu/libbpf.so.1+0xa0)'), faults: 1 },
  { name: 'what OpenSSL keeps', text: leak('CRYPTO_malloc (/checkout/node_modules/node/bin/node+0x1de0cb3)'), faults: 0 },
  {
    name: 'an overflow',
    text: '=====\n==7==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x60\nWRITE of size 1\n    #0 0x7f in strlen\n',
    faults: 1,
  },
  { name: 'undefined behaviour', text: 'native/map.c:41:7: runtime error: signed integer overflow: 1 + 2\n', faults: 1 },
];

for (const { name, text, faults } of cases) test(`${name}: ${faults} to repair`, () => assert.equal(faultsIn(text).length, faults));
