// SPDX-License-Identifier: Apache-2.0
// The service map as data: who talks to whom, counted over a stretch of time.

export type NodeKind = 'workload' | 'name' | 'world' | 'host' | 'kube-apiserver' | 'reserved' | 'other';

export type MapNode = {
  /** Of this graph; never given twice. */
  readonly index: number;
  /** 'shop/cart', 'name:example.com', 'world'. */
  readonly id: string;
  readonly kind: NodeKind;
  readonly name: string;
  readonly namespace?: string | undefined;
};

export type Layer7Name = 'HTTP' | 'DNS' | 'Kafka';

export type MapLink = {
  readonly index: number;
  /** Index of the node that opens connections, and of the one that takes them. */
  readonly from: number;
  readonly to: number;
  /** 'TCP', 'ICMPv4'. */
  readonly protocol: string;
  /** Of the one that takes them; 0 where there is none. */
  readonly port: number;
  readonly layer7?: Layer7Name | undefined;
  readonly counts: LinkCounts;
};

/** What was seen of a link in the whole stretch of time. */
export type LinkCounts = {
  readonly connections: number;
  /** Those that were answered. */
  readonly requests: number;
  /** Of the requests: HTTP 5xx, DNS that failed. */
  readonly errors: number;
  readonly drops: number;
  /** That a policy in audit mode would have dropped. */
  readonly audits: number;
  /** Milliseconds; undefined where nobody knows. */
  readonly p50?: number | undefined;
  readonly p99?: number | undefined;
  /** Why most were dropped: a number of DropReason. */
  readonly reason?: number | undefined;
};

export type Graph = {
  readonly nodes: readonly MapNode[];
  readonly links: readonly MapLink[];
  /** Events that belong to no link, because there are too many. */
  readonly unlisted: number;
};

/** A slot of time, for the histogram. */
export type Bucket = {
  /** Milliseconds since the epoch at which it begins. */
  readonly start: number;
  readonly forwarded: number;
  readonly dropped: number;
  readonly errors: number;
};

/** What makes of the graph that somebody has the one that there is. Counts: the link's index, and its counts in the order of `LinkCounts`. */
export type GraphDelta = {
  readonly nodes: readonly MapNode[];
  readonly links: readonly MapLink[];
  readonly counts: readonly (readonly [index: number, counts: LinkCounts])[];
  readonly goneNodes: readonly number[];
  readonly goneLinks: readonly number[];
  readonly unlisted: number;
};

const countNames = ['connections', 'requests', 'errors', 'drops', 'audits', 'p50', 'p99', 'reason'] as const;
const isSame = (a: LinkCounts, b: LinkCounts) => countNames.every((name) => a[name] === b[name]);

/** What has changed between two graphs of one aggregator. */
export function graphDelta(before: Graph, after: Graph): GraphDelta {
  const had = new Map(before.links.map((link) => [link.index, link]));
  const hadNodes = new Set(before.nodes.map(({ index }) => index));
  const links: MapLink[] = [];
  const counts: [number, LinkCounts][] = [];
  for (const link of after.links) {
    const last = had.get(link.index);
    had.delete(link.index);
    if (last === undefined) links.push(link);
    else if (!isSame(last.counts, link.counts)) counts.push([link.index, link.counts]);
  }
  const nodes = after.nodes.filter(({ index }) => !hadNodes.has(index));
  for (const { index } of after.nodes) hadNodes.delete(index);
  return { nodes, links, counts, goneNodes: [...hadNodes], goneLinks: [...had.keys()], unlisted: after.unlisted };
}

/** The graph that a delta makes of another. */
export function withDelta(graph: Graph, delta: GraphDelta): Graph {
  const counts = new Map(delta.counts);
  const [goneNodes, goneLinks] = [new Set(delta.goneNodes), new Set(delta.goneLinks)];
  const kept = graph.links.filter(({ index }) => !goneLinks.has(index));
  const links = kept.map((link) => {
    const now = counts.get(link.index);
    return now === undefined ? link : { ...link, counts: now };
  });
  return {
    nodes: [...graph.nodes.filter(({ index }) => !goneNodes.has(index)), ...delta.nodes],
    links: [...links, ...delta.links],
    unlisted: delta.unlisted,
  };
}

export const emptyGraph: Graph = { nodes: [], links: [], unlisted: 0 };
