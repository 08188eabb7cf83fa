// SPDX-License-Identifier: Apache-2.0
// How objects leave the server: as themselves, as rows of a Table, or as metadata alone. One place negotiates it from
// the Accept header; get, list and watch then only ask for text.
import { notAcceptable } from './api-error.ts';
import { jsonText } from './json.ts';
import type { KubeObject } from './json.ts';
import { apiVersionOf } from './resources.ts';
import type { Resource } from './resources.ts';
import { metadataOnly, rowsOf } from './tables.ts';
import { inVersion } from './versions.ts';

export type Representation = {
  readonly contentType: string;
  /** The JSON text of one object, as the answer to a get or as a watch event's object. */
  one(object: KubeObject): string;
  /** The JSON text of a list; `meta` is the text of its metadata. */
  many(objects: readonly KubeObject[], meta: string): string;
  /** A bookmark's object. */
  bookmark(metadata: object): string;
};

type Accepted = {
  readonly type: string;
  readonly as: string | undefined;
  readonly group: string | undefined;
  readonly version: string | undefined;
};

const acceptedOf = (header: string | undefined): readonly Accepted[] =>
  (header || '*/*').split(',').map((entry) => {
    const [type = '', ...parameters] = entry.split(';').map((part) => part.trim());
    const value = (name: string): string | undefined =>
      parameters.find((parameter) => parameter.startsWith(`${name}=`))?.slice(name.length + 1);
    return { type: type.toLowerCase(), as: value('as'), group: value('g'), version: value('v') };
  });

const JSON_TYPES = new Set(['application/json', '*/*', 'application/*']);

/** Object, Table or Metadata, by the first entry of the Accept header that can be served. ApiError 406. */
const acceptedShape = (header: string | undefined): 'Object' | 'Table' | 'Metadata' => {
  for (const { type, as, group, version } of acceptedOf(header)) {
    if (!JSON_TYPES.has(type)) continue;
    if (as === undefined) return 'Object';
    if (group !== 'meta.k8s.io' || version !== 'v1') continue;
    if (as === 'Table') return 'Table';
    if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') return 'Metadata';
  }
  throw notAcceptable(['application/json']);
};

/** True when the header asks for the aggregated discovery document in version v2. */
export const acceptsAggregated = (header: string | undefined): boolean =>
  acceptedOf(header).some(
    ({ type, as, group, version }) =>
      type === 'application/json' && as === 'APIGroupDiscoveryList' && group === 'apidiscovery.k8s.io' && version === 'v2',
  );

const table = (resource: Resource, version: string, includeObject: string): Representation => {
  const rows = rowsOf(resource, version, includeObject);
  const text = (meta: string, body: string): string =>
    `{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":${meta},"columnDefinitions":${rows.definitions},"rows":[${body}]}`;
  const row = (object: KubeObject): string => rows.row(object, inVersion(resource, version, object));
  return {
    contentType: 'application/json',
    one: (object) => text(`{"resourceVersion":"${object.metadata.resourceVersion}"}`, row(object)),
    many: (objects, meta) => text(meta, objects.map(row).join(',')),
    bookmark: (metadata) =>
      text(
        JSON.stringify(metadata),
        `{"cells":[],"object":${JSON.stringify({ kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata })}}`,
      ),
  };
};

/** How this request wants the objects of this resource. */
export const representationOf = (
  resource: Resource,
  version: string,
  accept: string | undefined,
  includeObject = 'Metadata',
): Representation => {
  const shape = acceptedShape(accept);
  if (shape === 'Table') return table(resource, version, includeObject);
  const metadata = shape === 'Metadata';
  const one = (object: KubeObject): string => jsonText(metadata ? metadataOnly(object) : inVersion(resource, version, object));
  const apiVersion = metadata ? 'meta.k8s.io/v1' : apiVersionOf(resource, version);
  const kind = metadata ? 'PartialObjectMetadata' : resource.kind;
  return {
    contentType: 'application/json',
    one,
    many: (objects, meta) =>
      `{"kind":"${kind}List","apiVersion":"${apiVersion}","metadata":${meta},"items":[${objects.map(one).join(',')}]}`,
    bookmark: (meta) => JSON.stringify({ kind, apiVersion, metadata: { creationTimestamp: null, ...meta } }), // null: as the real server writes it
  };
};
