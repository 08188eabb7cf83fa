// SPDX-License-Identifier: Apache-2.0
// What the rest of the sandbox sees of the API's objects: synchronous, in process, with the same rules as over HTTPS
// (defaults, validation, admission, finalizers, generations, resource versions, no-op writes make no revision).
//
//   controllers, kubelet ── Store ──┐
//                                   ├── store-writes.ts ── storage.ts (revisions, history)
//   kubectl, agents ── HTTPS ───────┘
import type { Json, KubeObject } from './json.ts';

export type { Json, KubeObject } from './json.ts';

/**
 * The name of a kind of object as `kubectl api-resources` would let one type it in full: the plural for the core group
 * (`pods`, `services`), else plural.group (`deployments.apps`, `endpointslices.discovery.k8s.io`,
 * `ciliumloadbalancerippools.cilium.io`).
 */
export type ResourceName = string;

export type ObjectKey = { readonly namespace?: string; readonly name: string };

export type ListFilter = {
  readonly namespace?: string;
  /** As on the command line: `app=shop,tier in (web, api),!canary`. */
  readonly labelSelector?: string;
  /** As on the command line: `spec.nodeName=node1,status.phase!=Failed`. */
  readonly fieldSelector?: string;
};

export type StoreEvent = {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** The object after the change; for DELETED its last state, with the revision of the deletion. */
  readonly object: KubeObject;
  /** The object before the change. */
  readonly previous: KubeObject | undefined;
};

export type DeleteOptions = {
  /** Seconds; pods on a node only. 0 removes at once, which is what a kubelet asks for when the containers are gone. */
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly dryRun?: boolean;
};

/**
 * Objects handed out are frozen and shared: change a copy (`structuredClone`), or patch.
 * Writes throw ApiError (api-error.ts) with the HTTP code and reason that a client over HTTPS would see; fields that the
 * kind does not have are refused (400), not dropped.
 */
export type Store = {
  get(resource: ResourceName, key: ObjectKey): KubeObject | undefined;
  /** Sorted by namespace, then name. */
  list(resource: ResourceName, filter?: ListFilter): readonly KubeObject[];
  /**
   * Calls the listener with ADDED for every object that exists, then with every change, in order, until the signal
   * aborts. Never called inside the write that caused it, but before any later timer or I/O callback.
   * A resource that is not registered (yet) is an ApiError 404: create its CRD first.
   */
  watch(resource: ResourceName, signal: AbortSignal, listener: (event: StoreEvent) => void): void;
  /** `apiVersion` and `kind` may be left out; any version that is served will do; `metadata.generateName` works. */
  create(resource: ResourceName, object: Json): KubeObject;
  /** Replaces everything but the status. 409 if `metadata.resourceVersion` is given and stale. */
  update(resource: ResourceName, object: Json): KubeObject;
  /** Replaces the status alone. 409 if `metadata.resourceVersion` is given and stale. */
  updateStatus(resource: ResourceName, object: Json): KubeObject;
  /** Merges (RFC 7386: undefined or null deletes, lists are replaced) into everything but the status. */
  patch(resource: ResourceName, key: ObjectKey, change: Json): KubeObject;
  /** Merges (RFC 7386) into the status: `patchStatus('pods', key, { phase: 'Running' })`. */
  patchStatus(resource: ResourceName, key: ObjectKey, status: Json): KubeObject;
  /** Marks the object for deletion, or removes it when nothing (grace, finalizers) holds it. Returns its last state. */
  delete(resource: ResourceName, key: ObjectKey, options?: DeleteOptions): KubeObject;
  /** Stores the object as it is, past defaults, validation and admission: what another version of the API may have let through. */
  force(resource: ResourceName, object: Json): KubeObject;
};
