// SPDX-License-Identifier: Apache-2.0
// Names, the API from inside, and what nodes must and must not have programmed.
import type { Check, CheckContext } from './check.ts';
import { expect } from './check.ts';
import { CLUSTER } from '../layout.ts';
import { kubectlIn } from '../kubectl.ts';
import { run } from '../run.ts';
import { NODE_NAMES } from './places.ts';
import { httpGet } from './traffic.ts';

const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

async function resolves(context: CheckContext, name: string, wanted: readonly string[]): Promise<void> {
  const ran = await context.places.client.run(['getent', 'ahosts', name]);
  const found = [...new Set(ran.stdout.split('\n').map((line) => line.split(' ')[0] ?? ''))].filter(Boolean);
  expect(
    found.toSorted().join() === wanted.toSorted().join(),
    `${name} is ${found.join(', ') || 'unknown'} in a pod, wanted ${wanted.join(', ')}`,
  );
}

/** Lines of a packet filter that have to do with services. */
const serviceRules = (text: string): readonly string[] =>
  text.split('\n').filter((line) => /KUBE-|kube-proxy|DNAT|dnat|10\.96\.|fd00:10:96:/.test(line));

const FILTERS: readonly (readonly string[])[] = [
  ['nft', 'list', 'ruleset'],
  ['iptables-save'],
  ['ip6tables-save'],
  ['iptables-legacy-save'],
  ['ip6tables-legacy-save'],
];

async function noServiceRules({ cluster }: CheckContext): Promise<string> {
  const asked = new Set<string>();
  for (const node of cluster.nodes) {
    for (const command of FILTERS) {
      const ran = await run(node.enter(command));
      if (ran.code !== 0) continue; // not installed
      asked.add(command[0] ?? '');
      const [rule] = serviceRules(ran.stdout);
      expect(rule === undefined, `${node.name} has the rule '${rule?.trim()}' in ${command.join(' ')}`);
    }
  }
  return asked.size === 0 ? 'no packet filter is installed' : `asked ${[...asked].join(', ')}`;
}

/** Runs a command in each agent through the API, as kubectl exec does. */
async function inEachAgent({ cluster }: CheckContext, command: readonly string[], isGood: (output: string) => boolean): Promise<undefined> {
  const names = cluster.store
    .list('pods', { namespace: 'kube-system', labelSelector: 'k8s-app=cilium' })
    .map(({ metadata }) => metadata.name);
  expect(names.length === NODE_NAMES.length, `There are ${names.length} agents, wanted ${NODE_NAMES.length}`);
  for (const name of names) {
    const ran = await run([
      kubectlIn(cluster.layout.checkout),
      '--kubeconfig',
      cluster.kubeconfig,
      '-n',
      'kube-system',
      'exec',
      name,
      '--',
      ...command,
    ]);
    expect(
      ran.code === 0 && isGood(ran.stdout),
      `'${command.join(' ')}' in ${name}: exit code ${ran.code}, ${(ran.stdout + ran.stderr).trim()}`,
    );
  }
  return undefined;
}

export const stateChecks: readonly Check[] = [
  {
    name: 'Names of services resolve in a pod, through the cluster DNS',
    needs: 'services',
    run: async (context) => {
      const echo = context.places.serviceIps('echo');
      for (const name of ['echo', 'echo.checks', `echo.checks.svc.${CLUSTER.domain}`]) await resolves(context, name, echo);
      await resolves(context, 'kubernetes.default', [CLUSTER.kubernetesIps[0]]);
      await resolves(context, 'nobody-of-that-name', []);
      await httpGet(context.places.client, 'http://echo/');
      return undefined;
    },
  },
  // covers: api-server
  {
    name: 'The API answers a pod at https://kubernetes.default',
    needs: 'services',
    run: async ({ places }) => {
      const script = `curl --silent --show-error --max-time 5 --cacert ${ACCOUNT}/ca.crt --header "Authorization: Bearer $(cat ${ACCOUNT}/token)" https://kubernetes.default/version`;
      const ran = await places.client.run(['sh', '-c', script], 8_000);
      expect(ran.stdout.includes('gitVersion'), `The API did not answer: ${(ran.stderr || ran.stdout).trim()}`);
      return undefined;
    },
  },
  {
    name: 'The demo shop serves a page that takes all of its services',
    needs: 'services',
    run: async ({ places }) => {
      const ran = await places.client.run(['curl', '--silent', '--show-error', '--max-time', '4', 'http://frontend.shop/']);
      for (const part of ['amphora, lyre', 'amphora x 2', 'pay 3 confirmed'])
        expect(ran.stdout.includes(part), `The page lacks '${part}': ${(ran.stdout || ran.stderr).trim()}`);
      return undefined;
    },
  },
  { name: 'No node has a service rule in nftables or iptables', needs: 'pods', run: noServiceRules },
  {
    name: 'cilium status --brief says OK on every node',
    needs: 'agent',
    run: (context) => inEachAgent(context, ['cilium', 'status', '--brief'], (output) => output.trim() === 'OK'),
  },
  {
    name: 'stentor maps --diff finds no difference on any node',
    needs: 'agent',
    run: (context) => inEachAgent(context, ['stentor', 'maps', '--diff'], (output) => output.trim() === ''),
  },
];
