// SPDX-License-Identifier: Apache-2.0
// What the kernel says of this process.

import { readdirSync } from 'node:fs';

export function residentBytes(): number {
  return process.memoryUsage.rss();
}

export function openFiles(): number {
  return readdirSync('/proc/self/fd').length - 1; // without the one that lists
}
