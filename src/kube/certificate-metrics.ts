// SPDX-License-Identifier: Apache-2.0
// Until when the certificate of a Secret holds, as its reader has it.

import { metricKinds } from '../base/metrics.ts';
import type { IdentitySecret } from './identity-secret.ts';

type Facts = { readonly secret: string; /** Undefined: none is wanted. */ readonly identity: Pick<IdentitySecret, 'until'> | undefined };

const { gauge } = metricKinds<Facts>();

export const certificateMetrics = [
  gauge(
    'stentor_certificate_expiry_timestamp_seconds',
    'When the certificate ends that is shown to others, since the Unix epoch',
    ['secret'],
    ({ secret, identity }) => (identity?.until === undefined ? [] : [{ labels: { secret }, value: identity.until / 1000 }]),
  ),
];
