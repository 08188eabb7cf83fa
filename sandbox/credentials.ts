// SPDX-License-Identifier: Apache-2.0
// Who may talk to the API: the user of the kubeconfig, and service accounts as their pods ask for them.
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';

export type Accounts = {
  /** Bearer token → user name; grows as service accounts get theirs. */
  readonly tokens: ReadonlyMap<string, string>;
  readonly adminToken: string;
  tokenFor(namespace: string, serviceAccount: string): string;
};

export function newAccounts(): Accounts {
  const adminToken = newToken();
  const tokens = new Map([[adminToken, 'admin']]);
  const known = new Map<string, string>();
  return {
    tokens,
    adminToken,
    tokenFor(namespace, serviceAccount) {
      const user = `system:serviceaccount:${namespace}:${serviceAccount}`;
      const token = known.get(user) ?? newToken();
      known.set(user, token);
      tokens.set(token, user);
      return token;
    },
  };
}

const newToken = (): string => randomBytes(24).toString('base64url');

/** Writes a kubeconfig that only its owner can read. */
export async function writeKubeconfig(
  path: string,
  { server, ca, token }: { readonly server: string; readonly ca: string; readonly token: string },
): Promise<void> {
  const name = 'stentor-sandbox';
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') } }],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  };
  await writeFile(path, `${JSON.stringify(config, undefined, 2)}\n`, { mode: 0o600 }); // JSON is YAML
}
