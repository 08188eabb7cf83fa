// SPDX-License-Identifier: Apache-2.0
// Where the Kubernetes API is and who we are: a kubeconfig file, or what Kubernetes puts into every pod.
//
// Files with secrets are looked at again for every request and read when they have changed: tokens of service accounts live
// about an hour, certificates are renewed in place.

import { readFileSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import { addressPort, parseIp } from '../base/ip.ts';
import { messageOf, StentorError } from '../base/errors.ts';
import { keptCredentials } from './exec-credentials.ts';
import type { ExecCredentials, ExecPlugin } from './exec-credentials.ts';
import type { Server } from './servers.ts';

export class KubeConfigError extends StentorError {}

/** PEM text and a bearer token; what is absent is not used. */
export type Credentials = {
  readonly token: string | undefined;
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
};

export type KubeAccess = {
  /** Where the API is, the preferred address first; asked before each call. */
  readonly servers: () => readonly Server[];
  /** Believe any certificate. */
  readonly insecure: boolean;
  /** Of the pod, or of the kubeconfig's context. */
  readonly namespace: string | undefined;
  /** What holds now. Throws KubeConfigError when a file cannot be read. */
  readonly credentials: () => Credentials;
  /** Makes credentials that end soon new, also those that the server has `rejected`. Throws StentorError. */
  readonly renew?: (rejected: boolean) => Promise<void>;
};

export type AccessOptions = {
  /** Path of a kubeconfig file. Without it the files of the pod are used. */
  readonly kubeconfig?: string;
  /** A context of that file other than its current one. */
  readonly context?: string;
  /** The API's addresses ('https://host:port'), in place of what the file or the pod's environment says. */
  readonly servers?: readonly string[];
  /** Addresses that were learned from the API itself: tried after all others. Their certificate has to be for kubernetes.default.svc. */
  readonly learned?: () => readonly string[];
  /** Folder with `token`, `ca.crt` and `namespace`. */
  readonly podFolder?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
};

const POD_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Finds the API and our credentials. Throws KubeConfigError that says what is missing. */
export async function kubeAccess(options: AccessOptions = {}): Promise<KubeAccess> {
  const { urls, serverName, ...access } =
    options.kubeconfig === undefined ? podAccess(options) : await fileAccess(options.kubeconfig, options);
  for (const url of urls) {
    const checked = URL.parse(url);
    if (checked === null || !/^https?:$/.test(checked.protocol))
      throw wrong(`Cannot use '${url}' as the address of the Kubernetes API, wanted https://host:port`);
  }
  access.credentials();
  const given = urls.map((url): Server => ({ url: url.replace(/\/+$/, ''), name: serverName }));
  const { learned = () => [] } = options;
  return { ...access, servers: () => [...given, ...learned().map((url): Server => ({ url, name: IN_CLUSTER_NAME }))] };
}

/** Every certificate of an API server has it: it is how pods reach the API by name. */
const IN_CLUSTER_NAME = 'kubernetes.default.svc';

type Found = Omit<KubeAccess, 'servers'> & { readonly urls: readonly string[]; readonly serverName: string | undefined };

function podAccess({ servers = [], podFolder = POD_FOLDER, env = process.env }: AccessOptions): Found {
  const host = env['KUBERNETES_SERVICE_HOST'] ?? '';
  if (servers.length === 0 && host === '')
    throw wrong(
      'Cannot find the Kubernetes API: KUBERNETES_SERVICE_HOST is not set, wanted a pod, a kubeconfig file, or k8sServiceHost and k8sServicePort',
    );
  const token = fileOnDisk(`${podFolder}/token`);
  const ca = fileOnDisk(`${podFolder}/ca.crt`);
  const namespace = fileOnDisk(`${podFolder}/namespace`);
  return {
    urls: servers.length > 0 ? servers : [urlOf(host, Number(env['KUBERNETES_SERVICE_PORT'] ?? 443))],
    insecure: false,
    serverName: undefined,
    namespace: optional(namespace),
    credentials: () => ({ token: token().trim(), ca: ca(), cert: undefined, key: undefined }),
  };
}

async function fileAccess(path: string, { servers = [], context: wanted }: AccessOptions): Promise<Found> {
  const root = tree(await parsed(path), path);
  const contextName = wanted ?? root.text('current-context');
  if (contextName === undefined) throw wrong(`Cannot use kubeconfig ${path}: it has no current-context, and none was asked for`);
  const context = root.named('contexts', contextName, 'context');
  const clusterName = context.needed('cluster');
  const cluster = root.named('clusters', clusterName, 'cluster');
  const userName = context.text('user');
  const user = userName === undefined ? tree({}, path) : root.named('users', userName, 'user');
  for (const refused of ['auth-provider', 'username', 'as']) {
    if (user.has(refused))
      throw wrong(
        `Cannot use user '${userName}' of kubeconfig ${path}: it has '${refused}', wanted one of token, tokenFile, exec, client-certificate and client-key`,
      );
  }
  if (cluster.has('proxy-url'))
    throw wrong(`Cannot use cluster '${clusterName}' of kubeconfig ${path}: it has 'proxy-url', wanted a server that is reached directly`);
  const [token, ca] = [user.secret('token', 'tokenFile'), cluster.pem('certificate-authority')];
  const [cert, key] = [user.pem('client-certificate'), user.pem('client-key')];
  const kept = user.has('exec') ? await keptCredentials(pluginOf(user, cluster, path), path) : undefined;
  const given = () => ({ token: token()?.trim(), ca: ca(), cert: cert(), key: key() });
  const fromPlugin = ({ token: found, cert: chain, key: secret }: ExecCredentials) => ({
    token: found,
    ca: ca(),
    cert: chain,
    key: secret,
  });
  return {
    urls: servers.length > 0 ? servers : [cluster.needed('server')],
    insecure: cluster.text('insecure-skip-tls-verify') === 'true',
    serverName: cluster.text('tls-server-name'),
    namespace: context.text('namespace'),
    credentials: () => (kept ? fromPlugin(kept.now()) : given()),
    ...(kept && { renew: (rejected: boolean) => kept.renew(rejected) }),
  };
}

function pluginOf(user: Tree, cluster: Tree, path: string): ExecPlugin {
  const exec = user.inner('exec');
  const asked = exec.text('provideClusterInfo') === 'true';
  const info = {
    server: cluster.needed('server'),
    'tls-server-name': cluster.text('tls-server-name'),
    'insecure-skip-tls-verify': cluster.text('insecure-skip-tls-verify') === 'true',
    'certificate-authority-data': Buffer.from(cluster.pem('certificate-authority')() ?? '').toString('base64'),
  };
  return {
    apiVersion: exec.needed('apiVersion'),
    command: exec.needed('command'),
    args: exec.items('args').map(String),
    env: Object.fromEntries(exec.items('env').map((item) => [tree(item, path).needed('name'), tree(item, path).text('value') ?? ''])),
    installHint: exec.text('installHint'),
    interactiveMode: exec.text('interactiveMode'),
    cluster: asked ? info : undefined,
  };
}

async function parsed(path: string): Promise<unknown> {
  try {
    const { parse } = await import('yaml'); // only who has a kubeconfig pays for it
    return parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw wrong(`Cannot read kubeconfig ${path}`, error);
  }
}

type Tree = {
  has(name: string): boolean;
  text(name: string): string | undefined;
  needed(name: string): string;
  /** What is under a name. */
  inner(name: string): Tree;
  /** A list, empty where there is none. */
  items(name: string): readonly unknown[];
  /** Text in the file, or else in another file that `fileField` names. */
  secret(field: string, fileField: string): () => string | undefined;
  /** PEM, from `<field>-data` in base64 or from the file that `<field>` names. */
  pem(field: string): () => string | undefined;
  /** The entry `name` of a list of named entries, and in it what is under `inner`. */
  named(list: string, name: string, inner: string): Tree;
};

/** Fields of a kubeconfig, which may be anything. */
function tree(value: unknown, path: string): Tree {
  const at = (name: string): unknown =>
    typeof value === 'object' && value !== null ? Object.getOwnPropertyDescriptor(value, name)?.value : undefined;
  const has = (name: string) => at(name) !== undefined && at(name) !== null && at(name) !== '';
  const text = (name: string) => (has(name) ? String(at(name)) : undefined);
  const file = (name: string) => fileOnDisk(resolve(dirname(path), name));
  const needed = (name: string) => {
    const found = text(name);
    if (found === undefined) throw wrong(`Cannot use kubeconfig ${path}: '${name}' is missing`);
    return found;
  };
  return {
    has,
    text,
    needed,
    inner: (name) => tree(at(name), path),
    items(name) {
      const found: unknown = at(name);
      return Array.isArray(found) ? (found as readonly unknown[]) : []; // whoever takes an item looks at it
    },
    secret(field, fileField) {
      const [literal, named] = [text(field), text(fileField)];
      return named === undefined || literal !== undefined ? () => literal : file(named);
    },
    pem(field) {
      const [data, named] = [text(`${field}-data`), text(field)];
      if (data === undefined) return named === undefined ? () => undefined : file(named);
      const pem = Buffer.from(data, 'base64').toString('utf8');
      if (!pem.includes('-----BEGIN')) throw wrong(`Cannot use kubeconfig ${path}: '${field}-data' is not PEM in base64`);
      return () => pem;
    },
    named(list, name, inner) {
      const entries = at(list);
      const found: unknown = Array.isArray(entries) ? entries.find((entry) => tree(entry, path).text('name') === name) : undefined;
      if (found === undefined) throw wrong(`Cannot use kubeconfig ${path}: ${list} has no '${name}'`);
      return tree(Object.getOwnPropertyDescriptor(found, inner)?.value, path);
    },
  };
}

/** The contents of a file, read anew when it is another file or has changed. */
function fileOnDisk(path: string): () => string {
  let mark = '';
  let contents = '';
  return () => {
    try {
      const { ino, size, mtimeMs } = statSync(path);
      const now = `${ino} ${size} ${mtimeMs}`;
      if (now !== mark) {
        contents = readFileSync(path, 'utf8');
        mark = now;
      }
      return contents;
    } catch (error) {
      throw wrong(`Cannot read ${path} for the Kubernetes API`, error);
    }
  };
}

function optional(read: () => string): string | undefined {
  try {
    return read().trim();
  } catch {
    return undefined;
  }
}

/** IPv6 with or without brackets. */
function urlOf(host: string, port: number): string {
  const address = parseIp(host.replace(/^\[(.*)\]$/, '$1'));
  return `https://${address === undefined ? `${host}:${port}` : addressPort(address, port)}`;
}

function wrong(message: string, cause?: unknown): KubeConfigError {
  return new KubeConfigError('KUBE_CONFIG', cause === undefined ? message : `${message}: ${messageOf(cause)}`, { cause });
}
