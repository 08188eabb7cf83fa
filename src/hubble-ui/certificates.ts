// SPDX-License-Identifier: Apache-2.0
// Until when the certificates hold that nodes show to those who ask them for flows: looked at as they are on the wire. Nothing is
// said to the node but hello, and nothing that it says is believed.

import { isIP } from 'node:net';
import { connect } from 'node:tls';
import type { Certificate, NodeHealth } from '../page/api.ts';

type Asked = Pick<NodeHealth, 'name' | 'address' | 'tls'>;

const ANSWER_MS = 3000;
const KEPT_MS = 60_000;

/** Those of nodes that do not answer are missing. Asks each node once a minute. */
export function certificateBook(): (nodes: readonly Asked[]) => Promise<readonly Certificate[]> {
  const kept = new Map<string, { readonly found: Promise<Certificate | undefined>; readonly until: number }>();
  return async (nodes) => {
    const now = Date.now();
    const asked = nodes.flatMap((node) => {
      const at = node.tls && node.address !== undefined ? endIn(node.address) : undefined;
      return at === undefined ? [] : [{ key: `${node.name} ${node.address}`, name: node.name, at }];
    });
    for (const key of kept.keys()) if (!asked.some((one) => one.key === key)) kept.delete(key);
    const found = asked.map(({ key, name, at }) => {
      const known = kept.get(key);
      if (known && known.until > now) return known.found;
      const answer = shownBy(name, at);
      kept.set(key, { found: answer, until: now + KEPT_MS });
      return answer;
    });
    return (await Promise.all(found)).filter((one) => one !== undefined);
  };
}

type End = { readonly host: string; readonly port: number };

/** 'host:port', '[address]:port', and 'address:port' as Go's older programs wrote addresses of IPv6. */
function endIn(address: string): End | undefined {
  const [, host = '', port = ''] = /^(?:tcp:\/\/)?(.+):(\d{1,5})$/.exec(address) ?? [];
  const plain = host.replace(/^\[(.*)\]$/, '$1');
  return plain === '' ? undefined : { host: plain, port: Number(port) };
}

function shownBy(name: string, { host, port }: End): Promise<Certificate | undefined> {
  const { promise, resolve } = Promise.withResolvers<Certificate | undefined>();
  // The server's name is not asked for: the certificate is read, and nothing is sent.
  const socket = connect({ host, port, rejectUnauthorized: false, ...(isIP(host) === 0 && { servername: host }), timeout: ANSWER_MS });
  socket.once('secureConnect', () => {
    const certificate = socket.getPeerX509Certificate();
    socket.destroy();
    const notAfter = Date.parse(certificate?.validTo ?? '');
    resolve(Number.isFinite(notAfter) ? { of: name, subject: subjectOf(certificate?.subject ?? ''), notAfter } : undefined);
  });
  const none = () => {
    socket.destroy();
    resolve(undefined);
  };
  socket.once('error', none).once('timeout', none).once('close', none);
  return promise;
}

/** The common name, where there is one. */
const subjectOf = (subject: string): string => /(?:^|\n)CN=(.*)/.exec(subject)?.[1] ?? subject.replaceAll('\n', ', ');
