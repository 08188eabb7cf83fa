// SPDX-License-Identifier: Apache-2.0
// What the operator is told on its command line; names are those of Cilium's where it has them.

export type OperatorOptions = {
  /** Path of a kubeconfig file; undefined: the credentials of the pod. */
  readonly kubeconfig: string | undefined;
  /** Where the Lease is. */
  readonly namespace: string;
  /** Which of the operators this is. */
  readonly identity: string;
  /** Ports of /healthz on 127.0.0.1, and of /metrics on every address. */
  readonly healthPort: number;
  readonly metricsPort: number;
  /** Milliseconds, all of them. */
  readonly identityInterval: number;
  readonly identityGrace: number;
  readonly endpointInterval: number;
  readonly endpointGrace: number;
  readonly leaseDuration: number;
  readonly leaseRenew: number;
  readonly leaseRetry: number;
};
