// SPDX-License-Identifier: Apache-2.0
// How everything is that this page rests on: the relay, the nodes behind it, what was lost, certificates.

import type { Certificate, Health, NodeHealth } from '../src/page/api.ts';
import { useAnswer } from './api.ts';
import { bytes, duration, moment, short } from './format.ts';

const SOON_MS = 7 * 86_400_000;

export function HealthPage() {
  const { value, error, isLoading } = useAnswer<Health>('api/health', 3000);
  return (
    <section class="document" aria-label="Health">
      <h1>Health</h1>
      {isLoading && <p class="muted">Asking …</p>}
      {error && <p class="bad">{error}</p>}
      {value && <Details health={value} />}
    </section>
  );
}

function Details({ health: { relay, nodes, losses, certificates, server } }: { readonly health: Health }) {
  const away = nodes.filter(({ state }) => state !== 'connected');
  return (
    <>
      <div class="tiles">
        <Tile
          title="Relay"
          isBad={!relay.ok}
          value={relay.ok ? 'answers' : 'does not answer'}
          more={relay.message ?? `${relay.address}${relay.version ? `, ${relay.version}` : ''}`}
        />
        <Tile
          title="Nodes"
          isBad={away.length > 0}
          value={`${nodes.length - away.length} of ${nodes.length}`}
          more={away.length > 0 ? `not ${away.map(({ name }) => name).join(', ')}` : 'all connected'}
        />
        <Tile title="Flows" value={relay.flowsRate === undefined ? '–' : `${short(relay.flowsRate)}/s`} more="in the whole cluster" />
        <Tile
          title="Lost"
          isBad={losses.length > 0}
          value={short(losses.reduce((sum, { lost }) => sum + lost, 0))}
          more={losses.length > 0 ? 'events that nobody saw' : 'nothing that we know of'}
        />
        <Tile
          title="This page"
          value={`${server.viewers} looking`}
          more={`up ${duration(server.uptimeMs)}, ${bytes(server.rss)}, ${server.version}`}
        />
      </div>
      <h2>Nodes</h2>
      <div class="scroll-x">
        <table class="list">
          <thead>
            <tr>
              <th>Node</th>
              <th>State</th>
              <th>Version</th>
              <th>Address</th>
              <th>Up</th>
              <th class="num">Flows kept</th>
              <th class="num">Seen</th>
              <th>TLS</th>
            </tr>
          </thead>
          <tbody>
            {nodes.map((node) => (
              <NodeRow node={node} key={node.name} />
            ))}
          </tbody>
        </table>
      </div>
      {losses.length > 0 && <Losses losses={losses} />}
      {certificates.length > 0 && <Certificates certificates={certificates} />}
    </>
  );
}

function Tile({
  title,
  value,
  more,
  isBad = false,
}: {
  readonly title: string;
  readonly value: string;
  readonly more: string;
  readonly isBad?: boolean;
}) {
  return (
    <div class="tile">
      <div class="muted">{title}</div>
      <div class={`tile-value ${isBad ? 'bad' : ''}`}>{value}</div>
      <div class="muted">{more}</div>
    </div>
  );
}

function NodeRow({ node: { name, state, version, address, uptimeMs, flows, capacity, seen, tls } }: { readonly node: NodeHealth }) {
  return (
    <tr>
      <td class="strong">{name}</td>
      <td>{state === 'connected' ? <span class="good-dot">connected</span> : <span class="bad">{state}</span>}</td>
      <td>{version}</td>
      <td class="mono">{address}</td>
      <td>{uptimeMs === undefined ? '' : duration(uptimeMs)}</td>
      <td class="num">
        {short(flows)} of {short(capacity)}
      </td>
      <td class="num">{short(seen)}</td>
      <td>{tls ? 'yes' : 'no'}</td>
    </tr>
  );
}

function Losses({ losses }: { readonly losses: Health['losses'] }) {
  return (
    <>
      <h2>Lost</h2>
      <table class="list">
        <thead>
          <tr>
            <th>Node</th>
            <th>Where</th>
            <th class="num">Events</th>
            <th>Last</th>
          </tr>
        </thead>
        <tbody>
          {losses.map(({ node, source, lost, last }) => (
            <tr key={`${node} ${source}`}>
              <td class="strong">{node}</td>
              <td>{source}</td>
              <td class="num bad">{short(lost)}</td>
              <td>{moment(last)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

function Certificates({ certificates }: { readonly certificates: readonly Certificate[] }) {
  return (
    <>
      <h2>Certificates</h2>
      <table class="list">
        <thead>
          <tr>
            <th>Of</th>
            <th>Name</th>
            <th>Valid for</th>
            <th>Until</th>
          </tr>
        </thead>
        <tbody>
          {certificates.map(({ of, subject, notAfter }) => {
            const left = notAfter - Date.now();
            return (
              <tr key={`${of} ${subject}`}>
                <td class="strong">{of}</td>
                <td class="mono">{subject}</td>
                <td class={left < SOON_MS ? 'bad' : ''}>{left < 0 ? 'expired' : duration(left)}</td>
                <td>{moment(notAfter)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </>
  );
}
