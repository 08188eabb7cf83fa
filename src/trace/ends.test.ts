// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { packetFor } from './ends.ts';
import { node1, pods } from './testdata/node1.ts';

const [podA] = pods;
const replica = (name: string) => ({ ...(podA ?? assert.fail()), hostInterface: `lxc-${name}`, pod: name });
const tables = node1({ endpoints: [...pods, replica('web-7f-b'), replica('web-7f-a')] });
const asked = (words: string) => {
  const [protocol = '', source = '', destination = ''] = words.split(' ');
  return packetFor({ protocol, source, destination, raw: false }, tables);
};

const understood: readonly [words: string, source: string, destination: string][] = [
  ['tcp 10.244.1.5 10.96.0.10:53', '10.244.1.5:40000', '10.96.0.10:53'],
  ['TCP 10.244.1.5:1234 10.96.0.10:53', '10.244.1.5:1234', '10.96.0.10:53'],
  ['tcp fd00:244:1::5 [fd00:10:96::10]:53', 'fd00:244:1::5:40000', 'fd00:10:96::10:53'],
  ['tcp shop/podA [fd00:10:96::10]:53', 'fd00:244:1::5:40000', 'fd00:10:96::10:53'],
  ['tcp shop/podA shop/cart:http', '10.244.1.5:40000', '10.96.0.10:80'],
  ['udp shop/podA shop/cart:dns', '10.244.1.5:40000', '10.96.0.10:53'],
  ['tcp shop/web shop/cart:80', '10.244.1.5:40000', '10.96.0.10:80'],
  ['tcp shop/podA shop/far:80', '10.244.1.5:40000', '10.244.2.7:80'],
  ['tcp host node2:22', 'host:40000', '192.0.2.12:22'],
  ['tcp shop/podA host:22', '10.244.1.5:40000', '192.0.2.11:22'],
  ['tcp outside shop/podA:80', '198.51.100.1:40000', '10.244.1.5:80'],
  ['icmp shop/podA shop/cart', '10.244.1.5:0', '10.96.0.10:0'],
];
for (const [words, source, destination] of understood)
  test(`${words} is from ${source} to ${destination}`, () => {
    const packet = asked(words);
    assert.ok(typeof packet === 'object', JSON.stringify(packet));
    assert.deepEqual([`${packet.source}:${packet.sourcePort}`, `${packet.destination}:${packet.destinationPort}`], [source, destination]);
  });

const refused: readonly [words: string, why: RegExp][] = [
  ['sctp host node2:22', /^Cannot trace 'sctp', wanted tcp, udp or icmp$/],
  ['tcp host node2', /^Cannot trace tcp to 'node2' without a port, wanted node2:PORT$/],
  ['icmp host node2:22', /^Cannot trace icmp with a port/],
  ['tcp host node9:22', /^Cannot find 'node9:22', wanted an address, host/],
  ['tcp shop/nothing node2:22', /^Cannot find 'shop\/nothing', .* a pod of this node: ask for pods of other nodes there$/],
  ['tcp shop/cart node2:22', /^Cannot find 'shop\/cart'/],
  ['tcp host node2:0', /^Cannot use the port '0'/],
  ['tcp host node2:65536', /^Cannot use the port '65536'/],
  ['tcp shop/podA shop/cart:dns', /^Cannot use the port 'dns' of 'shop\/cart:dns', wanted 1 to 65535 or a tcp port of the service$/],
  ['tcp 10.244.1.5 [fd00::1]:80', /^Cannot trace from '10\.244\.1\.5' to '\[fd00::1\]:80': they have no address of the same family$/],
  ['tcp  :80', /^Cannot find ''/],
];
for (const [words, why] of refused) test(`'${words}' is not understood`, () => assert.match(textOf(asked(words)), why));

function textOf(answer: ReturnType<typeof packetFor>): string {
  return typeof answer === 'string' ? answer : 'understood';
}
