// SPDX-License-Identifier: Apache-2.0
// Values as what they are meant to be.

import { port } from '../base/ip.ts';
import type { Port } from '../base/ip.ts';
import type { Complain } from './masquerade-config.ts';
import type { Value, Values } from './values.ts';

export function absolute(values: Values, path: string, complain: Complain): string {
  const said = String(values.get(path));
  if (!said.startsWith('/')) complain(path, 'an absolute path');
  return said;
}

export function portAt(values: Values, path: string): Port {
  return port(Number(values.get(path)));
}

export function texts(value: Value | undefined): readonly string[] {
  return typeof value === 'object' ? value : [];
}
