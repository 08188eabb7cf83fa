// SPDX-License-Identifier: Apache-2.0
// What is selected, beside the map and the table; on a phone a sheet from below.

import { place } from '../location.ts';
import { useStore } from '../store.ts';
import { FlowPanel } from './flow-panel.tsx';
import { LinkPanel } from './link-panel.tsx';
import { NodePanel } from './node-panel.tsx';

export function Panel() {
  const { selection } = useStore(place);
  if (!selection) return null; // null: preact's nothing
  switch (selection.kind) {
    case 'node':
      return <NodePanel id={selection.id} key={selection.id} />;
    case 'link':
      return <LinkPanel from={selection.from} to={selection.to} key={`${selection.from}>${selection.to}`} />;
    case 'flow':
      return <FlowPanel uuid={selection.uuid} time={selection.time} key={selection.uuid} />;
  }
}
