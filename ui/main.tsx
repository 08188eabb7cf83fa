// SPDX-License-Identifier: Apache-2.0
// The web page: who talks to whom in the cluster, now and then.
//
//   location.ts   the address is the state          live.ts    the stream of what is looked at
//   map/          the service map, on a canvas      flows/     the table of flows
//   panel/        what is selected                  timeline   the histogram, and which time is looked at

import 'uplot/dist/uPlot.min.css';
import './style.css';
import { render } from 'preact';
import { useEffect } from 'preact/hooks';
import type { Session } from '../src/page/api.ts';
import { useAnswer } from './api.ts';
import { FilterBar } from './filter-bar.tsx';
import { FlowTable } from './flows/flow-table.tsx';
import { openRows } from './flows/rows.ts';
import { Header } from './header.tsx';
import { HealthPage } from './health.tsx';
import { startKeys } from './keys.ts';
import { look } from './live.ts';
import { Login } from './login.tsx';
import { place } from './location.ts';
import { MapView } from './map/map-view.tsx';
import { Panel } from './panel/panel.tsx';
import { useStore } from './store.ts';
import { Timeline } from './timeline.tsx';
import { VipPage } from './vips.tsx';

function App() {
  const { page, view } = useStore(place);
  const { value: session, status, error } = useAnswer<Session>('api/session', 60_000);
  const isRefused = status === 401 || status === 403;
  const hasFlows = page === 'map' || page === 'flows';
  useEffect(() => {
    if (!hasFlows || isRefused) return;
    look(view);
    openRows(view);
  }, [view, hasFlows, isRefused]);
  if (isRefused) return <Login why={error ?? ''} />;
  return (
    <>
      <Header session={session} />
      {hasFlows && <FilterBar />}
      {hasFlows && <Timeline />}
      <main class={`main page-${page}`}>
        {page === 'map' && <MapView />}
        {page === 'flows' && <FlowTable />}
        {page === 'vips' && <VipPage />}
        {page === 'health' && <HealthPage />}
        {hasFlows && <Panel />}
      </main>
    </>
  );
}

startKeys();
const host = document.getElementById('page');
if (host) render(<App />, host);
