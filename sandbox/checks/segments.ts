// SPDX-License-Identifier: Apache-2.0
// A node gets a second cable, to a segment of its own, while its default route goes on leading by the first.
//
//   192.168.0.0/24 ── eth0 node3 eth1 ── 10.9.0.0/24 ── eth1 client, which asks as 172.30.0.5: a machine behind a router
import { CLIENT, LAN, netnsOf } from '../layout.ts';
import { inNetns } from '../network.ts';
import { mustRun } from '../run.ts';
import { until } from '../until.ts';
import { ofFamily } from './check.ts';
import type { CheckContext, Ipv } from './check.ts';
import { agentOn } from './agents.ts';
import { httpGet, ping, udpWho, url } from './traffic.ts';
import { PORT } from './wire.ts';

const NODE = 'node3';
const SECOND = { IPv4: '10.9.0.13', IPv6: 'fd00:9::13' } as const;
const ROUTER = { IPv4: '10.9.0.1', IPv6: 'fd00:9::1' } as const;
const ASKS_AS = { IPv4: '172.30.0.5', IPv6: 'fd00:172:30::5' } as const;

/** `act` while there is a second segment, and the agent has taken to it. */
async function withSecondSegment(context: CheckContext, act: (second: Readonly<Record<Ipv, string>>) => Promise<void>): Promise<void> {
  const { layout } = context.cluster;
  const at = (machine: string, script: string) => mustRun([...inNetns(layout, machine), 'sh', '-ec', script]);
  const own = (v4: string, v6: string) =>
    `echo 0 >/proc/sys/net/ipv6/conf/eth1/accept_dad; ip link set eth1 up; ip addr add ${v4}/24 dev eth1; ip addr add ${v6}/64 dev eth1 nodad`;
  await at(
    LAN,
    `ip link add br1 type bridge stp_state 0 forward_delay 0; ip link set br1 up
     for name in ${NODE} ${CLIENT.name}; do
       ip link add 2$name type veth peer name eth1 netns ${netnsOf(layout, '')}$name; ip link set 2$name master br1 up
     done`,
  );
  try {
    await at(
      CLIENT.name,
      `ip addr add ${ASKS_AS.IPv4}/32 dev lo; ip addr add ${ASKS_AS.IPv6}/128 dev lo nodad; ${own(ROUTER.IPv4, ROUTER.IPv6)}
       ip route replace 10.9.0.0/24 dev eth1 src ${ASKS_AS.IPv4}; ip -6 route del fd00:9::/64 dev eth1; ip -6 route add fd00:9::/64 dev eth1 src ${ASKS_AS.IPv6}`,
    );
    await at(
      NODE,
      `${own(SECOND.IPv4, SECOND.IPv6)}
       ip route add default via ${ROUTER.IPv4} metric 5000; ip -6 route add default via ${ROUTER.IPv6} metric 5000`,
    );
    const chosen = '  eth1: chosen because it has a default route';
    const taken = async () => {
      const { code, stdout } = await agentOn(context, NODE).run(['cilium', 'status', '--verbose'], 15_000); // while programs are being attached: 1
      return code === 0 && stdout.split('\n').includes(chosen);
    };
    await until(`the agent of ${NODE} to take eth1`, 10_000, taken, context.signal);
    await act(SECOND);
  } finally {
    await at(LAN, `for name in ${NODE} ${CLIENT.name}; do ip link del 2$name; done; ip link del br1`);
    await at(CLIENT.name, `ip addr del ${ASKS_AS.IPv4}/32 dev lo; ip addr del ${ASKS_AS.IPv6}/128 dev lo`);
  }
}

/** The node itself, one of its pods, and node ports with a backend here and elsewhere, by DSR and by SNAT. */
export async function answersBySecondSegment(context: CheckContext): Promise<string> {
  const { outsider, echoOn } = context.places;
  let asked = 0;
  await withSecondSegment(context, async (second) => {
    for (const family of ['IPv4', 'IPv6'] as const) {
      const address = second[family];
      const pod = ofFamily(echoOn(NODE).ips, family);
      await outsider.run(['ip', 'route', 'add', pod, 'via', address, 'src', ASKS_AS[family]]);
      await ping(outsider, address);
      for (const [to, port] of [
        [pod, 8080],
        [address, PORT.wire],
        [address, PORT.snat],
        [address, PORT.sticky],
      ] as const) {
        await httpGet(outsider, url(to, port));
        await udpWho(outsider, to, port);
        asked += 2;
      }
    }
  });
  return `${asked} requests to pods and node ports, and pings`;
}
