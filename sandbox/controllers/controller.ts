// SPDX-License-Identifier: Apache-2.0
// A controller makes one object right at a time: changes name the keys to look at, `sync` looks and acts. It reads the
// whole truth each time, so it does not matter which change woke it or how many there were.
import { messageOf } from '../../src/base/errors.ts';
import { ApiError } from '../api/api-error.ts';
import type { KubeObject, ResourceName, Store, StoreEvent } from '../api/store.ts';
import { keyText } from '../objects.ts';

export type Controller = {
  readonly name: string;
  /** Which keys a change of an object of this resource concerns. */
  readonly watches: readonly { readonly resource: ResourceName; keysFor(object: KubeObject, event: StoreEvent): readonly string[] }[];
  /** Makes what the key names right, or throws to be called again. May ask to be called again after some milliseconds. */
  sync(key: string): number | undefined;
};

export type ControllerContext = {
  readonly store: Store;
  readonly signal: AbortSignal;
  /** Told of failures that are not just a lost race. */
  readonly report: (message: string) => void;
};

export const itself = (object: KubeObject): readonly string[] => [keyText(object.metadata)];

const FIRST_RETRY_MS = 20;
const LONGEST_RETRY_MS = 5_000;

/** Runs a controller until the signal aborts. */
export function runController(controller: Controller, { store, signal, report }: ControllerContext): void {
  const dirty = new Set<string>();
  const failures = new Map<string, number>();
  let scheduled = false;

  const mark = (key: string) => {
    dirty.add(key);
    if (scheduled || signal.aborted) return;
    scheduled = true;
    setImmediate(drain);
  };
  const again = (key: string, milliseconds: number) => {
    const timer = setTimeout(() => mark(key), milliseconds);
    signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
  };
  const drain = () => {
    scheduled = false;
    const keys = [...dirty];
    dirty.clear();
    for (const key of keys) if (!signal.aborted) syncOne(key);
  };
  const syncOne = (key: string) => {
    try {
      const milliseconds = controller.sync(key);
      failures.delete(key);
      if (milliseconds !== undefined) again(key, milliseconds);
    } catch (error) {
      const count = (failures.get(key) ?? 0) + 1;
      failures.set(key, count);
      again(key, Math.min(FIRST_RETRY_MS * 2 ** count, LONGEST_RETRY_MS));
      if (!isLostRace(error)) report(`Controller ${controller.name} cannot sync ${key}: ${messageOf(error)}`);
    }
  };

  for (const { resource, keysFor } of controller.watches) {
    store.watch(resource, signal, (event) => {
      for (const key of keysFor(event.object, event)) mark(key);
    });
  }
}

/** Somebody else changed, made or removed the object first: looking again is enough. */
const isLostRace = (error: unknown): boolean => error instanceof ApiError && (error.code === 409 || error.code === 404);
