// SPDX-License-Identifier: Apache-2.0
// The frame of the panel, and a fact in it.

import type { ComponentChildren } from 'preact';
import { go } from '../location.ts';

type FrameProps = { readonly kind: string; readonly title: ComponentChildren; readonly children: ComponentChildren };

export function PanelFrame({ kind, title, children }: FrameProps) {
  return (
    <aside class="panel" aria-label={kind}>
      <header>
        <div>
          <div class="muted kind">{kind}</div>
          <h2>{title}</h2>
        </div>
        <button type="button" class="plain" aria-label="Close" title="Close (Esc)" onClick={() => go({ selection: undefined })}>
          ×
        </button>
      </header>
      <div class="panel-body">{children}</div>
    </aside>
  );
}

export function Fact({ name, children }: { readonly name: string; readonly children: ComponentChildren }) {
  if (children === undefined || children === '' || children === false) return null; // null: preact's nothing
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}
