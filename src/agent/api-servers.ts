// SPDX-License-Identifier: Apache-2.0
// Addresses of API servers that were learned from the API itself, kept on disk: an agent that starts while the configured address is dead
// finds another.

import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { codeOf, messageOf } from '../base/errors.ts';
import { addressPort } from '../base/ip.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import type { Table } from '../base/table.ts';
import type { SliceRow } from '../services/service.ts';

export type LearnedServers = {
  /** 'https://192.168.0.11:6443'. */
  urls(): readonly string[];
  /** Learns what the EndpointSlices of the Service kubernetes say; nothing is forgotten on an empty list. */
  learn(slices: Table<string, SliceRow>): void;
  readonly problems: readonly Problem[];
};

const SERVICE = 'default/kubernetes';

/** `path`: of the file. */
export function learnedServers(path: string): LearnedServers {
  const { urls: found, trouble } = readFrom(path);
  const problems = trouble === undefined ? [] : [damaged(path, trouble)];
  let urls = found;
  return {
    urls: () => urls,
    problems,
    learn(slices) {
      const now = urlsIn(slices);
      if (now.length === 0 || now.join() === urls.join()) return;
      urls = now;
      problems.length = 0;
      keep(path, now, (error) => problems.push(unwritten(path, error)));
    },
  };
}

function urlsIn(slices: Table<string, SliceRow>): readonly string[] {
  const found = new Set<string>();
  for (const { ports, endpoints } of slices.by('service', SERVICE)) {
    const port = ports.find(({ name }) => name === 'https') ?? ports[0];
    if (port) for (const { address, ready } of endpoints) if (ready) found.add(`https://${addressPort(address, port.port)}`);
  }
  return [...found].sort();
}

function readFrom(path: string): { readonly urls: readonly string[]; readonly trouble?: string } {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    const isUrl = (url: unknown): url is string => typeof url === 'string' && URL.parse(url)?.protocol === 'https:';
    if (Array.isArray(value) && value.every(isUrl)) return { urls: value };
    return { urls: [], trouble: 'wanted a list of https:// addresses' };
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? { urls: [] } : { urls: [], trouble: messageOf(error) };
  }
}

function keep(path: string, urls: readonly string[], failed: (error: unknown) => void): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(`${path}.new`, JSON.stringify(urls), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  } catch (error) {
    failed(error);
  }
}

function damaged(path: string, trouble: string): Problem {
  return problem({
    object: `File ${path}`,
    reason: 'DamagedFile',
    message: `Cannot read the addresses of API servers: ${trouble}`,
    advice: 'Nothing has to be done: it is written anew as soon as the API is reached',
  });
}

function unwritten(path: string, error: unknown): Problem {
  return problem({
    object: `File ${path}`,
    reason: 'CannotWrite',
    message: `Cannot keep the addresses of API servers: ${messageOf(error)}`,
    advice: 'Make room on its file system; until then an agent that starts knows the configured address alone',
  });
}

/** Addresses that do not answer while another one does. */
export function deadServers(failing: ReadonlyMap<string, string>, current: string, configured: readonly string[]): readonly Problem[] {
  return configured
    .filter((url) => failing.has(url) && url !== current)
    .map((url) =>
      problem({
        object: `API server ${url}`,
        reason: 'ApiServerUnreachable',
        message: `${failing.get(url)}; ${current} is used in its place`,
        advice: 'Repair what is to answer there (k8sServiceHost, k8s.apiServerURLs), or name an address that answers',
      }),
    );
}
