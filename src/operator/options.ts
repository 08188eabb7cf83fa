// SPDX-License-Identifier: Apache-2.0
// What the operator is told on its command line; names are those of Cilium's where it has them.

import type { Port } from '../base/ip.ts';
import type { LbClasses } from '../lbipam/service.ts';

export type OperatorOptions = {
  /** Path of a kubeconfig file; undefined: the credentials of the pod. */
  readonly kubeconfig: string | undefined;
  /** The API's addresses; empty: as the kubeconfig or the pod's environment says. */
  readonly apiServers: readonly string[];
  /** Where the Lease is. */
  readonly namespace: string;
  /** Which of the operators this is. */
  readonly identity: string;
  /** Ports of /healthz on 127.0.0.1, and of /metrics on every address; undefined: there are no metrics. */
  readonly healthPort: Port;
  readonly metricsPort: Port | undefined;
  /** Milliseconds, all of them; an interval of 0 is never. */
  readonly identityInterval: number;
  readonly identityGrace: number;
  readonly endpointInterval: number;
  readonly endpointGrace: number;
  /** Which Services get addresses of pools; undefined: none. */
  readonly lbClasses: LbClasses | undefined;
  /** The cluster whose agents and relays get certificates; undefined: none is made. */
  readonly certificatesFor: string | undefined;
  readonly leaseDuration: number;
  readonly leaseRenew: number;
  readonly leaseRetry: number;
};
