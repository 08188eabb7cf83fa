// SPDX-License-Identifier: Apache-2.0
// What the commands say is what happens.
import { INTERNET } from '../layout.ts';
import { agentOn, said } from './agents.ts';
import { expect, IPV, ofFamily } from './check.ts';
import type { Check, CheckContext } from './check.ts';
import { NODE_NAMES } from './places.ts';
import type { Place, Places } from './places.ts';
import { httpGet, udpEcho, url } from './traffic.ts';

/** `as`: how the trace calls the place from which the connection is made. */
type Try = { readonly from: Place; readonly as: string; readonly address: string; readonly port: number };

function triesOf({ client, outsider, node, echoOn, serviceIps }: Places): readonly Try[] {
  const fromEach = (address: string, port: number): readonly Try[] => [
    { from: client, as: ofFamily(client.ips, address.includes(':') ? 'IPv6' : 'IPv4'), address, port },
    { from: node('node1'), as: 'host', address, port },
  ];
  return IPV.flatMap((family) => [
    ...fromEach(ofFamily(serviceIps('echo'), family), 80),
    ...fromEach(ofFamily(serviceIps('echo'), family), 81),
    ...fromEach(ofFamily(serviceIps('nobody'), family), 80),
    ...fromEach(ofFamily(echoOn('node2').ips, family), 8080),
    ...fromEach(family === 'IPv4' ? INTERNET.ipv4 : INTERNET.ipv6, INTERNET.port),
    { from: outsider, as: ofFamily(outsider.ips, family), address: ofFamily(serviceIps('echo'), family), port: 80 },
  ]);
}

async function tracesAgree(context: CheckContext): Promise<string> {
  const agent = agentOn(context, 'node1');
  const tries = triesOf(context.places);
  let reached = 0;
  for (const { from, as, address, port } of tries) {
    const target = url(address, port).slice('http://'.length, -1);
    const trace = await agent.run(['stentor', 'trace', 'tcp', as, target], 10_000);
    const ran = await from.run(['curl', '--silent', '--output', '/dev/null', '--globoff', '--max-time', '1', url(address, port)]);
    expect(
      trace.code === (ran.code === 0 ? 0 : 1),
      `${from.name} to ${target}: curl ends with ${ran.code}, the trace with ${trace.code}: ${(trace.stdout + trace.stderr).trim()}`,
    );
    if (ran.code === 0) reached++;
  }
  return `${tries.length} connections, ${reached} of them come about`;
}

/** The maps name exactly the pods behind a service, and the flows through it. */
async function mapsAreListed(context: CheckContext): Promise<undefined> {
  const { bypass, serviceIps, echoOn } = context.places;
  const agent = agentOn(context, 'node1');
  for (const family of IPV) {
    const address = ofFamily(serviceIps('echo'), family);
    await httpGet(bypass, url(address, 80));
    await udpEcho(bypass, address, 80);
    const frontend = `${url(address, 80).slice('http://'.length, -1)}/TCP`;
    const wanted = NODE_NAMES.map((node) => `${url(ofFamily(echoOn(node).ips, family), 8080).slice('http://'.length, -1)}/TCP`);
    const rows: Readonly<Record<string, readonly string[]>> = JSON.parse(await said(agent, ['cilium', 'bpf', 'lb', 'list', '-o', 'json']));
    const found = [1, 2, 3].map((slot) => rows[`${frontend} (${slot})`]?.[0]?.split(' ')[0]);
    expect(
      found.every((one) => one !== undefined && wanted.includes(one)) && new Set(found).size === wanted.length,
      `bpf lb list has ${found.join()} for ${frontend}, wanted ${wanted.join()}`,
    );
    const from = family === 'IPv4' ? ofFamily(bypass.ips, family) : `[${ofFamily(bypass.ips, family)}]`;
    for (const [command, pattern] of [
      ['ct list global', `TCP SVC ${from}:`],
      ['nat list', `TCP OUT ${from}:`],
    ] as const) {
      const lines = (await said(agent, ['cilium', 'bpf', ...command.split(' ')])).split('\n');
      const mine = lines.filter((line) => line.startsWith(pattern) && line.includes(` -> ${frontend.slice(0, -'/TCP'.length)} `));
      expect(mine.length > 0, `bpf ${command} has no flow of ${bypass.name} to ${frontend}`);
    }
  }
  return undefined;
}

export const commandChecks: readonly Check[] = [
  { name: 'stentor trace says of connections whether they come about', needs: 'agent', run: tracesAgree },
  { name: 'cilium bpf lb, ct and nat list what is behind a service, and who talks to it', needs: 'agent', run: mapsAreListed },
  {
    name: 'stentor doctor misses nothing on any node',
    needs: 'agent',
    run: async (context) => {
      for (const node of NODE_NAMES) await said(agentOn(context, node), ['stentor', 'doctor']);
      return undefined;
    },
  },
];
