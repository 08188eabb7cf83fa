// SPDX-License-Identifier: Apache-2.0
// hubble.redact of the values: what flows do not show.

import type { Redaction } from '../flows/redaction.ts';
import type { Complain } from './masquerade-config.ts';
import type { Values } from './values.ts';

/** Undefined: flows show what they have. */
export function redactionFrom(values: Values, complain: Complain): Redaction | undefined {
  const at = (name: string) => values.get(`hubble.redact.${name}`);
  const names = (name: string) => {
    const found = at(name);
    return typeof found === 'object' ? found.map((one) => one.toLowerCase()) : [];
  };
  const [allow, deny] = [names('http.headers.allow'), names('http.headers.deny')];
  if (allow.length > 0 && deny.length > 0) complain('hubble.redact.http.headers.deny', 'no more than one of the lists allow and deny');
  return at('enabled') === true
    ? { urlQuery: at('http.urlQuery') === true, userInfo: at('http.userInfo') === true, allow, deny }
    : undefined;
}
