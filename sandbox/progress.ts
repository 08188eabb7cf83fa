// SPDX-License-Identifier: Apache-2.0
// What the user sees while the sandbox comes up: one line for each step, with a tick and its time.

export type Progress = {
  /** Runs a step and prints how it went. The step may return what is worth adding to its line. */
  step<T>(title: string, action: () => Promise<T>): Promise<T>;
  line(text: string): void;
};

export const seconds = (milliseconds: number): string => `${(milliseconds / 1_000).toFixed(1)} s`;
export const TICK = '✓';
export const CROSS = '✗';

export function progressTo(output: { readonly isTTY?: boolean; write(text: string): unknown }): Progress {
  const line = (text: string) => void output.write(`${text}\n`);
  return {
    line,
    async step(title, action) {
      const started = performance.now();
      if (output.isTTY === true) output.write(`  ${title} …\r`);
      try {
        const result = await action();
        line(`${TICK} ${title} (${seconds(performance.now() - started)})`);
        return result;
      } catch (error) {
        line(`${CROSS} ${title} (${seconds(performance.now() - started)})`);
        throw error;
      }
    },
  };
}
