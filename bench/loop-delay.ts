// SPDX-License-Identifier: Apache-2.0
// Loaded into an agent before its own code (node --import): says on SIGUSR2 for how long its event loop was not to be had
// since its start or the last time, as one line of JSON, milliseconds. A free loop shows about one, the resolution.
import { monitorEventLoopDelay } from 'node:perf_hooks';

const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
process.on('SIGUSR2', () => {
  const [p50, p99, max] = [delay.percentile(50), delay.percentile(99), delay.max].map((nanoseconds) => nanoseconds / 1e6);
  process.stderr.write(`${JSON.stringify({ message: 'Loop delay', p50, p99, max })}\n`);
  delay.reset();
});
