// SPDX-License-Identifier: Apache-2.0
// A value that changes, and those who show it.

import { useEffect, useState } from 'preact/hooks';

export type Store<T> = {
  get(): T;
  set(value: T): void;
  /** Returns what ends it. */
  listen(listener: () => void): () => void;
};

export function store<T>(initial: T): Store<T> {
  const listeners = new Set<() => void>();
  let value = initial;
  return {
    get: () => value,
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      for (const listener of listeners) listener();
    },
    listen(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

/** What the store has; the component is drawn again when that changes. */
export function useStore<T>(of: Store<T>): T {
  const [value, setValue] = useState(of.get());
  useEffect(() => {
    setValue(of.get());
    return of.listen(() => setValue(of.get()));
  }, [of]);
  return value;
}
