// SPDX-License-Identifier: Apache-2.0
// The page's address is its state: what is looked at, on which page, and what is selected. Whoever has the address sees the same.

import { paramsOf, viewOf } from '../src/page/view.ts';
import type { View } from '../src/page/view.ts';
import { store } from './store.ts';

export const pages = ['map', 'flows', 'vips', 'health'] as const;
export type Page = (typeof pages)[number];

export type Selection =
  | { readonly kind: 'node'; readonly id: string }
  | { readonly kind: 'link'; readonly from: string; readonly to: string }
  | { readonly kind: 'flow'; readonly uuid: string; readonly time: string };

export type Place = {
  readonly page: Page;
  readonly view: View;
  readonly selection?: Selection | undefined;
  /** Why the address was not understood. */ readonly wrong?: string;
};

const isPage = (word: string): word is Page => (pages as readonly string[]).includes(word); // as: to ask whether it is one

function placeOf(search: string): Place {
  const params = new URLSearchParams(search);
  const word = params.get('page') ?? 'map';
  const selection = selectionOf(params.get('sel') ?? '');
  const rest = { page: isPage(word) ? word : 'map', ...(selection && { selection }) } as const;
  try {
    return { ...rest, view: viewOf(params) };
  } catch (error) {
    return { ...rest, view: viewOf(new URLSearchParams()), wrong: error instanceof Error ? error.message : String(error) };
  }
}

function searchOf({ page, view, selection }: Place): string {
  const params = paramsOf(view);
  if (page !== 'map') params.set('page', page);
  if (selection) params.set('sel', selectionText(selection));
  const text = String(params).replaceAll('%2F', '/').replaceAll('%3A', ':').replaceAll('%3E', '>').replaceAll('%40', '@');
  return text === '' ? '' : `?${text}`;
}

function selectionOf(text: string): Selection | undefined {
  const [, kind, value = ''] = /^(node|link|flow):(.+)$/.exec(text) ?? [];
  if (kind === 'node') return { kind, id: value };
  const [first = '', second = ''] = value.split(kind === 'link' ? '>' : '@');
  if (kind === 'link') return { kind, from: first, to: second };
  return kind === 'flow' ? { kind, uuid: first, time: second } : undefined;
}

function selectionText(selection: Selection): string {
  switch (selection.kind) {
    case 'node':
      return `node:${selection.id}`;
    case 'link':
      return `link:${selection.from}>${selection.to}`;
    case 'flow':
      return `flow:${selection.uuid}@${selection.time}`;
  }
}

export const place = store<Place>(placeOf(location.search));
addEventListener('popstate', () => place.set(placeOf(location.search)));

/** Goes there; a selection replaces the last address, anything else can be gone back from. */
export function go(change: Partial<Place>): void {
  const { wrong: _, ...now } = place.get();
  const next: Place = { ...now, ...change };
  const search = searchOf(next);
  if (search === searchOf(now)) return place.set(next);
  const isSmall = Object.keys(change).every((key) => key === 'selection');
  history[isSmall ? 'replaceState' : 'pushState'](null, '', search || location.pathname); // null: the address is all the state
  place.set(next);
}

export const goView = (change: Partial<View>): void => go({ view: { ...place.get().view, ...change } });
