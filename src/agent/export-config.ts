// SPDX-License-Identifier: Apache-2.0
// hubble.export of the values: which flows go into files.

import type { StaticExport } from './export-wishes.ts';
import type { Complain } from './masquerade-config.ts';
import type { Value, Values } from './values.ts';

export type ExportConfig = {
  /** Whether there is the one that the values describe. */
  readonly enabled: boolean;
  readonly static: StaticExport;
  /** A file says what else, and may change. */
  readonly dynamic: boolean;
};

const texts = (value: Value | undefined): readonly string[] => (typeof value === 'object' ? value : []);

export function exportFrom(values: Values, complain: Complain): ExportConfig {
  const at = (name: string) => values.get(`hubble.export.static.${name}`);
  const count = (name: string, least: number) => {
    const found = Number(at(name));
    if (!Number.isInteger(found) || found < least) complain(`hubble.export.static.${name}`, `a whole number from ${least} on`);
    return found;
  };
  const fixed: StaticExport = {
    filePath: String(at('filePath')),
    fieldMask: texts(at('fieldMask')),
    allowList: texts(at('allowList')),
    denyList: texts(at('denyList')),
    maxSizeMb: count('fileMaxSizeMb', 1),
    maxBackups: count('fileMaxBackups', 0),
    compress: at('fileCompress') === true,
  };
  return { enabled: at('enabled') === true, static: fixed, dynamic: values.get('hubble.export.dynamic.enabled') === true };
}
