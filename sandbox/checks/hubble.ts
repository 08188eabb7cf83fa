// SPDX-License-Identifier: Apache-2.0
// Flows as users see them: the commands of the seed as they are typed, and the metrics of the seed's list.
import { kubectlIn } from '../kubectl.ts';
import { run } from '../run.ts';
import { until } from '../until.ts';
import { expect, ofFamily } from './check.ts';
import type { Check, CheckContext } from './check.ts';
import { NAMESPACE, NODE_NAMES } from './places.ts';
import { httpGet, ping, url } from './traffic.ts';

const PATIENCE_MS = 15_000;
const COMMAND_MS = 30_000;

/** What a user types, in a shell; `then` is what its lines go through. */
async function hubble({ cluster }: CheckContext, words: string, then = '') {
  const kubectl = kubectlIn(cluster.layout.checkout);
  const typed = `timeout --signal=INT ${COMMAND_MS / 1000} '${kubectl}' -n kube-system exec ds/cilium -- hubble ${words}${then}`;
  return run(['sh', '-c', typed], { timeoutMs: COMMAND_MS + 5_000, env: { ...process.env, KUBECONFIG: cluster.kubeconfig } });
}

/** An answer to the client is a line while the command goes on; the first ends it. */
async function follows(context: CheckContext): Promise<string> {
  const { client, serviceIps } = context.places;
  const address = ofFamily(serviceIps('echo'), 'IPv4');
  const over = new AbortController();
  const traffic = (async () => {
    while (!over.signal.aborted) await httpGet(client, url(address, 80)).catch(() => undefined); // its line is what is asked for
  })();
  const wanted = `${NAMESPACE}/client:.* <- .* FORWARDED \\(TCP Flags: SYN, ACK\\)$`;
  const { stdout, stderr } = await hubble(context, 'observe --follow', ` | grep -E -m 1 '${wanted}'`);
  over.abort();
  await traffic;
  expect(stdout.trim() !== '', `No answer to ${client.name} within ${COMMAND_MS / 1000} s: ${stderr}`);
  return stdout.trim();
}

/** The namespace of the seed's gateway; that of the checks has flows that it just made, and no others. */
async function ofNamespace(context: CheckContext): Promise<string> {
  const none = await hubble(context, 'observe --namespace networking');
  expect(none.code === 0, `observe --namespace networking: exit code ${none.code}, ${none.stderr}`);
  await httpGet(context.places.client, url(ofFamily(context.places.serviceIps('echo'), 'IPv4'), 80));
  const some = await hubble(context, `observe --namespace ${NAMESPACE} -o json`);
  const flows = some.stdout.split('\n').filter((line) => line.startsWith('{"flow"'));
  expect(
    flows.length > 0 && flows.length <= 20,
    `observe --namespace ${NAMESPACE} shows ${flows.length} flows, wanted some and at most 20: ${some.stderr}`,
  );
  const foreign = flows.find((line) => !line.includes(`"namespace":"${NAMESPACE}"`));
  expect(foreign === undefined, `observe --namespace ${NAMESPACE} shows ${foreign}`);
  return `${flows.length} flows of ${NAMESPACE}, ${none.stdout.split('\n').length - 1} of networking`;
}

async function ofDns(context: CheckContext): Promise<undefined> {
  const ran = await hubble(context, 'observe --protocol dns');
  expect(ran.code === 0, `observe --protocol dns: exit code ${ran.code}, ${ran.stderr}`);
  const other = ran.stdout.split('\n').find((line) => line !== '' && !/ dns-| EVENTS LOST: /.test(line));
  expect(other === undefined, `observe --protocol dns shows ${other}`);
  return undefined;
}

/** Every node counts what its pods do, under the names of the seed's list. */
async function counts({ places, signal }: CheckContext): Promise<string> {
  const address = ofFamily(places.serviceIps('echo'), 'IPv4');
  const page = async (node: string) =>
    (await places.outsider.run(['curl', '--silent', '--max-time', '3', url(ofFamily(places.node(node).ips, 'IPv4'), 9965, '/metrics')]))
      .stdout;
  const wanted = [
    'hubble_flows_processed_total{',
    'hubble_tcp_flags_total{flag="SYN",family="IPv4"}',
    'hubble_port_distribution_total{protocol="TCP"',
    'hubble_lost_events_total{',
  ];
  for (const node of NODE_NAMES)
    await until(
      `${node} to count flows`,
      PATIENCE_MS,
      async () => {
        await httpGet(places.client, url(address, 80));
        await ping(places.client, ofFamily(places.echoOn(node).ips, 'IPv4'));
        const text = await page(node);
        return wanted.every((line) => text.includes(`\n${line}`)) && text.includes('\nhubble_icmp_total{family="IPv4",type="EchoRequest"}');
      },
      signal,
    );
  return `${(await page('node1')).split('\n').filter((line) => line.startsWith('hubble_')).length} series on node1`;
}

export const hubbleChecks: readonly Check[] = [
  { name: "The seed's hubble observe --follow shows who connects to whom", needs: 'agent', run: follows },
  { name: "The seed's hubble observe --namespace shows flows of that namespace only", needs: 'agent', run: ofNamespace },
  { name: "The seed's hubble observe --protocol dns shows nothing else", needs: 'agent', run: ofDns },
  { name: "The metrics of flows in the seed's list are at port 9965 of every node", needs: 'agent', run: counts },
];
