// SPDX-License-Identifier: Apache-2.0
// Are the two ways of translating services really two? The kernel's own table of connections in a pod tells: after a
// socket hook it names the backend, otherwise the ClusterIP. Without this, every "packet by packet" check proves nothing.
import { expect } from './check.ts';
import type { Check } from './check.ts';
import type { Place } from './places.ts';

// $1 address: connects, then prints the pod's IPv4 connections.
const SCRIPT = 'exec 3<>"/dev/tcp/$1/80" && cat /proc/net/tcp';

/** The address as /proc/net/tcp writes it on a little-endian machine: eight hexadecimal digits. */
const hexOf = (address: string): string => Buffer.from(address.split('.').map(Number)).reverse().toString('hex').toUpperCase();

export async function connectsTo(place: Place, clusterIp: string): Promise<'backend' | 'ClusterIP'> {
  const ran = await place.run(['bash', '-c', SCRIPT, 'tcp', clusterIp]);
  expect(ran.code === 0, `${place.name} cannot connect to ${clusterIp}: ${ran.stderr.trim()}`);
  return ran.stdout.includes(` ${hexOf(clusterIp)}:0050 `) ? 'ClusterIP' : 'backend';
}

export const vantageChecks: readonly Check[] = [
  {
    name: "A pod's sockets are connected to a backend from the start",
    needs: 'agent',
    run: async ({ places }) => {
      const seen = await connectsTo(places.client, places.serviceIps('echo')[0] ?? '');
      expect(seen === 'backend', `The socket is connected to the ${seen}: no socket hook saw it`);
      return undefined;
    },
  },
  {
    name: 'The pod that bypasses the socket hooks does bypass them',
    needs: 'agent',
    run: async ({ places }) => {
      const seen = await connectsTo(places.bypass, places.serviceIps('echo')[0] ?? '');
      expect(seen === 'ClusterIP', `The socket is connected to a ${seen}: a socket hook saw it`);
      return undefined;
    },
  },
  {
    name: 'The sockets of a pod with the annotation stentor.dev/socket-lb: "false" stay as they are',
    needs: 'agent',
    run: async ({ places }) => {
      const seen = await connectsTo(places.exempt, places.serviceIps('echo')[0] ?? '');
      expect(seen === 'ClusterIP', `The socket is connected to a ${seen}`);
      const refused = await places.exempt.run(['bash', '-c', 'exec 3<>"/dev/tcp/$1/81"', 'tcp', places.serviceIps('echo')[0] ?? '']);
      expect(refused.code !== 0 && /refused/i.test(refused.stderr), `Port 81 said '${refused.stderr.trim()}', wanted a refusal`);
      return undefined;
    },
  },
];
