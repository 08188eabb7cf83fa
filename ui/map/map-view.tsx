// SPDX-License-Identifier: Apache-2.0
// The page with the service map.

import { useEffect, useRef, useState } from 'preact/hooks';
import { paramsOf } from '../../src/page/view.ts';
import { short } from '../format.ts';
import { connection, seen } from '../live.ts';
import { go, place } from '../location.ts';
import { useStore } from '../store.ts';
import { mapColors, theme } from '../theme.ts';
import { mapCanvas } from './map-canvas.ts';
import type { MapCanvas, Picked } from './map-canvas.ts';
import { mapKeys } from './map-keys.ts';
import { placing } from './placing.ts';
import type { Layout } from './layout.ts';
import { modelOf, sceneOf } from './scene.ts';

declare global {
  interface Window {
    /** For whoever measures the page. */
    hubbleMap?: MapCanvas | undefined;
  }
}

const viewKey = () => String(paramsOf(place.get().view));

/** Joins the stores, the layout and the canvas for as long as the map is shown. */
function startMap(host: HTMLElement): () => void {
  const canvas = mapCanvas({ host, colors: mapColors(), onPick: (selection) => go({ selection }), onHover: () => undefined });
  let layout: Layout | undefined;
  let layoutKey = '';
  const show = (fit: boolean) => {
    if (layout && layoutKey === viewKey()) canvas.show(sceneOf(modelOf(seen.get().graph), layout), { fit });
  };
  const placer = placing((next, isFirst) => {
    layout = next;
    layoutKey = viewKey();
    show(isFirst);
  });
  const look = () => {
    placer.place(modelOf(seen.get().graph), viewKey(), host.clientWidth / Math.max(host.clientHeight, 1));
    show(false);
  };
  const select = () => {
    const { selection } = place.get();
    const picked: Picked | undefined = selection?.kind === 'flow' ? undefined : selection;
    canvas.select(picked);
    if (picked?.kind === 'node') canvas.reveal(picked.id);
  };
  const endKeys = mapKeys(host, canvas, () => layout);
  const ends = [seen.listen(look), place.listen(select), theme.listen(() => canvas.recolor(mapColors())), endKeys, placer.end, canvas.end];
  look();
  select();
  window.hubbleMap = canvas;
  return () => {
    window.hubbleMap = undefined;
    for (const end of ends) end();
  };
}

export function MapView() {
  const host = useRef<HTMLDivElement>(null); // null: as preact has it
  const [canvas, setCanvas] = useState<MapCanvas>();
  useEffect(() => {
    if (!host.current) return undefined;
    const end = startMap(host.current);
    setCanvas(window.hubbleMap);
    return end;
  }, []);
  return (
    <section class="map" aria-label="Service map">
      <div
        ref={host}
        class="map-host"
        tabIndex={0}
        role="application"
        aria-label="Service map: arrow keys go from one workload to the next, Enter shows one, plus and minus zoom, 0 shows all"
      />
      <div class="map-tools" role="toolbar" aria-label="Map">
        <button type="button" title="Closer (+)" onClick={() => canvas?.zoomBy(1.4)}>
          +
        </button>
        <button type="button" title="Further away (-)" onClick={() => canvas?.zoomBy(1 / 1.4)}>
          −
        </button>
        <button type="button" title="All of it (0)" onClick={() => canvas?.fit()}>
          ⤢
        </button>
      </div>
      <MapWords />
    </section>
  );
}

function MapWords() {
  const { graph } = useStore(seen);
  const state = useStore(connection);
  if (graph.nodes.length === 0) {
    const waits = state.state === 'connecting' || state.state === 'reading';
    return (
      <div class="empty">
        <p>{waits ? 'Reading flows …' : 'No flows here'}</p>
        {!waits && <p class="muted">Nothing was seen that fits these filters, in these namespaces, at that time.</p>}
      </div>
    );
  }
  return (
    <div class="map-words muted">
      {short(graph.nodes.length)} nodes, {short(graph.links.length)} links
      {graph.unlisted > 0 && `, ${short(graph.unlisted)} events more than there is room for`}
    </div>
  );
}
