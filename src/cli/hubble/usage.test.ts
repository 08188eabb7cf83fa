// SPDX-License-Identifier: Apache-2.0
// Command lines that cannot be understood, and servers that cannot be asked: what is said, and with which exit code.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { leave, listen, run } from './testdata/server.ts';

before(listen);
after(leave);

const wrong: readonly (readonly [line: string, code: number, says: RegExp])[] = [
  ['observe --last 1 --first 1', 2, /^Cannot combine --first and --last\nUsage: hubble observe \[FLAGS\]\n$/],
  ['observe --first 1 --all', 2, /Cannot combine --first and --all/],
  ['observe --first 1 -f', 2, /Cannot combine --first and --follow/],
  ['observe --last 1 --all', 2, /Cannot combine --last and --all/],
  ['observe --last many', 2, /Cannot use --last many, wanted a whole number/],
  ['observe -o table -f', 2, /Cannot follow in a table/],
  ['observe -o yaml', 2, /Cannot print as 'yaml', wanted one of compact, dict, table, json, jsonpb/],
  ['observe --field-mask time', 2, /Cannot use --field-mask without -o json/],
  ['observe --color red', 2, /Cannot colour 'red'/],
  ['observe everything', 2, /Cannot observe 'everything', wanted flows, agent-events or debug-events/],
  ['observe --verdikt DROPPED', 2, /--verdikt/],
  ['observe --allowlist {"pod":["a"]}', 2, /Cannot use the filter \{"pod":\["a"\]\}: pod is no field of a FlowFilter/],
  ['observe --http-path (', 1, /^The server unix:.* refuses: whitelist\[0\]\.http_path: bad\n$/],
  ['observe --input-file /nowhere', 2, /Cannot read --input-file \/nowhere/],
  ['observe --server unix:///nowhere.sock', 1, /^Cannot reach the server unix:\/\/\/nowhere\.sock: .*ENOENT/],
  ['observe --server a/b', 2, /Cannot ask the server 'a\/b', wanted host:port/],
  ['observe --timeout soon', 2, /Cannot wait for --timeout 'soon'/],
  ['observe --basic-auth-username me', 2, /Cannot send a password without --tls/],
  ['top --by colour', 2, /Cannot group by 'colour', wanted one of source/],
  ['list pods', 2, /Cannot list 'pods'/],
  ['watch nodes', 2, /Cannot watch 'nodes'/],
  ['status -o yaml', 2, /Cannot print as 'yaml'/],
  ['observ', 2, /did you mean observe/],
];
describe('what is refused', { concurrency: 4 }, () => {
  for (const [line, code, says] of wrong)
    test(`hubble ${line} is refused`, async () => {
      const ran = await run(line);
      assert.match(ran.err, says);
      assert.deepEqual([ran.code, ran.out], [code, '']);
    });
});
