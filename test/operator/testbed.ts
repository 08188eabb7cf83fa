// SPDX-License-Identifier: Apache-2.0
// For tests of the operator: the sandbox's API with the chart's definitions, a client for it, and operators as processes.

import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { RequestRecord } from '../../sandbox/api/server.ts';
import { startTestServer, TOKEN } from '../../sandbox/api/server-fixture.ts';
import type { KubeObject, Store } from '../../sandbox/api/store.ts';
import { writeKubeconfig } from '../../sandbox/credentials.ts';
import { definitions } from '../../sandbox/manifests.ts';
import { exitCodeOf } from '../../sandbox/run.ts';
import { kubeClient } from '../../src/kube/client.ts';
import type { KubeClient } from '../../src/kube/client.ts';

const IDENTITIES = 'ciliumidentities.cilium.io';
const ENDPOINTS = 'ciliumendpoints.cilium.io';
const STENTOR = join(import.meta.dirname, '..', '..', 'bin', 'stentor');

/** An operator that runs as a process. */
export type Operator = {
  readonly name: string;
  readonly exited: Promise<number>;
  log(): string;
  signal(name: NodeJS.Signals): void;
  /** What it answers to GET; rejects when it does not. */
  page(which: 'healthz' | 'metrics'): Promise<Response>;
};

export type OperatorApi = {
  readonly client: KubeClient;
  readonly store: Store;
  readonly dir: string;
  identity(name: string, annotations?: Readonly<Record<string, string>>): KubeObject;
  touchIdentity(name: string): void;
  hasIdentity(name: string): boolean;
  /** One whose pod there is not. */
  endpoint(name: string): KubeObject;
  hasEndpoint(name: string): boolean;
  /** Who has the Lease, in words of its own. */
  holder(): string | undefined;
  /** Ends with the test at the latest. The API knows who asks by `name`. */
  start(name: string, args: readonly string[]): Promise<Operator>;
};

export async function operatorApi(context: TestContext, onRequest: (record: RequestRecord) => void = () => {}): Promise<OperatorApi> {
  const tokens = new Map([[TOKEN, 'tester']]);
  const { api, port, dir } = await startTestServer(context, { onRequest, tokens });
  const { store, caPem: ca } = api;
  for (const one of await definitions()) store.create('customresourcedefinitions.apiextensions.k8s.io', one);
  const server = `https://127.0.0.1:${port}`;
  const credentials = () => ({ token: TOKEN, ca, cert: undefined, key: undefined });
  const client = kubeClient({
    access: { servers: () => [{ url: server, name: undefined }], insecure: false, namespace: undefined, credentials },
  });
  context.after(() => client.close());
  return {
    client,
    store,
    dir,
    identity: (name, annotations = {}) =>
      store.create(IDENTITIES, { metadata: { name, annotations }, 'security-labels': { 'k8s:app': `a${name}` } }),
    touchIdentity: (name) => void store.patch(IDENTITIES, { name }, { metadata: { labels: { touched: 'yes' } } }),
    hasIdentity: (name) => store.get(IDENTITIES, { name }) !== undefined,
    endpoint: (name) => store.create(ENDPOINTS, { metadata: { name, namespace: 'default' } }),
    hasEndpoint: (name) => store.get(ENDPOINTS, { namespace: 'default', name }) !== undefined,
    holder: () => leaseHolder(store),
    async start(name, args) {
      tokens.set(`token-of-${name}`, name);
      const kubeconfig = join(dir, `${name}.json`);
      await writeKubeconfig(kubeconfig, { server, ca, token: `token-of-${name}` });
      const operator = await startOperator(name, ['--kubeconfig', kubeconfig, ...args]);
      context.after(async () => {
        operator.signal('SIGKILL');
        await operator.exited;
      });
      return operator;
    },
  };
}

function leaseHolder(store: Store): string | undefined {
  const lease = store.get('leases.coordination.k8s.io', { namespace: 'kube-system', name: 'cilium-operator-resource-lock' });
  const spec: unknown = lease?.['spec'];
  if (typeof spec !== 'object' || spec === null || !('holderIdentity' in spec)) return undefined;
  return typeof spec.holderIdentity === 'string' ? spec.holderIdentity : undefined;
}

async function startOperator(name: string, args: readonly string[]): Promise<Operator> {
  const ports = { healthz: await freePort(), metrics: await freePort() };
  const command = ['operator', '--identity', name, '--health-port', `${ports.healthz}`, '--metrics-port', `${ports.metrics}`, ...args];
  const child = spawn(STENTOR, command, { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const { promise: exited, resolve } = Promise.withResolvers<number>();
  child.on('close', (code, signal) => resolve(exitCodeOf(code, signal)));
  return {
    name,
    exited,
    log: () => text,
    signal: (signal) => void child.kill(signal),
    page: (which) => fetch(`http://127.0.0.1:${ports[which]}/${which}`),
  };
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // as: a TCP listener has one
  await new Promise((resolve) => server.close(resolve));
  return port;
}
