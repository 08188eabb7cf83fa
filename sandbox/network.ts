// SPDX-License-Identifier: Apache-2.0
// The LAN: one network namespace for each machine, and one for the bridge that joins them. Nothing is ever in the
// namespace of the machine that runs the sandbox: both ends of each cable are born where they belong.
import { mkdir, readdir } from 'node:fs/promises';
import { CLIENT, HOST_DNS, INTERNET, isNetnsOf, LAN, netnsOf, netnsPath, NODES, ROUTER } from './layout.ts';
import type { Host, Layout } from './layout.ts';
import { mustRun } from './run.ts';

/** Creates the namespaces, cables, addresses and routes of a sandbox. Throws CommandFailed. */
export async function createNetwork(layout: Layout): Promise<void> {
  const machines = [...NODES, ROUTER, CLIENT];
  await ipBatch(
    [],
    [LAN, ...machines.map((machine) => machine.name)].map((name) => `netns add ${netnsOf(layout, name)}`),
  );
  await ipBatch(inNetns(layout, LAN), bridgeLines(layout, machines));
  await mustRun([...inNetns(layout, LAN), 'sh', '-c', `${noBridgeFilter}; ${noFramesOfItsOwn}`]);
  await Promise.all(machines.map((machine) => configure(layout, machine)));
}

/** A switch does not hand its frames to netfilter, as a Linux bridge does where the module br_netfilter is loaded. */
const noBridgeFilter = 'for file in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -e "$file" ] || echo 0 >"$file"; done';

const noFramesOfItsOwn = 'for file in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 >"$file"; done';

/** Removes the namespaces of a sandbox, and with them all of their interfaces. Returns how many there were. */
export async function removeNetwork(layout: Layout): Promise<number> {
  await mkdir('/run/netns', { recursive: true });
  const remains = (await readdir('/run/netns')).filter((name) => isNetnsOf(layout, name));
  if (remains.length > 0)
    await ipBatch(
      [],
      remains.map((name) => `netns del ${name}`),
    );
  return remains.length;
}

/**
 * Ports do not flood unicast for unknown addresses: what is sent to a machine's MAC reaches that machine alone, as on a
 * switch that has been up for a while. Addresses are learnt from what the machines send and kept for an hour.
 */
const bridgeLines = (layout: Layout, machines: readonly Host[]): string[] => [
  'link set lo up',
  'link add br0 type bridge stp_state 0 forward_delay 0 ageing_time 360000 mcast_snooping 0',
  'link set br0 up',
  ...machines.flatMap(({ name, mac }) => [
    `link add ${name} type veth peer name eth0 address ${mac} netns ${netnsOf(layout, name)}`,
    `link set ${name} master br0 up`,
    `link set ${name} type bridge_slave flood off`,
  ]),
];

async function configure(layout: Layout, machine: Host): Promise<void> {
  const forwards = machine !== CLIENT;
  const settings = [
    'net/ipv6/conf/all/accept_dad=0',
    'net/ipv6/conf/default/accept_dad=0',
    'net/ipv6/conf/eth0/accept_dad=0',
    'net/ipv6/conf/eth0/accept_ra=0',
    ...(forwards ? ['net/ipv4/ip_forward=1', 'net/ipv6/conf/all/forwarding=1'] : []),
  ];
  const sysctls = settings.map((setting) => setting.split('=')).map(([key, value]) => `echo ${value} >/proc/sys/${key}`);
  const where = inNetns(layout, machine.name);
  await mustRun([...where, 'sh', '-ec', sysctls.join('\n')]);
  await ipBatch(where, [
    'link set lo up',
    `addr add ${machine.ipv4}/24 dev eth0`,
    `addr add ${machine.ipv6}/64 dev eth0 nodad`,
    'link set eth0 up',
    ...(machine.name === HOST_DNS.node ? [`addr add ${HOST_DNS.ipv4}/32 dev lo`] : []),
    ...(machine === ROUTER ? routerLines : [`route add default via ${ROUTER.ipv4}`, `route add default via ${ROUTER.ipv6}`]),
  ]);
}

const routerLines = [`addr add ${INTERNET.ipv4}/32 dev lo`, `addr add ${INTERNET.ipv6}/128 dev lo nodad`];

/** The beginning of a command that runs in a machine's network namespace. */
export const inNetns = (layout: Layout, machine: string): string[] => ['nsenter', `--net=${netnsPath(layout, machine)}`, '--'];

const ipBatch = (where: readonly string[], lines: readonly string[]): Promise<string> =>
  mustRun([...where, 'ip', '-batch', '-'], { input: `${lines.join('\n')}\n` });
