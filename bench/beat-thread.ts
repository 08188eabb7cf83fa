// SPDX-License-Identifier: Apache-2.0
// The thread of an agent that sends heartbeats.
import { readdirSync, readFileSync } from 'node:fs';
import { sum } from './statistics.ts';

/** Seconds of CPU that it has used, with what interrupted it: the only thread with a real-time policy. */
export function beatSeconds(pid: number | 'self'): number {
  const tasks = readdirSync(`/proc/${pid}/task`).map((task) => `/proc/${pid}/task/${task}`);
  const beating = tasks.filter((task) => readFileSync(`${task}/stat`, 'utf8').split(') ')[1]?.split(' ')[38] === '1');
  return sum(beating.map((task) => Number(readFileSync(`${task}/schedstat`, 'utf8').split(' ')[0]))) / 1e9;
}
