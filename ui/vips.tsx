// SPDX-License-Identifier: Apache-2.0
// Load balancer addresses: who answers for each on the LAN, since when, and why.

import type { Vips, VipView } from '../src/page/api.ts';
import { useAnswer } from './api.ts';
import { duration } from './format.ts';

export function VipPage() {
  const { value, error, isLoading } = useAnswer<Vips>('api/vips', 3000);
  const unknown = error ?? value?.unknown;
  return (
    <section class="document" aria-label="Load balancer addresses">
      <h1>Load balancer addresses</h1>
      {isLoading && <p class="muted">Asking …</p>}
      {unknown && <p class="bad">{unknown}</p>}
      {value && !unknown && value.vips.length === 0 && <p class="muted">No Service has a load balancer address or an external IP.</p>}
      {value && value.vips.length > 0 && (
        <div class="scroll-x">
          <table class="list">
            <thead>
              <tr>
                <th>Address</th>
                <th>Service</th>
                <th>Answered by</th>
                <th>Interface</th>
                <th>Since</th>
                <th>Reachable from</th>
                <th>Why</th>
              </tr>
            </thead>
            <tbody>
              {value.vips.map((vip) => (
                <VipRow vip={vip} key={vip.ip} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function VipRow({ vip }: { readonly vip: VipView }) {
  const { ip, services, owner, interfaces, macs, since, from, why, reachable, candidates } = vip;
  return (
    <tr>
      <td class="mono strong">{ip}</td>
      <td>{services.join(', ')}</td>
      <td>
        {owner ? <span class="good-dot">{owner}</span> : <span class="bad">nobody</span>}
        {from && from !== owner && <div class="muted">before: {from}</div>}
      </td>
      <td>
        {interfaces.join(', ')}
        <div class="muted mono">{macs.join(', ')}</div>
      </td>
      <td class="nowrap">{since === undefined ? '' : duration(Date.now() - since)}</td>
      <td>
        {reachable.map(({ from: witness, found }) => (
          <div key={witness} class={found ? '' : 'bad'}>
            {found ? '✓' : '✗'} {witness}
          </div>
        ))}
      </td>
      <td>
        {why}
        <details class="raw">
          <summary>Nodes</summary>
          {candidates.map(({ node, level, why: reason }) => (
            <div key={node}>
              {node}{' '}
              <span class="muted">
                {node === owner
                  ? 'answers'
                  : level === 2
                    ? 'could'
                    : level === 1
                      ? `could if nobody else can: it ${reason ?? ''}`
                      : `cannot: it ${reason ?? ''}`}
              </span>
            </div>
          ))}
        </details>
      </td>
    </tr>
  );
}
