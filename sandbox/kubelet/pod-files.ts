// SPDX-License-Identifier: Apache-2.0
// Where the files of a pod are on the machine. Pure.
import { join } from 'node:path';
import type { Pod } from '../objects.ts';

/** Everything of one pod: volumes, credentials, logs. */
export const podDir = (podsDir: string, { metadata: { namespace, name, uid } }: Pod): string =>
  join(podsDir, `${namespace}_${name}_${uid}`);

/** The logs of all runs of a container. */
export const logDir = (dir: string, container: string): string => join(dir, 'logs', container);

/** The log of one run; runs are counted from 0. */
export const logFile = (dir: string, container: string, run: number): string => join(logDir(dir, container), `${run}.log`);
