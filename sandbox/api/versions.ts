// SPDX-License-Identifier: Apache-2.0
// One stored object, several served shapes: custom resources differ in apiVersion only (conversion: None), and Event is
// stored as v1 and seen as events.k8s.io/v1 with other field names.
import type { Json, KubeObject } from './json.ts';
import { frozen } from './json.ts';
import { apiVersionOf } from './resources.ts';
import type { Resource } from './resources.ts';

const pairs = [
  ['involvedObject', 'regarding'],
  ['message', 'note'],
  ['source', 'deprecatedSource'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'],
  ['reportingComponent', 'reportingController'],
] as const;

const renamed = (object: Json, names: ReadonlyMap<string, string>, apiVersion: string): Json => ({
  ...Object.fromEntries(Object.entries(object).map(([name, value]) => [names.get(name) ?? name, value])),
  apiVersion,
});

const toView = new Map<string, string>(pairs);
const toCore = new Map<string, string>(pairs.map(([core, view]) => [view, core]));

/** events.k8s.io/v1 → v1 */
export const eventOfView = (view: Json): Json => renamed(view, toCore, 'v1');

const converted = new WeakMap<KubeObject, Map<string, KubeObject>>();

/** A stored object as the given version of the given resource shows it: the same frozen object each time it is asked. */
export const inVersion = (resource: Resource, version: string, object: KubeObject): KubeObject => {
  const apiVersion = apiVersionOf(resource, version);
  if (object.apiVersion === apiVersion) return object;
  const shapes = converted.get(object) ?? new Map<string, KubeObject>();
  converted.set(object, shapes);
  let shape = shapes.get(apiVersion);
  if (!shape) {
    shape = frozen(resource.viewOf === undefined ? { ...object, apiVersion } : renamed(object, toView, apiVersion)) as KubeObject; // as: a renamed object keeps its metadata
    shapes.set(apiVersion, shape);
  }
  return shape;
};
