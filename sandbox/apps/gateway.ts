// SPDX-License-Identifier: Apache-2.0
// A gateway of the Gateway API, as a user would have one before his pages: gateway.ts NAMESPACE GATEWAY LISTENER. It reads its certificate
// and the HTTPRoutes from the API, ends TLS on port 8443, speaks HTTP/2 and HTTP/1.1, and passes on what comes as it comes.
import { createSecureServer } from 'node:http2';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { createSecureContext } from 'node:tls';
import type { SecureContext } from 'node:tls';
import { startMirror } from './api-mirror.ts';
import { backendFor } from './gateway-routes.ts';
import type { HttpRoute, Listener } from './gateway-routes.ts';

type Meta = { readonly uid: string; readonly name: string; readonly namespace: string; readonly resourceVersion: string };
type Secret = { readonly metadata: Meta; readonly data?: Readonly<Record<string, string>> };
type Gateway = {
  readonly metadata: Meta;
  readonly spec: {
    readonly listeners: readonly {
      readonly name: string;
      readonly tls?: { readonly certificateRefs?: readonly { readonly name: string }[] };
    }[];
  };
};

const [namespace = '', gateway = '', section = ''] = process.argv.slice(2);
const at: Listener = { namespace, gateway, section };
const PORT = 8443;
const api = '/apis/gateway.networking.k8s.io/v1';
const gateways = startMirror<Gateway>(`${api}/namespaces/${namespace}/gateways`);
const routes = startMirror<HttpRoute>(`${api}/httproutes`);
const secrets = startMirror<Secret>(`/api/v1/namespaces/${namespace}/secrets`);

let known: { readonly version: string; readonly context: SecureContext } | undefined;

/** The certificate that the listener names now; undefined: it names none that is there. */
function certificate(): SecureContext | undefined {
  const listener = gateways
    .objects()
    .find(({ metadata }) => metadata.name === gateway)
    ?.spec.listeners.find(({ name }) => name === section);
  const wanted = listener?.tls?.certificateRefs?.[0]?.name;
  const secret = secrets.objects().find(({ metadata }) => metadata.name === wanted);
  if (secret?.data === undefined) return undefined;
  const version = `${secret.metadata.uid} ${secret.metadata.resourceVersion}`;
  if (known?.version !== version) {
    const pem = (key: string) => Buffer.from(secret.data?.[key] ?? '', 'base64');
    known = { version, context: createSecureContext({ cert: pem('tls.crt'), key: pem('tls.key') }) };
  }
  return known.context;
}

/** Headers that are about one connection. */
const OF_A_CONNECTION = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'te']);

const passedOn = (headers: NodeJS.Dict<string | string[]>): NodeJS.Dict<string | string[]> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith(':') && !OF_A_CONNECTION.has(name)));

function pass(incoming: Http2ServerRequest, outgoing: Http2ServerResponse): void {
  const host = String(incoming.headers[':authority'] ?? incoming.headers.host ?? '');
  const path = incoming.url.split('?', 1)[0] ?? '/';
  const backend = backendFor(routes.objects(), at, host.replace(/:\d+$/, ''), path);
  if (backend === undefined) return void outgoing.writeHead(404, { 'content-type': 'text/plain' }).end(`No route for ${host}\n`);
  const address = incoming.socket.remoteAddress ?? '';
  const headers = { ...passedOn(incoming.headers), host, 'x-forwarded-for': address, 'x-forwarded-proto': 'https' };
  const { service, namespace: home, port } = backend;
  const server = { host: `${service}.${home}.svc.cluster.local`, port, agent: false };
  const to = request({ ...server, path: incoming.url, method: incoming.method, headers });
  to.on('response', (response) => {
    outgoing.writeHead(response.statusCode ?? 502, passedOn(response.headers));
    response.on('error', () => incoming.destroy()).pipe(outgoing);
  });
  to.on('error', (error) => {
    if (outgoing.headersSent) return void incoming.destroy();
    outgoing.writeHead(502, { 'content-type': 'text/plain' }).end(`Cannot reach ${service}.${home}: ${error.message}\n`);
  });
  outgoing.on('close', () => to.destroy());
  incoming.pipe(to);
}

process.on('SIGTERM', () => process.exit(0));
while (!routes.isComplete() || certificate() === undefined) await delay(50);
createSecureServer({ allowHTTP1: true, SNICallback: (_name, tell) => tell(null, certificate()) }, pass).listen(PORT); // null: Node's word for no error
