// SPDX-License-Identifier: Apache-2.0
// A field of an object that cannot be read: the rest of the object is in effect.

import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';

export function badField(object: string, field: string, value: string, wanted: string): Problem {
  return problem({
    object,
    reason: 'InvalidField',
    message: `${field} has ${value}, wanted ${wanted}`,
    advice: `Correct ${field}; the rest of the object is in effect`,
  });
}
