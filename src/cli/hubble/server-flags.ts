// SPDX-License-Identifier: Apache-2.0
// Which server a hubble command asks, as its flags say it.

import type { Flag } from './settings.ts';

export const serverFlags: readonly Flag[] = [
  { name: 'server', value: 'ADDRESS', help: 'who is asked: host:port, tls://host:port or unix:///path; unless said otherwise all nodes' },
  { name: 'timeout', value: 'DURATION', default: '5s', help: 'for a connection' },
  { name: 'request-timeout', value: 'DURATION', default: '12s', help: 'for an answer that is not a stream' },
  { name: 'tls', help: 'encrypt' },
  { name: 'tls-allow-insecure', help: 'believe any server: whoever is between can read along' },
  { name: 'tls-ca-cert-files', value: 'FILES', help: 'who signs the certificate of the server' },
  { name: 'tls-client-cert-file', value: 'FILE', help: 'our certificate' },
  { name: 'tls-client-key-file', value: 'FILE', help: 'its key' },
  { name: 'tls-server-name', value: 'NAME', help: 'the name in the certificate of the server' },
  { name: 'basic-auth-username', value: 'NAME', help: 'who we are' },
  { name: 'basic-auth-password', value: 'WORD', help: 'and the proof of it' },
  { name: 'port-forward', short: 'P', help: 'reach the relay of the cluster through kubectl' },
  { name: 'port-forward-port', value: 'PORT', default: '4245', help: 'of this machine for that' },
  { name: 'kube-context', value: 'NAME', help: 'which cluster of the kubeconfig' },
  { name: 'kube-namespace', value: 'NAME', default: 'kube-system', help: 'where the relay is' },
  { name: 'kubeconfig', value: 'FILE', help: 'how to reach the cluster' },
  { name: 'config', value: 'FILE', help: 'settings, under the names of these flags' },
  { name: 'debug', short: 'D', help: 'say more' },
];
