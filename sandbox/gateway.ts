// SPDX-License-Identifier: Apache-2.0
// The gateway that a user has in front of the page, with a certificate of an authority that only its users know.
import { join } from 'node:path';
import type { Json } from './api/json.ts';
import { makeCertificates } from './api/tls.ts';
import type { Layout } from './layout.ts';
import { manifest, seed } from './manifests.ts';

/** What the seed's HTTPRoute says, and the address that manifests/gateway.yaml asks for. */
export const GATEWAY = { host: 'hubble.example.com', address: '192.168.0.224', port: 443 } as const;

const certificatesDir = ({ stateDir }: Layout): string => join(stateDir, 'gateway');

/** The file with the certificate of the authority. */
export const gatewayCa = (layout: Layout): string => join(certificatesDir(layout), 'ca.crt');

/** The kinds, the namespace, the certificate, the gateway and the seed's route, in an order in which they can be created. */
export async function gatewayObjects(layout: Layout): Promise<readonly Json[]> {
  const { cert, key } = await makeCertificates(certificatesDir(layout), GATEWAY.host, [GATEWAY.host]);
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  return [
    ...(await manifest('gateway-api.yaml')),
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'networking' } },
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'example-com-tls', namespace: 'networking' },
      type: 'kubernetes.io/tls',
      data: { 'tls.crt': base64(cert), 'tls.key': base64(key) },
    },
    ...(await manifest('gateway.yaml')),
    ...(await seed('httproute-hubble.yaml')),
  ];
}
