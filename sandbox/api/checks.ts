// SPDX-License-Identifier: Apache-2.0
// What the checks of several kinds share: each adds its complaint to the list.
import { isIP } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { StatusCause } from './api-error.ts';
import type { Json } from './json.ts';
import { invalidField, unsupportedField } from './names.ts';

export type Check = (object: Json, old: Json, causes: StatusCause[]) => void;

export const oneOf = (causes: StatusCause[], field: string, value: Json, allowed: readonly string[]): void => {
  if (value !== undefined && !allowed.includes(value)) causes.push(unsupportedField(field, value, allowed));
};
export const portRange = (causes: StatusCause[], field: string, value: Json): void => {
  if (!(Number.isInteger(value) && value >= 1 && value <= 65535))
    causes.push(invalidField(field, value, 'must be between 1 and 65535, inclusive'));
};
export const immutable = (causes: StatusCause[], field: string, value: Json, old: Json): void => {
  if (!isDeepStrictEqual(value, old)) causes.push(invalidField(field, value, 'field is immutable'));
};
/** True for 10.0.0.0/8, fd00::/8. */
export const isCidr = (text: Json): boolean => {
  const [address = '', length = '', ...rest] = String(text).split('/');
  const family = isIP(address);
  return rest.length === 0 && family !== 0 && /^\d{1,3}$/.test(length) && Number(length) <= (family === 4 ? 32 : 128);
};
export const cidr = (causes: StatusCause[], field: string, value: Json): void => {
  if (!isCidr(value)) causes.push(invalidField(field, value, 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'));
};

export const PROTOCOLS = ['SCTP', 'TCP', 'UDP'];
