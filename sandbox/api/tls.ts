// SPDX-License-Identifier: Apache-2.0
// A certificate authority and a certificate of a server for one run of the sandbox, made by the openssl command.
import { execFile } from 'node:child_process';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const DAYS = '365';
const CONFIG = `[req]
distinguished_name = name
x509_extensions = authority
[name]
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
`;

const NEW_KEY = 'req -config openssl.cnf -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes';
/** Arguments of openssl, in order; no argument has a space. */
const stepsFor = (name: string): readonly string[] => [
  `${NEW_KEY} -x509 -keyout ca.key -out ca.crt -days ${DAYS} -subj /CN=stentor-sandbox-ca`,
  `${NEW_KEY} -keyout server.key -out server.csr -subj /CN=${name}`,
  `x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days ${DAYS} -extfile server.ext`,
];

/** The openssl command failed or is missing. */
class CertificateError extends Error {
  readonly code = 'CERTIFICATE';
}

const openssl = async (dir: string, args: readonly string[]): Promise<void> => {
  try {
    await run('openssl', args, { cwd: dir });
  } catch (error) {
    throw new CertificateError(`Cannot make a certificate in ${dir}: openssl ${args[0]} failed; the openssl command is wanted`, {
      cause: error,
    });
  }
};

export type Certificates = { readonly ca: string; readonly cert: string; readonly key: string };

/**
 * Writes ca.crt, ca.key, server.crt and server.key into the directory (keys readable by the owner alone) and returns the PEM texts.
 * The server has a name (without spaces), and is known by host names and addresses.
 */
export const makeCertificates = async (dir: string, name: string, sans: readonly string[]): Promise<Certificates> => {
  await mkdir(dir, { recursive: true });
  const names = [...new Set(sans)].map((one) => (isIP(one) === 0 ? `DNS:${one}` : `IP:${one}`));
  const extensions = `basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth\nsubjectAltName=${names.join(',')}\n`;
  await writeFile(join(dir, 'server.ext'), extensions);
  await writeFile(join(dir, 'openssl.cnf'), CONFIG); // our own: the machine's may add extensions
  for (const step of stepsFor(name)) await openssl(dir, step.split(' '));
  for (const file of ['ca.key', 'server.key']) await chmod(join(dir, file), 0o600);
  const text = (file: string): Promise<string> => readFile(join(dir, file), 'utf8');
  return { ca: await text('ca.crt'), cert: await text('server.crt'), key: await text('server.key') };
};
