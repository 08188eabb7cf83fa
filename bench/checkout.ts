// SPDX-License-Identifier: Apache-2.0
// Where this repository is.

import { join } from 'node:path';

/** The directory of this repository. */
export const CHECKOUT = join(import.meta.dirname, '..');
