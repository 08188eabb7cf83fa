// SPDX-License-Identifier: Apache-2.0
// The seed's HTTPRoute: the web page at a name of the user's, through a gateway at a load balancer address.
import { CheckFailed, expect } from './check.ts';
import type { Check, CheckContext } from './check.ts';
import { GATEWAY, gatewayCa } from '../gateway.ts';
import { until } from '../until.ts';

const { host, address, port } = GATEWAY;
const SECONDS = 8;
const PATIENCE_MS = 15_000;

/** curl on the client of the LAN, which knows the name, and the authority of the certificate. */
function curlFor({ cluster, places: { outsider } }: CheckContext) {
  const curl = `curl --silent --show-error --max-time ${SECONDS} --resolve '*:${port}:${address}' --cacert '${gatewayCa(cluster.layout)}'`;
  return (words: string) => outsider.run(['sh', '-c', `${curl} ${words}`], (SECONDS + 2) * 1000);
}

async function loads(context: CheckContext): Promise<string> {
  const curl = curlFor(context);
  const page = async (url: string) => {
    const ran = await curl(`--fail ${url}`);
    if (ran.code !== 0) throw new CheckFailed(`${url}: ${ran.stderr.trim()}`);
    return ran.stdout;
  };
  const html = await page(`https://${host}/`);
  expect(html.includes('<title>Hubble</title>'), `https://${host}/ is another page: ${html.slice(0, 100)}`);
  const script = /src="(main-[A-Z0-9]+\.js)"/.exec(html)?.[1] ?? '';
  expect((await page(`https://${host}/${script}`)).length > 10_000, `The page has no script '${script}'`);
  const knowsShop = async () => JSON.parse(await page(`https://${host}/api/session`)).namespaces.includes('shop');
  await until('the page to know of the namespace shop', PATIENCE_MS, knowsShop, context.signal);
  const other = await curl(`--output /dev/null --write-out '%{http_code}' https://${host.replace('hubble', 'other')}/`);
  expect(other.code !== 0, `The certificate of ${host} is good for another name, too: status ${other.stdout}`);
  return `${address}, ${html.length} bytes`;
}

/** The first event of the page's stream ends curl: a gateway that keeps it until the stream's end does not get here. */
async function streams(context: CheckContext): Promise<string> {
  const curl = curlFor(context);
  const seen: string[] = [];
  for (const version of ['--http2', '--http1.1']) {
    const { stdout } = await curl(`--no-buffer ${version} --dump-header - 'https://${host}/api/live?ns=shop&window=1m' | sed '/^data: /q'`);
    const [status = ''] = stdout.split('\r\n', 1);
    expect(/^event: \w+\ndata: /m.test(stdout), `No event within ${SECONDS} s, with ${version}: ${stdout.slice(0, 200)}`);
    seen.push(status.trim());
  }
  return seen.join(', ');
}

export const gatewayChecks: readonly Check[] = [
  { name: "With the seed's HTTPRoute the web page loads at https://hubble.example.com, through a gateway", needs: 'agent', run: loads },
  { name: 'The live view of the web page passes a gateway, over HTTP/2 and HTTP/1.1', needs: 'agent', run: streams },
];
