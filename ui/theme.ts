// SPDX-License-Identifier: Apache-2.0
// Dark or light: as the system is, unless somebody chose. The colours are the style sheet's.

import type { Colors } from './map/paint.ts';
import { store } from './store.ts';

export type Theme = 'light' | 'dark';
const KEY = 'theme';
const system = matchMedia('(prefers-color-scheme: dark)');
const chosen = (): Theme | undefined => {
  const word = localStorage.getItem(KEY);
  return word === 'light' || word === 'dark' ? word : undefined;
};
const current = (): Theme => chosen() ?? (system.matches ? 'dark' : 'light');

export const theme = store<Theme>(current());

function apply(): void {
  document.documentElement.dataset['theme'] = current();
  theme.set(current());
}

system.addEventListener('change', apply);
apply();

export function turnTheme(): void {
  const next = current() === 'dark' ? 'light' : 'dark';
  if ((next === 'dark') === system.matches) localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, next);
  apply();
}

/** A colour of the style sheet. */
export const color = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

export const mapColors = (): Colors => ({
  ground: color('ground'),
  frame: color('frame'),
  frameText: color('muted'),
  card: color('card'),
  cardLine: color('card-line'),
  text: color('text'),
  muted: color('faint'),
  accent: color('accent'),
  good: color('edge'),
  slow: color('warn'),
  errors: color('warn'),
  drops: color('bad'),
  dropped: color('bad'),
});
