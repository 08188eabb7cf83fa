// SPDX-License-Identifier: Apache-2.0
// OpenAPI v3, as much as clients read: which requests know which parameters, and the fields of each kind (from the
// shapes of built-in kinds and the schemas of custom ones). Strategic merge is not advertised: kubectl then uses the
// merge keys that it was built with.
import { groupVersions } from './discovery.ts';
import type { Json } from './json.ts';
import type { Registry, Resource } from './resources.ts';
import { shapeOf } from './shapes.ts';
import type { FieldType } from './shapes.ts';

const pathOf = (group: string, version: string): string => (group === '' ? `api/${version}` : `apis/${group}/${version}`);

/** /openapi/v3 */
export const openapiIndex = (registry: Registry): Json => ({
  paths: Object.fromEntries(
    groupVersions(registry).map(({ group, version }) => {
      const path = pathOf(group, version);
      return [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${registry.revision()}` }];
    }),
  ),
});

const scalarSchema: Readonly<Record<string, Json>> = {
  string: { type: 'string' },
  time: { type: 'string', format: 'date-time' },
  bytes: { type: 'string', format: 'byte' },
  int: { type: 'integer', format: 'int64' },
  number: { type: 'number' },
  bool: { type: 'boolean' },
  intstr: { format: 'int-or-string', oneOf: [{ type: 'integer' }, { type: 'string' }] },
  quantity: { oneOf: [{ type: 'string' }, { type: 'number' }] },
  any: { type: 'object' },
};

const schemaOf = (type: FieldType, schemas: Record<string, Json>): Json => {
  if (type.kind === 'scalar') return scalarSchema[type.name];
  if (type.kind === 'mapOf') return { type: 'object', additionalProperties: schemaOf(type.value, schemas) };
  if (type.kind === 'list') {
    const keys =
      type.merge.kind === 'map'
        ? { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': type.merge.keys }
        : { 'x-kubernetes-list-type': type.merge.kind };
    return { type: 'array', items: schemaOf(type.of, schemas), ...keys };
  }
  if (!schemas[type.name]) {
    schemas[type.name] = {};
    schemas[type.name] = {
      type: 'object',
      properties: Object.fromEntries([...type.fields].map(([name, field]) => [name, schemaOf(field, schemas)])),
    };
  }
  return { allOf: [{ $ref: `#/components/schemas/${type.name}` }] };
};

const kindSchema = (resource: Resource, version: string, schemas: Record<string, Json>): Json => {
  const custom = resource.custom?.get(version);
  if (custom) return custom.schema;
  const shape = shapeOf(resource);
  if (!shape) return { type: 'object' };
  return { type: 'object', properties: Object.fromEntries([...shape.fields].map(([name, field]) => [name, schemaOf(field, schemas)])) };
};

const parameter = (name: string, type = 'string'): Json => ({ name, in: 'query', schema: { type, uniqueItems: true } });
const WRITE = [parameter('dryRun'), parameter('fieldManager'), parameter('fieldValidation'), parameter('force', 'boolean')];

/** /openapi/v3/api/v1 and /openapi/v3/apis/GROUP/VERSION; undefined when it is not served. */
export const openapiDocument = (registry: Registry, group: string, version: string): Json => {
  const entry = groupVersions(registry).find((one) => one.group === group && one.version === version);
  if (!entry) return undefined;
  const schemas: Record<string, Json> = {};
  const paths: Record<string, Json> = {};
  for (const resource of entry.resources) {
    const gvk = { group, version, kind: resource.kind };
    const name = `${group || 'core'}.${version}.${resource.kind}`;
    schemas[name] = { ...kindSchema(resource, version, schemas), 'x-kubernetes-group-version-kind': [gvk] };
    const body = { description: 'OK', content: { 'application/json': { schema: { $ref: `#/components/schemas/${name}` } } } };
    const operation = (action: string): Json => ({
      parameters: WRITE,
      responses: { 200: body },
      'x-kubernetes-action': action,
      'x-kubernetes-group-version-kind': gvk,
    });
    const base = `/${pathOf(group, version)}/${resource.namespaced ? 'namespaces/{namespace}/' : ''}${resource.plural}`;
    paths[base] = { get: operation('list'), post: operation('post') };
    if (!resource.createOnly)
      paths[`${base}/{name}`] = { get: operation('get'), put: operation('put'), patch: operation('patch'), delete: operation('delete') };
  }
  return { openapi: '3.0.0', info: { title: 'Kubernetes', version: 'sandbox' }, paths, components: { schemas } };
};

/** What asks for /openapi/v2 in protobuf. */
export const OPENAPI_V2_PROTOBUF = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';

/**
 * /openapi/v2: an empty document. kubectl falls back to it for kinds that v3 does not describe, finds nothing, and can
 * then say that the kind has no definition yet.
 */
export const openapiV2 = { swagger: '2.0', info: { title: 'Kubernetes', version: 'sandbox' }, paths: {}, definitions: {} } as const;

const field = (number: number, text: string): Buffer =>
  Buffer.concat([Buffer.of((number << 3) | 2, text.length), Buffer.from(text, 'latin1')]); // texts shorter than 128

/** The same in protobuf: 1 swagger, 2 info { 1 title, 2 version }, 8 paths. */
export const openapiV2Protobuf = Buffer.concat([
  field(1, openapiV2.swagger),
  field(2, Buffer.concat([field(1, openapiV2.info.title), field(2, openapiV2.info.version)]).toString('latin1')),
  field(8, ''),
]);
