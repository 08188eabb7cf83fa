// SPDX-License-Identifier: Apache-2.0
// Problems and notices as Events: what `kubectl get events` shows with the object that a user has to repair.
// Shape and limits: Kubernetes API reference v1.33, events.k8s.io/v1 Event.
//
// The name of an Event is made of what it says, so that the same Problem, said again by a restarted agent or by another
// one, becomes a count in one Event instead of many Events. The API deletes Events after an hour or so; we never do. They carry the uid
// of the object, by which `kubectl describe` finds them; an object made anew under the same name has Events of its own.

import { createHash } from 'node:crypto';

import { systemClock } from '../base/clock.ts';
import type { Clock } from '../base/clock.ts';
import type { Notice, Problem } from '../base/problem.ts';
import type { AsyncTarget } from '../base/reconcile-async.ts';
import type { KubeClient } from './client.ts';
import { isStatus } from './kube-error.ts';
import { pathOf, pathOfObject, resources } from './resources.ts';
import type { Resource } from './resources.ts';
import { eachOf } from './status.ts';
import type { KubeObject } from './types.ts';

export type EventsOptions = {
  readonly client: KubeClient;
  /** Name of the program: 'stentor-agent'. */
  readonly controller: string;
  /** Which one of them: the node's name. */
  readonly instance: string;
  /** Object, 'Node node1', that Problems are about which no object of the API has. */
  readonly fallback: string;
  readonly clock?: Clock;
};

export type KubeEvent = {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly series?: { readonly count: number; readonly lastObservedTime: string };
};

const NOTE_LIMIT = 1024;

/** Put says a Problem, or what has been done; it is over by itself. */
export function eventsTarget<V extends Problem | Notice>({
  client,
  controller,
  instance,
  fallback,
  clock = systemClock,
}: EventsOptions): AsyncTarget<string, V> {
  const say = async (_key: string, said: V) => {
    const regarding = await identified(client, regardingOf(said.object) ?? regardingOf(fallback) ?? DEFAULT_NAMESPACE);
    const namespace = regarding.namespace ?? 'default';
    const name = `${regarding.name.slice(0, 200)}.${markOf(said, regarding.uid)}`;
    const time = microTime(clock.now());
    try {
      await client.create(pathOf(resources.events, namespace), {
        apiVersion: resources.events.apiVersion,
        kind: resources.events.kind,
        metadata: { name, namespace },
        eventTime: time,
        reportingController: controller,
        reportingInstance: instance.slice(0, 128),
        action: 'Configuring',
        reason: said.reason,
        regarding,
        note: (said.kind === 'problem' ? `${said.message}. ${said.advice}` : said.message).slice(0, NOTE_LIMIT),
        type: said.kind === 'problem' ? 'Warning' : 'Normal',
      });
    } catch (error) {
      if (!isStatus(error, 409)) throw error;
      const path = pathOfObject(resources.events, name, namespace);
      const before = await client.get<KubeEvent>(path);
      await client.patch(path, { series: { count: (before.series?.count ?? 1) + 1, lastObservedTime: time } }, { type: 'merge' });
    }
  };
  return {
    name: 'events',
    list: () => Promise.resolve([]),
    put: (entries) => eachOf(entries, say),
    remove: () => Promise.resolve(),
  };
}

type Regarding = {
  readonly kind: string;
  readonly apiVersion: string;
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
};

const DEFAULT_NAMESPACE: Regarding = { kind: 'Namespace', apiVersion: 'v1', name: 'default' };

/** With the uid of the object that has this name now; without one if there is none, or none that we may read. */
async function identified(client: KubeClient, regarding: Regarding): Promise<Regarding> {
  const { kind, name, namespace } = regarding;
  const resource = resourceOf(kind);
  if (resource === undefined) return regarding;
  try {
    const { metadata } = await client.get<Partial<KubeObject>>(pathOfObject(resource, name, namespace)); // from outside: every field may be missing
    const uid = metadata?.uid;
    return uid === undefined ? regarding : { ...regarding, uid };
  } catch (error) {
    if (!isStatus(error, 404) && !isStatus(error, 403)) throw error;
    return regarding;
  }
}

function resourceOf(kind: string | undefined): Resource | undefined {
  const known: readonly Resource[] = Object.values(resources);
  return known.find((one) => one.kind === kind);
}

/** The object that 'Service shop/cart' or 'Node node1' names; undefined for what is no object of a kind that we know. */
function regardingOf(text: string): Regarding | undefined {
  const [, kind, first, second] = /^(\w+) ([^/ ]+)(?:\/([^/ ]+))?$/.exec(text) ?? [];
  const resource = resourceOf(kind);
  if (resource === undefined || first === undefined || resource.namespaced !== (second !== undefined)) return undefined;
  const { apiVersion } = resource;
  return second === undefined
    ? { kind: resource.kind, apiVersion, name: first }
    : { kind: resource.kind, apiVersion, name: second, namespace: first };
}

/** 16 hexadecimal digits that differ when what is said differs, or of what. */
function markOf({ object, reason, message }: Problem | Notice, uid: string | undefined): string {
  return createHash('sha256')
    .update([object, reason, message, uid ?? ''].join('\n'))
    .digest('hex')
    .slice(0, 16);
}

/** RFC 3339 with the six digits of a MicroTime. */
function microTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z');
}
