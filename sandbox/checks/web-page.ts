// SPDX-License-Identifier: Apache-2.0
// The web page is there, from inside of the cluster and for the browser of this machine, and shows what goes on.
import type { Pod } from '../objects.ts';
import { podsIn } from '../objects.ts';
import { until } from '../until.ts';
import { webPage } from '../web-page.ts';
import { expect } from './check.ts';
import type { Check, CheckContext } from './check.ts';

const PATIENCE_MS = 60_000;
const PAGE = 'http://hubble-ui.kube-system';

const replicas = ({ cluster }: CheckContext): readonly Pod[] =>
  podsIn(cluster.store, { namespace: 'kube-system', labelSelector: 'k8s-app=hubble-ui' });

async function answer({ places }: CheckContext, url: string, seconds = 3): Promise<string> {
  const ran = await places.client.run(
    ['curl', '--silent', '--show-error', '--max-time', `${seconds}`, '--globoff', url],
    (seconds + 2) * 1000,
  );
  const isStream = url.includes('/api/live'); // which does not end by itself
  expect(ran.code === 0 || (isStream && ran.code === 28), `${url}: ${ran.stderr.trim()}`);
  return ran.stdout;
}

async function isServed(context: CheckContext): Promise<string> {
  const pods = replicas(context);
  expect(pods.length === 2, `There are ${pods.length} replicas, wanted 2`);
  for (const { metadata, status } of pods) {
    const html = await answer(context, `http://${status?.podIP}:8081/`);
    expect(html.includes('<title>Hubble</title>'), `${metadata.name} has no page: ${html.slice(0, 100)}`);
  }
  const html = await answer(context, `${PAGE}/`);
  const script = /src="(main-[A-Z0-9]+\.js)"/.exec(html)?.[1];
  expect(script !== undefined, 'The page has no script');
  expect((await answer(context, `${PAGE}/${script}`)).length > 10_000, `${script} is not there`);
  await using page = await opened(context);
  const local = await (await fetch(page.url)).text();
  expect(local === html, `${page.url} is another page than the one of the Service`);
  return 'two replicas, and this machine';
}

async function opened({ cluster }: CheckContext): Promise<{ readonly url: string } & AsyncDisposable> {
  const page = await webPage(cluster);
  expect(page !== undefined, 'There is no Service hubble-ui');
  return { url: page.url, [Symbol.asyncDispose]: () => Promise.resolve(page[Symbol.dispose]()) };
}

type Part = {
  readonly nodes: readonly Node[];
  readonly links: readonly { readonly from: number; readonly to: number; readonly port: number }[];
};
/** Who looks at what somebody else looks at, or did a moment ago, is told all of it first, and then what is new. */
type Told = { readonly graph?: Part; readonly delta?: Part };
type Node = { readonly index: number; readonly id: string };

/** 'shop/frontend>shop/catalog:8080' of every link that a page is told of in some seconds. */
async function linksIn(context: CheckContext, query: string): Promise<ReadonlySet<string>> {
  const stream = await answer(context, `${PAGE}/api/live?${query}`, 8); // what went before is read first
  const nodes = new Map<number, string>();
  const links = new Set<string>();
  for (const [, data = ''] of stream.matchAll(/^event: (?:graph|delta)\ndata: (.*)$/gm)) {
    const { graph, delta = graph } = JSON.parse(data) as Told; // as: what the page is told
    for (const { index, id } of delta?.nodes ?? []) nodes.set(index, id);
    for (const { from, to, port } of delta?.links ?? []) links.add(`${nodes.get(from)}>${nodes.get(to)}:${port}`);
  }
  return links;
}

async function showsTheShop(context: CheckContext): Promise<string> {
  const wanted = [
    'shop/visitor>shop/frontend:8080',
    'shop/frontend>shop/catalog:8080',
    'shop/frontend>shop/cart:8080',
    'shop/cart>shop/store:6379',
  ];
  let found: ReadonlySet<string> = new Set();
  const isThere = async () => {
    found = await linksIn(context, 'ns=shop&window=1m');
    return wanted.every((link) => found.has(link));
  };
  await until(`the map to show ${wanted.join(', ')}`, PATIENCE_MS, isThere, context.signal).catch((error: unknown) => {
    throw new Error(`It shows ${[...found].toSorted().join(', ') || 'nothing'}`, { cause: error });
  });
  return `${found.size} links`;
}

type Vips = { readonly vips: readonly { readonly ip: string; readonly owner?: string }[]; readonly unknown?: string };

async function showsVips(context: CheckContext): Promise<string> {
  const { vips, unknown } = JSON.parse(await answer(context, `${PAGE}/api/vips`)) as Vips; // as: what the page is told
  expect(unknown === undefined, `The page does not know: ${unknown}`);
  expect(
    vips.some(({ owner }) => owner !== undefined),
    'No address has an owner',
  );
  return `${vips.length} addresses`;
}

export const webPageChecks: readonly Check[] = [
  { name: 'The web page is served by both replicas, at its Service, and at an address of this machine', needs: 'agent', run: isServed },
  { name: 'The map of the web page shows who talks to whom in the shop', needs: 'agent', run: showsTheShop },
  { name: 'The web page knows who answers for load balancer addresses', needs: 'agent', run: showsVips },
];
