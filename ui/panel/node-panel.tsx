// SPDX-License-Identifier: Apache-2.0
// A node of the map: who calls it, and whom it calls.

import { seen } from '../live.ts';
import { go, goView, place } from '../location.ts';
import type { Arrow } from '../map/scene.ts';
import { modelOf } from '../map/scene.ts';
import { useStore } from '../store.ts';
import { perSecond } from '../format.ts';
import { addTerm } from '../filter-bar.tsx';
import { Troubles } from './numbers.tsx';
import { PanelFrame } from './frame.tsx';

const kinds = {
  workload: 'Workload',
  name: 'DNS name',
  world: 'Outside of the cluster',
  host: 'Nodes of the cluster',
  'kube-apiserver': 'Kubernetes API',
  reserved: 'Reserved',
  other: 'Those that there is no room for',
} as const;

export function NodePanel({ id }: { readonly id: string }) {
  const { graph, seconds } = useStore(seen);
  const { view } = useStore(place);
  const { nodes, arrows } = modelOf(graph);
  const node = nodes.get(id);
  const namespace = node?.namespace;
  const isOnly = namespace !== undefined && view.namespaces.length === 1 && view.namespaces[0] === namespace;
  return (
    <PanelFrame
      kind={node ? kinds[node.kind] : 'Not seen in this time'}
      title={
        <>
          {namespace && <span class="muted">{namespace}/</span>}
          {node?.name ?? id}
        </>
      }
    >
      <div class="actions">
        <button
          type="button"
          data-test="show-flows"
          onClick={() =>
            go({
              page: 'flows',
              selection: undefined,
              view: {
                ...view,
                terms: [
                  ...view.terms.filter(({ kind }) => kind !== 'at' && kind !== 'link'),
                  { kind: 'at', side: 'either', not: false, value: id },
                ],
              },
            })
          }
        >
          Show flows
        </button>
        {namespace !== undefined && !isOnly && (
          <button type="button" onClick={() => goView({ namespaces: [namespace] })}>
            Only {namespace}
          </button>
        )}
        <button
          type="button"
          onClick={() => {
            go({ selection: undefined });
            addTerm({ kind: 'at', side: 'either', not: true, value: id });
          }}
        >
          Hide
        </button>
      </div>
      <Peers title="Called by" arrows={arrows.filter(({ to }) => to === id)} end="from" seconds={seconds} />
      <Peers title="Calls" arrows={arrows.filter(({ from }) => from === id)} end="to" seconds={seconds} />
    </PanelFrame>
  );
}

type PeersProps = { readonly title: string; readonly arrows: readonly Arrow[]; readonly end: 'from' | 'to'; readonly seconds: number };
const MOST_PEERS = 60;

function Peers({ title, arrows, end, seconds }: PeersProps) {
  if (arrows.length === 0) return null; // null: preact's nothing
  const order = arrows.toSorted((a, b) => b.volume - a.volume);
  return (
    <>
      <h3>
        {title} <span class="muted">{arrows.length}</span>
      </h3>
      <ul class="peers">
        {order.slice(0, MOST_PEERS).map((arrow) => (
          <li key={arrow[end]}>
            <button type="button" class="row-button" onClick={() => go({ selection: { kind: 'link', from: arrow.from, to: arrow.to } })}>
              <span class="peer-name">{arrow[end]}</span>
              <span class="num">{perSecond(arrow.volume, seconds)}</span>
              <Troubles counts={sumOf(arrow)} />
            </button>
          </li>
        ))}
      </ul>
      {order.length > MOST_PEERS && <p class="muted">and {order.length - MOST_PEERS} more</p>}
    </>
  );
}

function sumOf({ links }: Arrow) {
  const sum = (of: (counts: Arrow['links'][number]['counts']) => number) => links.reduce((all, { counts }) => all + of(counts), 0);
  const worst = links.toSorted((a, b) => b.counts.drops - a.counts.drops)[0];
  return {
    connections: sum(({ connections }) => connections),
    requests: sum(({ requests }) => requests),
    errors: sum(({ errors }) => errors),
    drops: sum(({ drops }) => drops),
    audits: sum(({ audits }) => audits),
    reason: worst?.counts.reason,
  };
}
