// SPDX-License-Identifier: Apache-2.0
// The seed's loadBalancer.algorithm: maglev, as a client on the LAN sees it: one backend, whichever node it asks.
import type { Json } from '../api/json.ts';
import { podsIn } from '../objects.ts';
import { until } from '../until.ts';
import { expect, IPV, ofFamily } from './check.ts';
import type { Check, CheckContext, Ipv } from './check.ts';
import { agentOn, said } from './agents.ts';
import { NAMESPACE, NODE_NAMES } from './places.ts';
import { httpGet, udpWho, url } from './traffic.ts';
import { PORT } from './wire.ts';

const TRIES = 4;
const LABEL = 'maglev';

/** `act` while the echo servers have the label that the Service selects by, and all nodes know it. */
async function served(context: CheckContext, act: (servers: readonly string[]) => Promise<string>): Promise<string> {
  const { cluster } = context;
  const servers = podsIn(cluster.store, { namespace: NAMESPACE, labelSelector: 'app=echo' }).map(({ metadata }) => metadata.name);
  for (const name of servers) label(context, name, 'wanted');
  try {
    await knownBy(context, servers.length);
    return await act(servers);
  } finally {
    for (const name of servers) label(context, name, null); // null: a merge patch takes it away
  }
}

function label({ cluster: { store } }: CheckContext, name: string, value: string | null): void {
  store.patch('pods', { namespace: NAMESPACE, name }, { metadata: { labels: { [LABEL]: value } } });
}

async function knownBy(context: CheckContext, backends: number): Promise<void> {
  const all = async () => (await tables(context)).flat().every((table) => new Set(table).size === backends);
  await until(`tables of ${backends} backends on ${NODE_NAMES.join(', ')}`, 20_000, all, context.signal);
}

/** The pods that answer at every node, by TCP and by UDP. */
async function answering({ places: { outsider, node } }: CheckContext, family: Ipv): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (const name of NODE_NAMES) {
    const address = ofFamily(node(name).ips, family);
    for (let tries = 0; tries < TRIES; tries++) {
      found.add(`${(await httpGet(outsider, url(address, PORT.maglev))).pod} by TCP`);
      found.add(`${(await udpWho(outsider, address, PORT.maglev)).pod} by UDP`);
    }
  }
  return found;
}

const sameEverywhere = (context: CheckContext): Promise<string> =>
  served(context, async (servers) => {
    const seen = await Promise.all(IPV.map((family) => answering(context, family)));
    for (const found of seen) expect(found.size === 2, `${[...found].join(', ')} answered one client, wanted one pod for each protocol`);
    return `${NODE_NAMES.length} nodes, ${servers.length} backends, ${2 * TRIES} tries at each`;
  });

const KEY = 'lb.stentor.dev/maglev-key';

const spreads = (context: CheckContext): Promise<string> =>
  served(context, async (servers) => {
    const { store } = context.cluster;
    const service = { namespace: NAMESPACE, name: 'wire-maglev' };
    const annotate = (value: Json) => store.patch('services', service, { metadata: { annotations: { [KEY]: value } } });
    annotate('flow');
    try {
      for (const family of IPV) {
        const found = new Set<string>();
        const all = async () => {
          for (const one of await answering(context, family)) found.add(one);
          return found.size === 2 * servers.length;
        };
        await until(`every server to answer one client (${family})`, 20_000, all, context.signal);
      }
    } finally {
      annotate(null); // null: as above
    }
    return `${servers.length} servers answer one client`;
  });

/** For each node, and there for each family, the addresses of the backends entry by entry, as its kernel has them. */
const tables = (context: CheckContext): Promise<readonly (readonly (readonly string[])[])[]> =>
  Promise.all(NODE_NAMES.map((node) => tablesOn(context, node)));

async function tablesOn(context: CheckContext, node: string): Promise<readonly (readonly string[])[]> {
  const agent = agentOn(context, node);
  const asked = async <Answer>(...words: readonly string[]) =>
    JSON.parse(await said(agent, ['cilium', 'bpf', 'lb', ...words, '-o', 'json'])) as Answer; // as: as its help says
  type Lists = Readonly<Record<string, readonly string[]>>;
  const [frontends, backends, found] = await Promise.all([
    asked<Lists>('list', '--frontends'),
    asked<Lists>('list', '--backends'),
    asked<readonly { readonly service: number; readonly backends: readonly number[] }[]>('maglev', 'list'),
  ]);
  return ['0.0.0.0', '[::]'].map((address) => {
    const id = Number(/\((\d+)\)/.exec(frontends[`${address}:${PORT.maglev}/TCP (0)`]?.[0] ?? '')?.[1]);
    return (found.find(({ service }) => service === id)?.backends ?? []).map((backend) => backends[`${backend}`]?.[0] ?? 'nobody');
  });
}

const movesFew = (context: CheckContext): Promise<string> =>
  served(context, async (servers) => {
    const before = await tables(context);
    label(context, servers[0] ?? '', null); // null: as above
    await knownBy(context, servers.length - 1);
    const after = await tables(context);
    for (const nodes of [before, after])
      for (const table of nodes) expect(table.join('|') === nodes[0]?.join('|'), `${NODE_NAMES.join(', ')} have different tables`);
    const moved = (before[0] ?? []).map((was, family) => {
      const is = after[0]?.[family] ?? [];
      const stays = new Set(is);
      return was.filter((backend, entry) => stays.has(backend) && is[entry] !== backend).length / was.length;
    });
    expect(
      moved.every((share) => share < 0.05),
      `${moved.map(percent).join(' and ')} of the entries lost a backend that is there`,
    );
    return `${moved.map(percent).join(' (IPv4) and ')} (IPv6) of all entries move needlessly`;
  });

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

export const maglevChecks: readonly Check[] = [
  { name: 'A client on the LAN gets the same backend at every node (Maglev, IPv4 and IPv6)', needs: 'agent', run: sameEverywhere },
  { name: 'All nodes have the same Maglev tables, and a backend that goes moves few clients of others', needs: 'agent', run: movesFew },
  { name: 'With lb.stentor.dev/maglev-key: flow the connections of one client spread over all backends', needs: 'agent', run: spreads },
];
