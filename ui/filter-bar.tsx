// SPDX-License-Identifier: Apache-2.0
// Conditions as chips, and a line to type another: 'verdict=dropped', 'from.pod=shop/cart', '!port=53'.

import { useRef, useState } from 'preact/hooks';
import { termKey, termOf, termRules } from '../src/page/view.ts';
import type { Term } from '../src/page/view.ts';
import { seen } from './live.ts';
import { goView, place } from './location.ts';
import { useStore } from './store.ts';

const isSame = (a: Term, b: Term) => termKey(a) === termKey(b) && a.value === b.value;

export function addTerm(term: Term): void {
  const { terms } = place.get().view;
  if (!terms.some((one) => isSame(one, term))) goView({ terms: [...terms, term] });
}

const removeTerm = (term: Term) => goView({ terms: place.get().view.terms.filter((one) => !isSame(one, term)) });

/** Throws Error in words. Undefined: it is no condition. */
function termIn(text: string): Term | undefined {
  const [, not = '', key = '', value = ''] = /^(!?)\s*([a-z.]+)\s*[=:]\s*(.+)$/.exec(text.trim()) ?? [];
  return key === '' ? undefined : termOf(`${not ? 'not.' : ''}${key}`, value.trim());
}

const words: Readonly<Record<string, readonly string[]>> = {
  verdict: ['dropped', 'forwarded', 'error', 'audit'],
  protocol: ['http', 'dns', 'tcp', 'udp', 'icmp'],
  direction: ['ingress', 'egress'],
  status: ['5+', '4+', '404', '503'],
};

function proposals(text: string): readonly string[] {
  const [, head = '', key = '', value] = /^(!?(?:from\.|to\.)?)([a-z]*)(?:=(.*))?$/.exec(text) ?? [];
  if (value === undefined)
    return Object.keys(termRules)
      .filter((kind) => kind.startsWith(key))
      .map((kind) => `${head}${kind}=`);
  const known = words[key] ?? (key === 'at' || key === 'pod' ? seen.get().graph.nodes.map(({ id }) => id) : []);
  return known
    .filter((one) => one.includes(value) && one !== value)
    .slice(0, 12)
    .map((one) => `${head}${key}=${one}`);
}

const chipText = ({ kind, side, not, value }: Term) => ({
  key: `${not ? 'not ' : ''}${side === 'either' ? '' : `${side} `}${kind}`,
  value,
});

export function FilterBar() {
  const { view, wrong } = useStore(place);
  const [text, setText] = useState('');
  const [error, setError] = useState<string>();
  const [isOpen, setOpen] = useState(false);
  const input = useRef<HTMLInputElement>(null); // null: as preact has it
  const submit = (said: string) => {
    try {
      const term = termIn(said);
      if (!term) return setError(said.trim() === '' ? undefined : 'Wanted a condition such as verdict=dropped or !port=53');
      addTerm(term);
      setText('');
      setError(undefined);
    } catch (thrown) {
      setError(thrown instanceof Error ? thrown.message : String(thrown));
    }
  };
  const choose = (proposal: string) => {
    if (!proposal.endsWith('=')) return submit(proposal);
    setText(proposal);
    input.current?.focus();
  };
  const list = isOpen ? proposals(text) : [];
  return (
    <section class="filters" aria-label="Filters">
      {view.terms.map((term) => (
        <button
          type="button"
          class={`chip ${term.not ? 'is-not' : ''}`}
          key={`${termKey(term)}=${term.value}`}
          title="Remove"
          onClick={() => removeTerm(term)}
        >
          <span class="muted">{chipText(term).key}</span> {chipText(term).value} <span aria-hidden="true">×</span>
        </button>
      ))}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          submit(text);
        }}
      >
        <input
          ref={input}
          id="filter"
          value={text}
          placeholder={view.terms.length > 0 ? 'and …' : 'Filter: verdict=dropped, from.pod=shop/cart, !port=53'}
          aria-label="Filter"
          autocomplete="off"
          spellcheck={false}
          onInput={(event) => {
            setText(event.currentTarget.value);
            setError(undefined);
          }}
          onFocus={() => setOpen(true)}
          onBlur={() => setTimeout(() => setOpen(false), 150)}
        />
        {list.length > 0 && (
          <ul class="proposals">
            {list.map((one) => (
              <li key={one}>
                <button type="button" tabIndex={-1} onMouseDown={(event) => event.preventDefault()} onClick={() => choose(one)}>
                  {one}
                </button>
              </li>
            ))}
          </ul>
        )}
      </form>
      {(error ?? wrong) && (
        <p class="bad filter-error" role="alert">
          {error ?? wrong}
        </p>
      )}
    </section>
  );
}
