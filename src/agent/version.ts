// SPDX-License-Identifier: Apache-2.0
// The one place that knows the version.

import { readFileSync } from 'node:fs';

/** The version in package.json: '0.1.0'. */
export function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest ? String(manifest.version) : 'unknown';
}
