// SPDX-License-Identifier: Apache-2.0
// The relay has the flows of all nodes, and agents give them to nobody else.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Json } from '../api/json.ts';
import { NODES } from '../layout.ts';
import { podsIn } from '../objects.ts';
import { until } from '../until.ts';
import { expect } from './check.ts';
import type { Check, CheckContext } from './check.ts';
import { podPlace } from './places.ts';
import type { Place } from './places.ts';

const PATIENCE_MS = 60_000;
const PORT = 4244;

const relayPod = ({ cluster }: CheckContext): Place =>
  podPlace(cluster, podsIn(cluster.store, { namespace: 'kube-system', labelSelector: 'k8s-app=hubble-relay' })[0], 'hubble-relay');

/** What `hubble` prints, asked of the relay where it runs. */
async function hubble(context: CheckContext, ...args: readonly string[]): Promise<string> {
  const { stdout, stderr, code } = await relayPod(context).run(['hubble', ...args, '--server', '127.0.0.1:4245'], 20_000);
  expect(code === 0, `hubble ${args.join(' ')} failed: ${stderr.trim()}`);
  return stdout;
}

async function hasAll(context: CheckContext): Promise<string> {
  const names = NODES.map(({ name }) => name);
  let flows: readonly Json[] = [];
  await until(
    'flows of all nodes at the relay',
    PATIENCE_MS,
    async () => {
      flows = (await hubble(context, 'observe', '--last', '2000', '-o', 'jsonpb'))
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line));
      flows = flows.filter(({ flow }) => flow !== undefined);
      return names.every((name) => flows.some(({ node_name }) => String(node_name).endsWith(`/${name}`)));
    },
    context.signal,
  );
  // as many digits for each, so that they compare as text
  const times = flows.map(({ time }) => String(time).replace(/(?:\.(\d+))?Z$/, (_, digits = '') => `.${String(digits).padEnd(9, '0')}`));
  const late = times.findIndex((time, index) => index > 0 && time < (times[index - 1] ?? ''));
  expect(late < 0, `Flow ${late} of ${flows.length} is older than the one before it`);
  const nodes = await hubble(context, 'list', 'nodes');
  for (const { name } of NODES)
    expect(new RegExp(`^(?:\\S+/)?${name} +Connected `, 'm').test(nodes), `${name} is not connected: ${nodes.trim()}`);
  return `${flows.length} flows in their order`;
}

/** A relay is let in by its certificate; without one nobody is, with or without TLS. What is let in is no gRPC, and told so. */
async function letsNobodyElseIn({ cluster, places: { outsider } }: CheckContext): Promise<string> {
  const [node] = NODES;
  const folder = await mkdtemp(join(tmpdir(), 'stentor-relay-'));
  const status = async (scheme: string, ...more: readonly string[]) => {
    const quiet = ['--silent', '--insecure', '--max-time', '5', '--output', '/dev/null', '--write-out', '%{http_code}'];
    const url = `${scheme}://${node?.ipv4 ?? ''}:${PORT}/observer.Observer/GetFlows`;
    return (await outsider.run(['curl', '--http2-prior-knowledge', ...quiet, ...more, url], 10_000)).stdout;
  };
  try {
    const { data }: Json = cluster.store.get('secrets', { namespace: 'kube-system', name: 'hubble-relay-client-certs' });
    const [cert, key] = [join(folder, 'tls.crt'), join(folder, 'tls.key')];
    await writeFile(cert, Buffer.from(String(data['tls.crt']), 'base64'));
    await writeFile(key, Buffer.from(String(data['tls.key']), 'base64'), { mode: 0o600 });
    const [plain, stranger, relay] = [await status('http'), await status('https'), await status('https', '--cert', cert, '--key', key)];
    expect(plain === '000' && stranger === '000', `Who has no certificate is answered with ${plain}, and with ${stranger} over TLS`);
    expect(relay === '415', `Who has the relay's certificate is answered with ${relay}, wanted 415`);
    return 'nothing without, HTTP status 415 with the certificate of the relay';
  } finally {
    await rm(folder, { recursive: true });
  }
}

export const flowChecks: readonly Check[] = [
  { name: 'Flows of all nodes through the relay', needs: 'agent', run: hasAll },
  { name: 'Flows are for nobody who has no certificate', needs: 'agent', run: letsNobodyElseIn },
];
