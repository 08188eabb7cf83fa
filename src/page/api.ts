// SPDX-License-Identifier: Apache-2.0
// What the page's server tells the page, as JSON. Times are milliseconds since the Unix epoch.

import type { Bucket, Graph, GraphDelta } from './graph.ts';
import type { FlowRow } from './flow-row.ts';

/** GET /api/session: who looks, and at what there is to look. */
export type Session = {
  readonly version: string;
  readonly cluster: string;
  /** Undefined: nobody is asked who they are. */
  readonly user?: string | undefined;
  /** What has to be given before anything is shown. */
  readonly login: 'none' | 'token';
  /** Those with flows, as far as the user may see them. */
  readonly namespaces: readonly string[];
};

/** How complete what is shown is. */
export type StreamState = {
  /** 'reading': the past, not done; 'done': the past; 'broken': see `message`, it is tried again. */
  readonly state: 'live' | 'reading' | 'done' | 'broken';
  readonly message?: string | undefined;
  readonly nodes: number;
  readonly nodesMissing: readonly string[];
  /** Flows that were read for this view, and that are known to be lost. */
  readonly flows: number;
  readonly lost: number;
  /** Flows that came faster than they are shown one by one. */
  readonly skipped: number;
  /** Per second, of this view. */
  readonly rate: number;
  /** The past was too long to be read to its end: it is told until here. */
  readonly partialUntil?: number | undefined;
};

/** GET /api/live: server-sent events; the name of an event is its key here. */
export type LiveEvents = {
  readonly graph: { readonly graph: Graph; readonly seconds: number };
  readonly delta: { readonly delta: GraphDelta; readonly seconds: number };
  readonly histogram: readonly Bucket[];
  /** Newest last. */
  readonly flows: readonly FlowRow[];
  readonly state: StreamState;
  /** This server ends: another is asked in a moment. */
  readonly bye: Record<string, never>;
};

/** GET /api/flows: those before a time, newest first. */
export type FlowPage = {
  readonly rows: readonly FlowRow[];
  /** `before` for the next page; undefined: there are no more. */
  readonly next?: string | undefined;
};

export type VipView = {
  readonly ip: string;
  readonly services: readonly string[];
  readonly policies: readonly string[];
  readonly owner?: string | undefined;
  readonly interfaces: readonly string[];
  readonly macs: readonly string[];
  readonly since?: number | undefined;
  readonly from?: string | undefined;
  readonly why: string;
  readonly reachable: readonly { readonly from: string; readonly found: boolean }[];
  readonly candidates: readonly { readonly node: string; readonly level: 0 | 1 | 2; readonly why?: string | undefined }[];
};
/** GET /api/vips. */
export type Vips = { readonly vips: readonly VipView[]; /** Why they are not known. */ readonly unknown?: string | undefined };

export type NodeHealth = {
  readonly name: string;
  readonly state: 'connected' | 'unavailable' | 'gone' | 'error' | 'unknown';
  readonly version?: string | undefined;
  readonly address?: string | undefined;
  readonly uptimeMs?: number | undefined;
  readonly flows: number;
  readonly capacity: number;
  readonly seen: number;
  readonly tls: boolean;
};
export type Certificate = { readonly of: string; readonly subject: string; readonly notAfter: number };
/** GET /api/health. */
export type Health = {
  readonly server: {
    readonly version: string;
    readonly uptimeMs: number;
    readonly rss: number;
    readonly viewers: number;
    readonly views: number;
  };
  readonly relay: {
    readonly address: string;
    readonly ok: boolean;
    readonly message?: string | undefined;
    readonly version?: string | undefined;
    readonly flowsRate?: number | undefined;
  };
  readonly nodes: readonly NodeHealth[];
  readonly losses: readonly { readonly node: string; readonly source: string; readonly lost: number; readonly last: number }[];
  readonly certificates: readonly Certificate[];
};

/** What comes with any status but 200. */
export type ApiError = { readonly error: string };
