// SPDX-License-Identifier: Apache-2.0
// The real helm: $HELM, or one that is built once, of a pinned version, where Go and its module proxy can be reached.

import { spawn, spawnSync } from 'node:child_process';

import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseAllDocuments } from 'yaml';

const MODULE = 'helm.sh/helm/v3/cmd/helm@v3.22.0';
const ROOT = resolve(import.meta.dirname, '../..');
const BUILD_MS = 900_000;

export const CHART = join(ROOT, 'chart');
export const SEED = join(ROOT, 'sandbox/seed/values.yaml');

export type Said = { readonly code: number; readonly out: string; readonly err: string };
export type Helm = {
  (args: readonly string[]): Said;
  /** While this process goes on, with another environment: what helm talks to may be here. */
  beside(args: readonly string[], env: Readonly<Record<string, string>>): Promise<Said>;
};
export type KubeObject = {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Labels; readonly annotations?: Labels };
  readonly [field: string]: unknown;
};
type Labels = Readonly<Record<string, string>>;

/** Helm, or why there is none. */
export function helm(): Helm | string {
  const given = process.env['HELM'];
  const built = join(ROOT, 'build/tools/helm');
  if (given === undefined && !existsSync(built)) {
    const missing = build(join(ROOT, 'build/tools'));
    if (missing !== undefined) return missing;
  }
  const program = given ?? built;
  const here = (args: readonly string[]): Said => {
    const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 64 << 20 });
    if (error) throw error;
    return { code: status ?? 1, out: stdout, err: stderr };
  };
  const beside: Helm['beside'] = (args, env) =>
    new Promise((resolve, reject) => {
      const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
      const said = { out: '', err: '' };
      child.stdout.setEncoding('utf8').on('data', (text: string) => (said.out += text));
      child.stderr.setEncoding('utf8').on('data', (text: string) => (said.err += text));
      child.once('error', reject).once('close', (code) => resolve({ code: code ?? 1, ...said }));
    });
  return Object.assign(here, { beside });
}

function build(directory: string): string | undefined {
  if (spawnSync('go', ['version']).error) return 'missing tool: go, to build helm; or name one in $HELM';
  mkdirSync(directory, { recursive: true });
  const env = { ...process.env, GOBIN: directory, GOFLAGS: '-mod=mod', CGO_ENABLED: '0' };
  const { status, stderr } = spawnSync('nice', ['go', 'install', MODULE], { env, encoding: 'utf8', timeout: BUILD_MS, cwd: tmpdir() });
  if (status === 0) return undefined;
  return `cannot build ${MODULE}: ${stderr.trim().split('\n').at(-1) ?? 'no reason given'}`;
}

/** The chart with values given as YAML, in the namespace where users have it. `apis`: optional kinds that the cluster knows. */
export function rendered(run: Helm, yaml: string, apis: readonly string[] = ['monitoring.coreos.com/v1']): Said {
  return withFile(yaml, (file) =>
    run(['template', 'cilium', CHART, '--namespace', 'kube-system', '-f', file, ...apis.flatMap((api) => ['-a', api])]),
  );
}

export function withFile<T>(text: string, use: (file: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'stentor-helm-'));
  try {
    const file = join(directory, 'values.yaml');
    writeFileSync(file, text);
    return use(file);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Throws with what helm said. */
export function objectsIn({ code, out, err }: Said): readonly KubeObject[] {
  if (code !== 0) throw new Error(err);
  return parseAllDocuments(out).flatMap((document) => (document.toJS() as KubeObject | null) ?? []); // as: what helm renders has these; null: nothing between two separators
}
