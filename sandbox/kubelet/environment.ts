// SPDX-License-Identifier: Apache-2.0
// A container's environment and command line, from its spec. Pure.
import type { Container, EnvVar, Pod } from '../objects.ts';

type Environment = Readonly<Record<string, string>>;

/** What a container may be told about the place where it runs. */
export type Place = {
  readonly hostIps: readonly string[];
  readonly podIps: readonly string[];
  /** What an image would set: where programs are looked for, above all. */
  readonly environment: Environment;
  /** A key of a ConfigMap in the pod's namespace. */
  configValue(configMap: string, key: string): string | undefined;
};

export function environmentOf(pod: Pod, container: Container, place: Place): Environment {
  const environment: Record<string, string> = {
    HOME: '/root',
    ...place.environment,
    HOSTNAME: hostnameOf(pod),
    KUBERNETES_SERVICE_HOST: '10.96.0.1',
    KUBERNETES_SERVICE_PORT: '443',
    KUBERNETES_SERVICE_PORT_HTTPS: '443',
  };
  for (const variable of container.env ?? []) {
    const value = valueOf(variable, pod, place);
    if (value !== undefined) environment[variable.name] = expanded(value, environment);
  }
  return environment;
}

/** The program and its arguments, with $(NAME) replaced. An empty list when the spec names none. */
export const commandOf = (container: Container, environment: Environment): readonly string[] =>
  [...(container.command ?? []), ...(container.args ?? [])].map((word) => expanded(word, environment));

export const hostnameOf = (pod: Pod): string =>
  pod.spec.hostNetwork === true ? (pod.spec.nodeName ?? '') : (pod.spec.hostname ?? pod.metadata.name).slice(0, 63);

function valueOf({ value, valueFrom }: EnvVar, pod: Pod, place: Place): string | undefined {
  if (valueFrom?.fieldRef) return fieldOf(valueFrom.fieldRef.fieldPath, pod, place);
  if (valueFrom?.configMapKeyRef) return place.configValue(valueFrom.configMapKeyRef.name, valueFrom.configMapKeyRef.key);
  return value ?? '';
}

function fieldOf(path: string, pod: Pod, place: Place): string | undefined {
  const entry = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (entry) return pod.metadata[entry[1] as 'labels' | 'annotations']?.[entry[2] ?? ''] ?? ''; // as: the pattern says so
  const fields: Record<string, string | undefined> = {
    'metadata.name': pod.metadata.name,
    'metadata.namespace': pod.metadata.namespace,
    'metadata.uid': pod.metadata.uid,
    'spec.nodeName': pod.spec.nodeName,
    'spec.serviceAccountName': pod.spec.serviceAccountName ?? 'default',
    'status.podIP': place.podIps[0],
    'status.podIPs': place.podIps.join(','),
    'status.hostIP': place.hostIps[0],
    'status.hostIPs': place.hostIps.join(','),
  };
  return fields[path];
}

/** $(NAME) becomes the variable's value, $$ a dollar; what is not known stays as it is. */
const expanded = (text: string, environment: Environment): string =>
  text.replaceAll(/\$\$|\$\(([\w.-]+)\)/g, (whole, name: string | undefined) => (name === undefined ? '$' : (environment[name] ?? whole)));
