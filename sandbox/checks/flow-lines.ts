// SPDX-License-Identifier: Apache-2.0
// What happens on the network is told, without anything being configured.
import { setTimeout as pause } from 'node:timers/promises';
import { CheckFailed } from './check.ts';
import type { Check, CheckContext } from './check.ts';
import { agentOn, said } from './agents.ts';
import { NAMESPACE, NODE_NAMES } from './places.ts';
import { httpGet } from './traffic.ts';

const SEEN_MS = 5_000;

export const requestChecks: readonly Check[] = [
  {
    name: 'Within 5 seconds of a request in a pod its flows are there: names, service, each end of the connection, status',
    needs: 'agent',
    run: isSeen,
  },
];

/** What `hubble observe` is to show of the request, wherever in the cluster it was seen. */
const wanted: readonly (readonly [what: string, pattern: RegExp])[] = [
  [
    'the question to DNS',
    / checks\/client:\d+ \(ID:\d+\) -> \S+:53 \(ID:\d+\) dns-request proxy FORWARDED \(DNS Query echo\.checks\.svc\.cluster\.local\. A\)/,
  ],
  ['its answer', / dns-response proxy FORWARDED \(DNS Answer "[\d.]+" TTL: \d+ \(Proxy echo\.checks\.svc\.cluster\.local\. A\)\)/],
  ['the socket', / checks\/client \(ID:\d+\) <> \S+ \S+ pre-xlate-fwd TRACED \(TCP\)/],
  ['the first packet', / checks\/client:\d+ \(ID:\d+\) -> checks\/echo\S*:8080 \(ID:\d+\) to-endpoint FORWARDED \(TCP Flags: SYN\)/],
  [
    'the first answer',
    / checks\/client:\d+ \(ID:\d+\) <- checks\/echo\S*:8080 \(ID:\d+\) to-(?:endpoint|network) FORWARDED \(TCP Flags: SYN, ACK\)/,
  ],
  ['data', / checks\/client:\d+ \(ID:\d+\) -> checks\/echo\S*:8080 \(ID:\d+\) to-endpoint FORWARDED \(TCP Flags: ACK, PSH\)/],
  ['the end', / checks\/client:\d+ \(ID:\d+\) -> checks\/echo\S*:8080 \(ID:\d+\) to-endpoint FORWARDED \(TCP Flags: ACK, FIN\)/],
  ['the HTTP request', / http-request FORWARDED \(HTTP\/1\.1 GET http:\/\/echo\.checks\.svc\.cluster\.local\/seen\)/],
  ['the HTTP answer', / http-response FORWARDED \(HTTP\/1\.1 200 \d+ms \(GET http:\/\/echo\.checks\.svc\.cluster\.local\/seen\)\)/],
];

async function isSeen(context: CheckContext): Promise<string> {
  const started = performance.now();
  await httpGet(context.places.client, `http://echo.${NAMESPACE}.svc.cluster.local/seen`, ['--ipv4']);
  const observe = ['hubble', 'observe', '--server', 'unix:///var/run/cilium/hubble.sock', '--last', '400', '--pod', `${NAMESPACE}/client`];
  for (;;) {
    const lines = (await Promise.all(NODE_NAMES.map((node) => said(agentOn(context, node), observe)))).join('');
    const missing = wanted.filter(([, pattern]) => !pattern.test(lines)).map(([what]) => what);
    if (missing.length === 0) return `${Math.round(performance.now() - started)} ms`;
    if (performance.now() - started > SEEN_MS + 2_000)
      throw new CheckFailed(`hubble observe does not show ${missing.join(', ')} among\n${lines.split('\n').slice(-60).join('\n')}`);
    await pause(200);
  }
}
