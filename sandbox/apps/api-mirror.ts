// SPDX-License-Identifier: Apache-2.0
// A list of objects that follows the API, from inside a pod: list, watch, and list again whenever the watch ends.
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { Agent, get } from 'node:https';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';

export type Mirror<T> = { objects(): readonly T[]; isComplete(): boolean };

type Stored = { readonly metadata: { readonly uid: string } };
type ListAnswer<T> = { readonly items: readonly T[]; readonly metadata: { readonly resourceVersion: string } };
type WatchEvent<T> = { readonly type: string; readonly object: T };

const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
const RETRY_MS = 200;
const agent = new Agent({ keepAlive: true });

/** Follows a collection for as long as the process lives. */
export function startMirror<T extends Stored>(path: string): Mirror<T> {
  const objects = new Map<string, T>();
  let isComplete = false;
  const follow = async () => {
    const list = JSON.parse(await textOf(await open(path))) as ListAnswer<T>; // as: the API's list of this collection
    objects.clear();
    for (const object of list.items) objects.set(object.metadata.uid, object);
    isComplete = true;
    const stream = await open(`${path}?watch=1&allowWatchBookmarks=true&resourceVersion=${list.metadata.resourceVersion}`);
    for await (const line of createInterface({ input: stream })) {
      const { type, object } = JSON.parse(line) as WatchEvent<T>; // as: the API's watch of this collection
      if (type === 'ERROR') return;
      if (type === 'DELETED') objects.delete(object.metadata.uid);
      else if (type !== 'BOOKMARK') objects.set(object.metadata.uid, object);
    }
  };
  void (async () => {
    for (;;) {
      await follow().catch((error: unknown) => console.error(`Cannot follow ${path}: ${String(error)}`));
      await delay(RETRY_MS);
    }
  })();
  return { objects: () => [...objects.values()], isComplete: () => isComplete };
}

function open(path: string): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = process.env;
  const request = get({
    agent,
    host,
    port,
    path,
    ca: readFileSync(`${ACCOUNT}/ca.crt`),
    headers: { authorization: `Bearer ${readFileSync(`${ACCOUNT}/token`, 'utf8')}` },
  });
  request.on('error', reject).on('response', (response) => {
    if (response.statusCode === 200) return resolve(response);
    response.resume();
    reject(new Error(`status ${response.statusCode}`));
  });
  return promise;
}

async function textOf(response: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
