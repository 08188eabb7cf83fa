// SPDX-License-Identifier: Apache-2.0
// JSON patch (RFC 6902) and JSON merge patch (RFC 7386). Both return the result and may reuse parts of the target.
import { applyPatch } from 'rfc6902';
import type { Operation } from 'rfc6902';
import { ApiError, badRequest } from './api-error.ts';
import { isRecord } from './json.ts';
import type { Json } from './json.ts';

/** RFC 7386, with `undefined` in the place of null as well. */
export const mergePatched = (target: Json, patch: Json): Json => {
  if (!isRecord(patch)) return patch;
  const result: Record<string, Json> = isRecord(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (name === '__proto__') continue;
    if (value === null || value === undefined) delete result[name];
    else result[name] = mergePatched(Object.hasOwn(result, name) ? result[name] : undefined, value);
  }
  return result;
};

const OPERATIONS = new Set(['add', 'remove', 'replace', 'move', 'copy', 'test']);

/** RFC 6902; ApiError 400 for what is no patch, 422 for what does not apply. */
export const jsonPatched = (target: Json, patch: Json): Json => {
  if (!Array.isArray(patch)) throw badRequest('error decoding patch: a JSON patch is an array of operations');
  for (const operation of patch)
    if (!isRecord(operation) || !OPERATIONS.has(operation['op']) || typeof operation['path'] !== 'string')
      throw badRequest(`error decoding patch: ${JSON.stringify(operation)} is no operation`);
  if (patch.length > 10_000) throw new ApiError(413, 'RequestEntityTooLarge', 'The allowed maximum operations in a JSON patch is 10000');
  const copy = structuredClone(target);
  const failure = applyPatch(copy, patch as Operation[]).find((result) => result !== null); // as: checked above
  if (failure)
    throw new ApiError(
      422,
      'Invalid',
      `the server rejected our request due to an error in our request: ${failure.message || failure.name}`,
      {},
    );
  return copy;
};
