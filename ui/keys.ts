// SPDX-License-Identifier: Apache-2.0
// The keys that work everywhere: 1 to 4 for the pages, / for a filter, t for the theme, Escape to close.

import { go, pages, place } from './location.ts';
import { turnTheme } from './theme.ts';

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLInputElement && target.type !== 'checkbox';
}

function closeMenus(except?: Node): boolean {
  const open = [...document.querySelectorAll<HTMLDetailsElement>('details.menu[open]')].filter((menu) => !except || !menu.contains(except));
  for (const menu of open) menu.open = false;
  return open.length > 0;
}

export function startKeys(): void {
  addEventListener('pointerdown', ({ target }) => void closeMenus(target instanceof Node ? target : undefined));
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === 'Escape') {
      if (event.target instanceof HTMLInputElement && isTyping(event.target)) event.target.blur();
      else if (!closeMenus() && place.get().selection) go({ selection: undefined });
      return;
    }
    if (isTyping(event.target)) return;
    const page = pages[Number(event.key) - 1];
    if (page) go({ page });
    else if (event.key === 't') turnTheme();
    else if (event.key === '/') document.getElementById('filter')?.focus();
    else return;
    event.preventDefault();
  });
}
