// SPDX-License-Identifier: Apache-2.0
// What a relay is told on its command line.

import type { ServerAddress } from '../grpc/client.ts';

export type Place = { readonly host?: string; readonly port: number };

export type RelayOptions = {
  /** Where it answers, and where probes ask. */
  readonly listen: Place;
  readonly health: Place;
  /** Where Prometheus asks; undefined: nowhere. */
  readonly metrics: Place | undefined;
  readonly peerService: ServerAddress;
  /** Name of the cluster whose agents it asks. */
  readonly cluster: string;
  /** Whether agents want a certificate of it. */
  readonly tls: boolean;
  /** Path of a kubeconfig file; undefined: the credentials of the pod. */
  readonly kubeconfig: string | undefined;
  readonly apiServers: readonly string[];
  /** Where the Secret with its certificate is. */
  readonly namespace: string;
  readonly version: string;
};
