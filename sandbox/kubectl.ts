// SPDX-License-Identifier: Apache-2.0
// Which kubectl: the one that the set-up unpacked into this checkout, else the machine's own.
import { existsSync } from 'node:fs';
import { join } from 'node:path';

export function kubectlIn(checkout: string): string {
  const unpacked = join(checkout, 'build', 'bin', 'kubectl');
  return existsSync(unpacked) ? unpacked : 'kubectl';
}
