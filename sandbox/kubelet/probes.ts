// SPDX-License-Identifier: Apache-2.0
// Startup, readiness and liveness probes of one container. HTTP and TCP go out from the node, as a kubelet's do.
import type { SandboxNode } from '../node.ts';
import type { Container, Probe } from '../objects.ts';
import { run } from '../run.ts';
import { pause } from '../until.ts';
import type { ContainerProcess } from './process.ts';

export type ProbeContext = {
  readonly node: SandboxNode;
  readonly container: Container;
  readonly process: ContainerProcess;
  /** Where httpGet and tcpSocket go when they name no host. */
  readonly podIp: string;
  readonly onStarted: () => void;
  readonly onReady: (ready: boolean) => void;
  /** The kind of probe and what it saw. */
  readonly onFailure: (kind: string, message: string) => void;
  /** The container must be restarted. */
  readonly onDead: (kind: string) => void;
};

/** Runs the probes of one run of a container until the signal aborts. */
export async function runProbes(context: ProbeContext, signal: AbortSignal): Promise<void> {
  const { startupProbe, readinessProbe, livenessProbe } = context.container;
  if (startupProbe && !(await started(context, startupProbe, signal))) return;
  if (signal.aborted) return;
  context.onStarted();
  if (!readinessProbe) context.onReady(true);
  await Promise.all([
    readinessProbe && watch(context, readinessProbe, { kind: 'Readiness', signal, onChange: context.onReady }),
    livenessProbe && watch(context, livenessProbe, { kind: 'Liveness', signal, onChange: (alive) => alive || context.onDead('Liveness') }),
  ]);
}

/** A process cannot answer in the moment it is born: asking then would only make the pod ready a whole period later. */
const BIRTH_MS = 300;
const periodMs = (probe: Probe): number => (probe.periodSeconds ?? 10) * 1_000;

async function started(context: ProbeContext, probe: Probe, signal: AbortSignal): Promise<boolean> {
  await pause((probe.initialDelaySeconds ?? 0) * 1_000 || BIRTH_MS, signal);
  for (let failures = 0; !signal.aborted;) {
    const failure = await probeOnce(context, probe);
    if (failure === undefined) return true;
    context.onFailure('Startup', failure);
    if (++failures >= (probe.failureThreshold ?? 3)) {
      if (!signal.aborted) context.onDead('Startup');
      return false;
    }
    await pause(periodMs(probe), signal);
  }
  return false;
}

type Watch = { readonly kind: string; readonly signal: AbortSignal; readonly onChange: (good: boolean) => void };

/** Calls `onChange` when the threshold of successes or failures in a row is reached. */
async function watch(context: ProbeContext, probe: Probe, { kind, signal, onChange }: Watch): Promise<void> {
  await pause((probe.initialDelaySeconds ?? 0) * 1_000, signal);
  let good = 0;
  let bad = 0;
  while (!signal.aborted) {
    const failure = await probeOnce(context, probe);
    if (signal.aborted) return;
    good = failure === undefined ? good + 1 : 0;
    bad = failure === undefined ? 0 : bad + 1;
    if (failure !== undefined) context.onFailure(kind, failure);
    if (good === (probe.successThreshold ?? 1)) onChange(true);
    if (bad === (probe.failureThreshold ?? 3)) onChange(false);
    await pause(periodMs(probe), signal);
  }
}

/** Undefined when all is well, else what was seen. */
async function probeOnce({ node, container, process, podIp }: ProbeContext, probe: Probe): Promise<string | undefined> {
  const seconds = `${probe.timeoutSeconds ?? 1}`;
  const timeoutMs = (probe.timeoutSeconds ?? 1) * 1_000 + 500;
  if (probe.exec) {
    const ran = await run(process.enter(probe.exec.command), { env: process.environment, timeoutMs });
    return ran.code === 0 ? undefined : `exit code ${ran.code}: ${(ran.stderr || ran.stdout).trim()}`;
  }
  if (probe.httpGet) {
    const { scheme = 'HTTP', host = podIp, path = '/', port } = probe.httpGet;
    const url = `${scheme.toLowerCase()}://${bracketed(host)}:${portOf(port, container)}${path}`;
    const curl = [
      'curl',
      '--silent',
      '--insecure',
      '--globoff',
      '--output',
      '/dev/null',
      '--max-time',
      seconds,
      '--write-out',
      '%{http_code} %{errormsg}',
      url,
    ];
    const [code = '', ...error] = (await run(node.enter(curl, ['--net']), { timeoutMs })).stdout.split(' ');
    if (/^[23]/.test(code)) return undefined;
    return code === '000' ? `Get "${url}": ${error.join(' ')}` : `HTTP probe failed with statuscode: ${code}`;
  }
  if (probe.tcpSocket) {
    const { host = podIp, port } = probe.tcpSocket;
    const address = `TCP:${bracketed(host)}:${portOf(port, container)},connect-timeout=${seconds}`;
    const ran = await run(node.enter(['socat', '-u', '/dev/null', address], ['--net']), { timeoutMs });
    return ran.code === 0 ? undefined : ran.stderr.trim();
  }
  return undefined;
}

const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host);

function portOf(port: number | string, container: Container): number | string {
  if (typeof port === 'number') return port;
  return container.ports?.find(({ name }) => name === port)?.containerPort ?? port;
}
