// SPDX-License-Identifier: Apache-2.0
// Large things: bodies of many packets, datagrams of many fragments.
import { expect, inBoth, ofFamily } from './check.ts';
import type { Check } from './check.ts';
import type { Place } from './places.ts';
import { ping, udpEcho, url } from './traffic.ts';

const BODY = 20_000_000; // bytes
const FRAGMENTED = [4_000, 60_000]; // bytes

/** Downloads and uploads a body that must arrive whole. */
async function body(from: Place, host: string, port: number): Promise<string> {
  const curl = ['curl', '--silent', '--show-error', '--globoff', '--connect-timeout', '2', '--max-time', '15'];
  const down = await from.run(
    [...curl, '--output', '/dev/null', '--write-out', '%{size_download} %{speed_download}', url(host, port, `/bytes/${BODY}`)],
    20_000,
  );
  const [size = '', speed = ''] = down.stdout.split(' ');
  expect(Number(size) === BODY, `${from.name} got ${size || 'no'} bytes from ${host}, wanted ${BODY}: ${down.stderr.trim()}`);
  const script = `head -c ${BODY} /dev/zero | ${curl.join(' ')} --data-binary @- '${url(host, port)}'`;
  const up = await from.run(['sh', '-c', script], 20_000);
  expect(
    up.stdout.includes(`"bytes":${BODY}`),
    `${host} did not get ${BODY} bytes from ${from.name}: ${up.stderr.trim() || up.stdout.trim()}`,
  );
  return `${((Number(speed) * 8) / 1e9).toFixed(1)} Gbit/s`;
}

async function fragments(from: Place, host: string, port: number): Promise<undefined> {
  for (const bytes of FRAGMENTED) await udpEcho(from, host, port, bytes);
  return undefined;
}

export const sizeChecks: readonly Check[] = [
  ...inBoth('20 MB go to a pod on another node and back', 'pods', ({ places }, family) =>
    body(places.client, ofFamily(places.echoOn('node2').ips, family), 8080),
  ),
  // covers: large
  ...inBoth('20 MB go through a ClusterIP and back', 'services', ({ places }, family) =>
    body(places.client, ofFamily(places.serviceIps('echo'), family), 80),
  ),
  ...inBoth('20 MB go through a ClusterIP and back, packet by packet', 'services', ({ places }, family) =>
    body(places.bypass, ofFamily(places.serviceIps('echo'), family), 80),
  ),
  ...inBoth('Datagrams in fragments reach a pod on another node', 'pods', ({ places }, family) =>
    fragments(places.client, ofFamily(places.echoOn('node2').ips, family), 8080),
  ),
  // covers: large
  ...inBoth('Datagrams in fragments reach a ClusterIP', 'services', ({ places }, family) =>
    fragments(places.client, ofFamily(places.serviceIps('echo'), family), 80),
  ),
  ...inBoth('Datagrams in fragments reach a ClusterIP, packet by packet', 'services', ({ places }, family) =>
    fragments(places.bypass, ofFamily(places.serviceIps('echo'), family), 80),
  ),
  ...inBoth('A ping of 3,000 bytes is answered by a pod on another node', 'pods', async ({ places }, family) => {
    await ping(places.client, ofFamily(places.echoOn('node2').ips, family), 3_000);
    return undefined;
  }),
];
