// SPDX-License-Identifier: Apache-2.0
// A CustomResourceDefinition becomes a served resource: what it must say, what its status says back, and the registry's row.
import { isRecord } from './json.ts';
import type { Json, KubeObject } from './json.ts';
import type { StatusCause } from './api-error.ts';
import { invalidField, isDnsLabel, isDnsSubdomain, requiredField, unsupportedField } from './names.ts';
import type { CustomVersion, Registry, Resource } from './resources.ts';
import { schemaProblem } from './structural-schema.ts';
import { timestamp } from './time.ts';

export const CRD = 'customresourcedefinitions.apiextensions.k8s.io';

const versionCauses = (version: Json, at: string): StatusCause[] => {
  const schema = version.schema?.openAPIV3Schema;
  if (!isDnsLabel(version.name)) return [invalidField(`${at}.name`, version.name, 'a DNS-1035 label is wanted')];
  if (!isRecord(schema)) return [requiredField(`${at}.schema.openAPIV3Schema`, 'schemas are required')];
  if (schema['type'] !== 'object') return [invalidField(`${at}.schema.openAPIV3Schema.type`, schema['type'], 'must be object at the root')];
  const problem = schemaProblem(schema);
  return problem === undefined ? [] : [invalidField(`${at}.schema.openAPIV3Schema`, 'schema', problem)];
};

/** The complaints about a definition. */
export const definitionCauses = (object: Json): StatusCause[] => {
  const { spec, metadata } = object;
  if (!isRecord(spec)) return [requiredField('spec')];
  const versions: readonly Json[] = spec['versions'] ?? [];
  const names = spec['names'] ?? {};
  const causes: StatusCause[] = [];
  if (!isDnsSubdomain(spec['group']) || !String(spec['group']).includes('.'))
    causes.push(invalidField('spec.group', spec['group'], 'should be a domain with at least one dot'));
  if (!isDnsLabel(names.plural))
    causes.push(
      names.plural ? invalidField('spec.names.plural', names.plural, 'a DNS-1035 label is wanted') : requiredField('spec.names.plural'),
    );
  if (!names.kind) causes.push(requiredField('spec.names.kind'));
  if (metadata.name !== `${names.plural}.${spec['group']}`)
    causes.push(invalidField('metadata.name', metadata.name, 'must be spec.names.plural+"."+spec.group'));
  if (spec['scope'] !== 'Cluster' && spec['scope'] !== 'Namespaced')
    causes.push(spec['scope'] ? unsupportedField('spec.scope', spec['scope'], ['Cluster', 'Namespaced']) : requiredField('spec.scope'));
  if (spec['conversion']?.strategy !== 'None')
    causes.push(unsupportedField('spec.conversion.strategy', spec['conversion']?.strategy, ['None']));
  if (versions.filter((version) => version.storage).length !== 1)
    causes.push(
      invalidField(
        'spec.versions',
        versions.map(({ name }) => name),
        'must have exactly one version marked as storage version',
      ),
    );
  return [...causes, ...versions.flatMap((version, index) => versionCauses(version, `spec.versions[${index}]`))];
};

/** v2 before v1 before v1beta2 before v1beta1 before v1alpha1 before anything else. */
export const byPriority = (a: string, b: string): number => {
  const rank = (version: string): readonly number[] => {
    const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
    if (!match) return [0, 0, 0];
    return [match[2] === undefined ? 3 : match[2] === 'beta' ? 2 : 1, Number(match[1]), Number(match[3] ?? 0)];
  };
  const [left, right] = [rank(a), rank(b)];
  for (const [index, value] of left.entries()) if (value !== right[index]) return (right[index] ?? 0) - value;
  return a < b ? -1 : 1;
};

/** The status of a definition that is accepted as it stands. */
export const definitionStatus = (object: Json, old: Json): Json => {
  const storage = object.spec.versions.find((version: Json) => version.storage)?.name;
  const stored: readonly string[] = old?.status?.storedVersions ?? [];
  const condition = (type: string, reason: string, message: string): Json =>
    old?.status?.conditions?.find((known: Json) => known.type === type) ?? {
      type,
      status: 'True',
      lastTransitionTime: timestamp(),
      reason,
      message,
    };
  return {
    acceptedNames: object.spec.names,
    conditions: [
      condition('NamesAccepted', 'NoConflicts', 'no conflicts found'),
      condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted'),
    ],
    storedVersions: stored.includes(storage) ? stored : [...stored, storage],
  };
};

const customVersion = (version: Json): CustomVersion => {
  const scale = version.subresources?.scale;
  return {
    schema: version.schema.openAPIV3Schema,
    columns: version.additionalPrinterColumns,
    status: version.subresources?.status !== undefined,
    scale: scale && { spec: scale.specReplicasPath, status: scale.statusReplicasPath, selector: scale.labelSelectorPath },
  };
};

/** The row of the registry for a stored definition. */
const resourceOf = (definition: KubeObject): Resource => {
  const { group, names, scope, versions } = definition['spec'];
  const served = versions.filter((version: Json) => version.served);
  const storage = versions.find((version: Json) => version.storage);
  const preferred = served.map((version: Json) => version.name).sort(byPriority);
  return {
    id: definition.metadata.name,
    group,
    plural: names.plural,
    singular: names.singular,
    kind: names.kind,
    shortNames: names.shortNames ?? [],
    categories: names.categories ?? [],
    namespaced: scope === 'Namespaced',
    versions: preferred,
    storageVersion: storage.name,
    status: storage.subresources?.status !== undefined,
    scale: customVersion(storage).scale,
    generation: true,
    createOnly: false,
    viewOf: undefined,
    custom: new Map(versions.map((version: Json) => [version.name, customVersion(version)])),
  };
};

/** Keeps the registry equal to the stored definitions: call after each write of one. */
export const register = (registry: Registry, definition: KubeObject): void => registry.put(resourceOf(definition));
