// SPDX-License-Identifier: Apache-2.0
// The files of the page, as the build left them: read once, compressed once. Those with a hash in their name never change.

import { readdir, readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { codeOf, StentorError } from '../base/errors.ts';

type Asset = { readonly body: Buffer; readonly zipped: Buffer; readonly type: string; readonly forever: boolean };

/** Returns whether there is such a file, and has answered then. */
export type Assets = (path: string, request: IncomingMessage, response: ServerResponse) => boolean;

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
};

/** Everything comes from here, and nobody puts the page into another. */
const policy =
  "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
export const safeHeaders = { 'x-content-type-options': 'nosniff', 'referrer-policy': 'same-origin', 'content-security-policy': policy };

/** Throws StentorError when the page was not built. */
export async function assetsIn(folder: string): Promise<Assets> {
  const names: readonly string[] = await readdir(folder).catch((error: unknown): readonly string[] => {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  });
  if (!names.includes('index.html'))
    throw new StentorError('NoPage', `Cannot find the page in ${folder}, wanted what 'npm run setup' makes there`);
  const assets = new Map(await Promise.all(names.filter((name) => extname(name) in types).map((name) => read(folder, name))));
  return (path, request, response) => {
    const asset = assets.get(path === '/' ? 'index.html' : path.slice(1));
    if (!asset) return false;
    const { body, zipped, type, forever } = asset;
    const zips = /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''));
    response.writeHead(200, {
      ...safeHeaders,
      'content-type': type,
      'cache-control': forever ? 'public, max-age=31536000, immutable' : 'no-cache',
      vary: 'accept-encoding',
      ...(zips && { 'content-encoding': 'gzip' }),
    });
    response.end(zips ? zipped : body);
    return true;
  };
}

async function read(folder: string, name: string): Promise<[string, Asset]> {
  const body = await readFile(join(folder, name));
  const type = types[extname(name)] ?? 'application/octet-stream';
  return [name, { body, zipped: await promisify(gzip)(body, { level: 9 }), type, forever: /-[A-Z0-9]{8}\./.test(name) }];
}
