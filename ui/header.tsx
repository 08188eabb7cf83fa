// SPDX-License-Identifier: Apache-2.0
// The page's head: where one is, which namespaces are looked at, and how fresh what is shown is.

import { useState } from 'preact/hooks';
import type { Session } from '../src/page/api.ts';
import { short } from './format.ts';
import { connection, seen } from './live.ts';
import { go, goView, pages, place } from './location.ts';
import type { Page } from './location.ts';
import { useStore } from './store.ts';
import { theme, turnTheme } from './theme.ts';

const titles: Readonly<Record<Page, string>> = { map: 'Map', flows: 'Flows', vips: 'VIPs', health: 'Health' };

export function Header({ session }: { readonly session: Session | undefined }) {
  const { page } = useStore(place);
  const hasFlows = page === 'map' || page === 'flows';
  return (
    <header class="head">
      <span class="mark" title={session?.cluster}>
        <svg viewBox="0 0 32 32" width="18" height="18" aria-hidden="true">
          <path d="M9 16h6M20 10l-5 6 5 6" fill="none" stroke="currentColor" stroke-width="2.5" />
          <circle cx="7" cy="16" r="4" />
          <circle cx="23" cy="8" r="4" />
          <circle cx="23" cy="24" r="4" />
        </svg>
        <span class="mark-name">Hubble</span>
      </span>
      <nav>
        {pages.map((one, i) => (
          <a
            key={one}
            href={`?page=${one}`}
            aria-current={page === one ? 'page' : undefined}
            title={`${titles[one]} (${i + 1})`}
            onClick={(event) => {
              if (event.ctrlKey || event.metaKey) return;
              event.preventDefault();
              go({ page: one });
            }}
          >
            {titles[one]}
          </a>
        ))}
      </nav>
      {hasFlows && <NamespaceMenu known={session?.namespaces ?? []} />}
      <span class="grow" />
      {hasFlows && <Freshness />}
      {session?.user && <span class="muted user">{session.user}</span>}
      <ThemeButton />
    </header>
  );
}

function ThemeButton() {
  const shown = useStore(theme);
  return (
    <button type="button" class="plain" onClick={turnTheme} title={shown === 'dark' ? 'Light (t)' : 'Dark (t)'} aria-label="Dark or light">
      {shown === 'dark' ? '☀' : '☾'}
    </button>
  );
}

function NamespaceMenu({ known }: { readonly known: readonly string[] }) {
  const {
    view: { namespaces },
  } = useStore(place);
  const { graph } = useStore(seen);
  const [text, setText] = useState('');
  const all = [...new Set([...known, ...namespaces, ...graph.nodes.flatMap(({ namespace }) => namespace ?? [])])].toSorted();
  const title =
    namespaces.length === 0 ? 'All namespaces' : namespaces.length < 3 ? namespaces.join(', ') : `${namespaces.length} namespaces`;
  const toggle = (name: string) =>
    goView({ namespaces: namespaces.includes(name) ? namespaces.filter((one) => one !== name) : [...namespaces, name].toSorted() });
  return (
    <details class="menu namespaces">
      <summary>{title}</summary>
      <div class="menu-body">
        <input placeholder="Namespace" aria-label="Find a namespace" value={text} onInput={(event) => setText(event.currentTarget.value)} />
        <button type="button" aria-pressed={namespaces.length === 0} onClick={() => goView({ namespaces: [] })}>
          All namespaces
        </button>
        <div class="menu-list">
          {all
            .filter((name) => name.includes(text))
            .map((name) => (
              <div class="namespace-row" key={name}>
                <label>
                  <input type="checkbox" checked={namespaces.includes(name)} onChange={() => toggle(name)} /> {name}
                </label>
                <button type="button" class="plain" onClick={() => goView({ namespaces: [name] })}>
                  only
                </button>
              </div>
            ))}
        </div>
      </div>
    </details>
  );
}

/** Whether what is shown is what is, and of how much of the cluster. */
function Freshness() {
  const state = useStore(connection);
  if (state.state === 'connecting') return <span class="fresh muted">connecting …</span>;
  if (state.state === 'offline')
    return (
      <span class="fresh bad" role="status">
        no connection, trying again
      </span>
    );
  if (!('nodes' in state)) return null; // null: preact's nothing
  const { nodes, nodesMissing, lost, rate, flows, partialUntil } = state;
  const words = { live: 'live', reading: 'reading the past …', done: 'the past', broken: 'interrupted' }[state.state];
  const missing = nodesMissing.length > 0;
  return (
    <span
      class={`fresh ${state.state === 'broken' ? 'bad' : ''}`}
      role="status"
      title={[state.message, missing ? `Not connected: ${nodesMissing.join(', ')}` : undefined].filter(Boolean).join('\n')}
    >
      <span class={`dot ${state.state}`} aria-hidden="true" />
      {words}
      {nodes > 0 && (
        <span class={missing ? 'bad' : 'muted'}>
          {' '}
          · {nodes - nodesMissing.length}/{nodes} nodes
        </span>
      )}
      <span class="muted fresh-rate"> · {state.state === 'live' ? `${short(rate)} flows/s` : `${short(flows)} flows`}</span>
      {lost > 0 && <span class="bad"> · {short(lost)} lost</span>}
      {partialUntil !== undefined && <span class="warn"> · not all of it</span>}
    </span>
  );
}
