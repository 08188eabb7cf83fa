// SPDX-License-Identifier: Apache-2.0
// An in-memory Kubernetes API over HTTPS for one machine: everything that kubectl, the agent and the operator ask of a
// real API server, without etcd, RBAC evaluation or webhooks.
//
//   TLS ─▶ faults ─▶ who? (bearer token) ─▶ what? (path) ─┬─ documents: discovery, OpenAPI, health, version
//                                                        ├─ objects:   rest.ts, subresources.ts ─▶ writes ─▶ storage
//                                                        └─ streams:   exec.ts, logs.ts ─▶ the kubelet
import type { AddressInfo } from 'node:net';
import { routerOf } from './router.ts';
import { collectGarbage } from './garbage.ts';
import { createListeners } from './listeners.ts';
import { createLister } from './list.ts';
import { createRegistry } from './resources.ts';
import { createStorage } from './storage.ts';
import { createStore } from './store-access.ts';
import { createWrites } from './store-writes.ts';
import { makeCertificates } from './tls.ts';
import type { ExecSession, LogTarget, ExecTarget } from './streams.ts';
import type { Json, Store } from './store.ts';
import type { Faults } from './faults.ts';

/** One authorised request, as an RBAC rule would have to name it. */
export type RequestRecord = {
  readonly user: string;
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
};

/** What a write is about to store: `admit` returns it (changed or not) or throws an ApiError. */
export type AdmissionRequest = {
  readonly operation: 'CREATE' | 'UPDATE';
  /** plural, or plural.group */
  readonly resource: string;
  /** A private copy: may be changed in place. Defaults are set, validation comes afterwards. */
  readonly object: Json;
  readonly old?: Json;
  /** Nothing will be stored: allocate nothing. */
  readonly dryRun: boolean;
};

export type ApiServerOptions = {
  /** bearer token → user name; read at each request */
  readonly tokens: ReadonlyMap<string, string>;
  /** Further names and addresses for the server certificate. */
  readonly sans: readonly string[];
  /** Where keys and certificates are written: ca.crt, ca.key, server.crt, server.key. */
  readonly dir: string;
  readonly admit?: (request: AdmissionRequest) => Json;
  readonly streams: {
    exec(target: ExecTarget): Promise<ExecSession>;
    logs(target: LogTarget, signal: AbortSignal): AsyncIterable<Buffer>;
  };
  readonly onRequest?: (record: RequestRecord) => void;
  readonly faults?: Faults;
  /** How many changes of each resource a watch can resume from; 16384 when absent. */
  readonly historyLimit?: number;
};

export type ApiServer = {
  readonly store: Store;
  readonly caPem: string;
  /** May be called several times (a unix socket and a TCP port). TLS on both. The address, or the path of the socket. */
  listen(where: { readonly path: string } | { readonly host: string; readonly port: number }): Promise<AddressInfo | string>;
  /** Ends every connection, watch and exec session. */
  close(): Promise<void>;
};

/** By which it is always known, beside `sans`. */
const NAMES = [
  '127.0.0.1',
  '::1',
  'localhost',
  'kubernetes',
  'kubernetes.default',
  'kubernetes.default.svc',
  'kubernetes.default.svc.cluster.local',
];
const HISTORY_LIMIT = 16_384;
const NAMESPACES = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];

/** Makes certificates and an API with four namespaces in it; call `listen` next. CertificateError when openssl fails. */
export const createApiServer = async (options: ApiServerOptions): Promise<ApiServer> => {
  const certificates = await makeCertificates(options.dir, 'kube-apiserver', [...NAMES, ...options.sans]);
  const storage = createStorage(options.historyLimit ?? HISTORY_LIMIT);
  const registry = createRegistry();
  const writes = createWrites({ storage, registry, admit: options.admit });
  const store = createStore(storage, registry, writes);
  const closing = new AbortController();
  for (const name of NAMESPACES) store.create('namespaces', { metadata: { name } });
  collectGarbage(storage, registry, writes, { caPem: certificates.ca, signal: closing.signal });
  const router = routerOf({ storage, registry, writes, lister: createLister(storage), faults: options.faults }, options);
  const listeners = createListeners(certificates, router);
  return {
    store,
    caPem: certificates.ca,
    listen: listeners.listen,
    async close() {
      closing.abort();
      router.close();
      await listeners.close();
    },
  };
};
