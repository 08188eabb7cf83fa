// SPDX-License-Identifier: Apache-2.0
// Credentials from a program that a kubeconfig names (`users[].user.exec`).
//
//   environment KUBERNETES_EXEC_INFO: an ExecCredential with our question ──▶ program ──▶ stdout: an ExecCredential with status
//
// Source: client.authentication.k8s.io/v1, https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins

import { execFile } from 'node:child_process';
import { dirname, resolve } from 'node:path';
import { promisify } from 'node:util';

import { messageOf, StentorError } from '../base/errors.ts';

export type ExecPlugin = {
  readonly apiVersion: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly installHint: string | undefined;
  /** 'Never', 'IfAvailable' or 'Always'. */
  readonly interactiveMode: string | undefined;
  /** What to tell it of the cluster; undefined: nothing. */
  readonly cluster: object | undefined;
};

export type ExecCredentials = {
  readonly token: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  /** Milliseconds since the Unix epoch; undefined: they hold until the server says no. */
  readonly expires: number | undefined;
};

const VERSIONS = ['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1'];
const PATIENCE_MS = 60_000;
const LONGEST_ANSWER = 1 << 20;
const run = promisify(execFile);

/** Runs the program. `folder`: that of the kubeconfig, for a command with a path. Throws StentorError. */
async function execCredentials(plugin: ExecPlugin, folder: string): Promise<ExecCredentials> {
  const { apiVersion, command, args, env, installHint, cluster } = plugin;
  const failure = (why: string) => new StentorError('EXEC_CREDENTIALS', `Cannot get credentials from '${command}': ${why}`);
  if (!VERSIONS.includes(apiVersion)) throw failure(`its apiVersion is ${apiVersion}, wanted ${VERSIONS.join(' or ')}`);
  if (plugin.interactiveMode === 'Always') throw failure('its interactiveMode is Always, and nobody is here to be asked');
  const spec = { interactive: false, ...(cluster && { cluster }) };
  const question = JSON.stringify({ apiVersion, kind: 'ExecCredential', spec });
  const path = command.includes('/') ? resolve(folder, command) : command;
  let answer: string;
  try {
    const options = { env: { ...process.env, ...env, KUBERNETES_EXEC_INFO: question }, timeout: PATIENCE_MS, maxBuffer: LONGEST_ANSWER };
    ({ stdout: answer } = await run(path, [...args], options));
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim().slice(0, 300) : '';
    const hint = installHint === undefined ? '' : `; ${installHint.trim()}`;
    throw failure(`${said || messageOf(error)}${hint}`);
  }
  const found = credentialsIn(answer, apiVersion);
  if (typeof found === 'string') throw failure(found);
  return found;
}

/** What an answer has, or what is wrong with it. */
export function credentialsIn(text: string, apiVersion: string): ExecCredentials | string {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    return 'its output is no JSON, wanted an ExecCredential';
  }
  const at = (value: unknown, name: string): unknown =>
    typeof value === 'object' && value !== null ? Object.getOwnPropertyDescriptor(value, name)?.value : undefined;
  if (at(answer, 'kind') !== 'ExecCredential') return `its kind is ${JSON.stringify(at(answer, 'kind'))}, wanted ExecCredential`;
  if (at(answer, 'apiVersion') !== apiVersion) return `it answers in ${JSON.stringify(at(answer, 'apiVersion'))}, asked in ${apiVersion}`;
  const status = at(answer, 'status');
  const textAt = (name: string) => {
    const value = at(status, name);
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const [token, cert, key] = [textAt('token'), textAt('clientCertificateData'), textAt('clientKeyData')];
  if (token === undefined && cert === undefined) return 'its status has neither token nor clientCertificateData';
  if ((cert === undefined) !== (key === undefined)) return 'its status has one of clientCertificateData and clientKeyData, wanted both';
  const expiry = textAt('expirationTimestamp');
  const expires = expiry === undefined ? undefined : Date.parse(expiry);
  if (Number.isNaN(expires)) return `its expirationTimestamp is '${expiry}', wanted RFC 3339`;
  return { token, cert, key, expires };
}

/** Credentials that are asked for again before they end. */
export type Kept = {
  /** Those that hold now. */ now(): ExecCredentials;
  /** Asks again if they are about to end, or `rejected` by the server. */ renew(rejected: boolean): Promise<void>;
};

const EARLY_MS = 60_000;
/** With a wrong clock, or credentials that never last for so long, every request finds them about to end: it must not start a program each. */
const AGAIN_MS = 10_000;

/** Asks once, at first. Throws StentorError. */
export async function keptCredentials(plugin: ExecPlugin, kubeconfig: string): Promise<Kept> {
  const ask = () => execCredentials(plugin, dirname(kubeconfig));
  let found = await ask();
  let asking: Promise<void> | undefined;
  let asked = -Infinity;
  return {
    now: () => found,
    async renew(rejected) {
      const ending = found.expires !== undefined && found.expires - EARLY_MS <= Date.now();
      const calm = performance.now() - asked < AGAIN_MS;
      if (!rejected && (!ending || (calm && asking === undefined))) return;
      asked = performance.now();
      asking ??= ask()
        .then((fresh) => void (found = fresh))
        .finally(() => (asking = undefined));
      await asking;
    },
  };
}
