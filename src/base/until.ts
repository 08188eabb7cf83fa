// SPDX-License-Identifier: Apache-2.0
// Waiting in tests: a condition is polled until it holds or its time is over.

/** Resolves when `condition` holds. Throws when it does not within `ms` milliseconds. */
export async function until(condition: () => boolean | Promise<boolean>, ms = 5000, what = condition.toString()): Promise<void> {
  const end = performance.now() + ms;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`Cannot wait any longer than ${ms} ms, wanted: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
