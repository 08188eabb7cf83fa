// SPDX-License-Identifier: Apache-2.0
// Addresses that nobody answers for are Problems, but for external IPs that no policy announces: which Service, why, and what to do.

import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import type { OwnerRow } from './owners.ts';

export function problemsOf({ ip, services, balanced, policies, owner, why, probes }: OwnerRow): readonly Problem[] {
  if (owner !== undefined || (policies.length === 0 && !balanced)) return [];
  return services.map((service) =>
    problem(
      policies.length === 0
        ? {
            object: `Service ${service}`,
            reason: 'NotAnnounced',
            message: `nobody answers for ${ip} on the LAN: no CiliumL2AnnouncementPolicy selects it, and a pool alone announces nothing`,
            advice:
              'Apply a CiliumL2AnnouncementPolicy whose serviceSelector takes this Service, with spec.loadBalancerIPs or spec.externalIPs: true',
          }
        : {
            object: `Service ${service}`,
            reason: probes === undefined ? 'NoEligibleNode' : 'AddressTaken',
            message: `nobody answers for ${ip} on the LAN: ${why}`,
            advice:
              probes !== undefined
                ? `Take ${ip} away from that host, or from the CiliumLoadBalancerIPPool`
                : `Make one of these nodes able to, or let the nodeSelector or the interfaces of ${policies.join(', ')} take others`,
          },
    ),
  );
}
