// SPDX-License-Identifier: Apache-2.0
// What pods, and the workloads that make them, refuse.
import { isDeepStrictEqual } from 'node:util';
import type { StatusCause } from './api-error.ts';
import { immutable, oneOf, portRange, PROTOCOLS } from './checks.ts';
import type { Check } from './checks.ts';
import type { Json } from './json.ts';
import { duplicateField, forbiddenField, invalidField, isDnsLabel, requiredField } from './names.ts';
import { labelPredicate, selectorText } from './selectors.ts';

const containers = (list: Json, at: string, causes: StatusCause[]): void => {
  const names = new Set<string>();
  for (const [index, container] of (list ?? []).entries()) {
    const field = `${at}[${index}]`;
    if (!container.name) causes.push(requiredField(`${field}.name`));
    else if (!isDnsLabel(container.name))
      causes.push(invalidField(`${field}.name`, container.name, 'a lowercase RFC 1123 label is wanted'));
    if (names.has(container.name)) causes.push(duplicateField(`${field}.name`, container.name));
    names.add(container.name);
    if (!container.image) causes.push(requiredField(`${field}.image`));
    for (const [nth, port] of (container.ports ?? []).entries()) {
      portRange(causes, `${field}.ports[${nth}].containerPort`, port.containerPort);
      oneOf(causes, `${field}.ports[${nth}].protocol`, port.protocol, PROTOCOLS);
    }
    for (const [nth, env] of (container.env ?? []).entries()) if (!env.name) causes.push(requiredField(`${field}.env[${nth}].name`));
    for (const [nth, mount] of (container.volumeMounts ?? []).entries())
      if (!mount.mountPath) causes.push(requiredField(`${field}.volumeMounts[${nth}].mountPath`));
  }
};

const podSpec = (spec: Json, at: string, causes: StatusCause[]): void => {
  if (!spec?.containers?.length) return void causes.push(requiredField(`${at}.containers`));
  containers(spec.containers, `${at}.containers`, causes);
  containers(spec.initContainers, `${at}.initContainers`, causes);
  oneOf(causes, `${at}.restartPolicy`, spec.restartPolicy, ['Always', 'OnFailure', 'Never']);
  oneOf(causes, `${at}.dnsPolicy`, spec.dnsPolicy, ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None']);
  const volumes = new Set((spec.volumes ?? []).map((volume: Json) => volume.name));
  for (const kind of ['containers', 'initContainers'])
    for (const [index, container] of (spec[kind] ?? []).entries())
      for (const [nth, mount] of (container.volumeMounts ?? []).entries())
        if (!volumes.has(mount.name))
          causes.push({
            reason: 'FieldValueNotFound',
            message: `Not found: "${mount.name}"`,
            field: `${at}.${kind}[${index}].volumeMounts[${nth}].name`,
          });
};

/** A pod's spec without what may change after creation. */
const fixedPodSpec = (spec: Json): Json => {
  const {
    activeDeadlineSeconds: _a,
    tolerations: _b,
    terminationGracePeriodSeconds: _c,
    schedulingGates: _d,
    ephemeralContainers: _e,
    nodeName: _f,
    ...rest
  } = spec;
  const withoutImage = (container: Json): Json => ({ ...container, image: undefined, resources: undefined });
  return { ...rest, containers: spec.containers?.map(withoutImage), initContainers: spec.initContainers?.map(withoutImage) };
};

export const pod: Check = ({ spec }, old, causes) => {
  podSpec(spec, 'spec', causes);
  if (!old || causes.length > 0) return;
  const moved = old.spec.nodeName !== undefined && old.spec.nodeName !== spec.nodeName;
  if (moved || !isDeepStrictEqual(fixedPodSpec(spec), fixedPodSpec(old.spec)))
    causes.push(
      forbiddenField(
        'spec',
        'pod updates may not change fields other than `spec.containers[*].image`, `spec.initContainers[*].image`, `spec.activeDeadlineSeconds`, `spec.tolerations` (only additions to existing tolerations), `spec.terminationGracePeriodSeconds`',
      ),
    );
};

export const workload: Check = ({ spec }, old, causes) => {
  if (!spec) return void causes.push(requiredField('spec'));
  if (spec.replicas < 0) causes.push(invalidField('spec.replicas', spec.replicas, 'must be greater than or equal to 0'));
  if (!spec.template) return void causes.push(requiredField('spec.template'));
  const text = selectorText(spec.selector);
  if (!spec.selector) causes.push(requiredField('spec.selector'));
  else if (text === '') causes.push(invalidField('spec.selector', spec.selector, 'empty selector is invalid for deployment'));
  else if (labelPredicate(text)?.({ ...spec.template, metadata: spec.template.metadata ?? {} }) === false)
    causes.push(
      invalidField('spec.template.metadata.labels', spec.template.metadata?.labels ?? {}, '`selector` does not match template `labels`'),
    );
  podSpec(spec.template.spec, 'spec.template.spec', causes);
  if (spec.template.spec?.restartPolicy !== undefined)
    oneOf(causes, 'spec.template.spec.restartPolicy', spec.template.spec.restartPolicy, ['Always']);
  if (old) immutable(causes, 'spec.selector', spec.selector, old.spec.selector);
};
