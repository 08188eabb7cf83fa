// SPDX-License-Identifier: Apache-2.0
// Asks the agent over its socket. HTTP/1.0, whose answer is head, empty line and all that follows, is read here by hand: importing node:http
// would be most of the time that a command takes.

import { createConnection } from 'node:net';
import type { Socket } from 'node:net';
import { codeOf, messageOf, StentorError } from '../base/errors.ts';

/** The agent was not reached, or said no. */
export class AgentError extends StentorError {}

const PATIENCE_MS = 30_000;

/** The answer to GET `path`. T is what api-types.ts says of it: agent and command are one package. Throws AgentError, also when nothing comes for `patienceMs`. */
export async function ask<T>(socketPath: string, path: string, patienceMs = PATIENCE_MS): Promise<T> {
  let text = '';
  for await (const part of bodyOf(socketPath, path, patienceMs)) text += part;
  return parsed<T>(socketPath, text);
}

/** The lines of a stream, for as long as the agent goes on. Throws AgentError. */
export async function* follow<T>(socketPath: string, path: string): AsyncIterable<T> {
  let rest = '';
  for await (const part of bodyOf(socketPath, path, 0)) {
    const lines = `${rest}${part}`.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) yield parsed<T>(socketPath, line);
  }
  throw new AgentError('AgentGone', `The agent at ${socketPath} ended the stream`);
}

function parsed<T>(socketPath: string, text: string): T {
  try {
    return JSON.parse(text) as T; // see ask()
  } catch (error) {
    throw new AgentError('AgentGone', `The agent at ${socketPath} broke off its answer`, { cause: error });
  }
}

async function* bodyOf(socketPath: string, path: string, patienceMs: number): AsyncIterable<string> {
  const socket = await connected(socketPath);
  socket.setTimeout(patienceMs, () => socket.destroy(new Error(`no answer within ${patienceMs} ms`)));
  socket.write(`GET ${path} HTTP/1.0\r\nHost: agent\r\n\r\n`);
  let text = '';
  let inBody = false;
  let ok = false;
  try {
    for await (const chunk of socket) {
      text += chunk;
      const headEnd = inBody ? 0 : text.indexOf('\r\n\r\n');
      if (headEnd < 0) continue;
      if (!inBody) {
        ok = /^HTTP\/1\.[01] 200 /.test(text);
        text = text.slice(headEnd + 4);
        inBody = true;
      }
      if (!ok) continue;
      yield text;
      text = '';
    }
  } catch (error) {
    throw new AgentError(codeOf(error) ?? 'AgentGone', `The agent at ${socketPath} broke off its answer`, { cause: error });
  }
  if (!inBody) throw new AgentError('AgentGone', `The agent at ${socketPath} gave no answer to ${path}`);
  if (!ok) throw new AgentError('AgentRefused', refusalIn(text));
}

function connected(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path, () => resolve(socket.setEncoding('utf8')));
    socket.once('error', (cause) => reject(new AgentError(codeOf(cause) ?? 'Unreachable', unreachable(path, cause))));
  });
}

function refusalIn(text: string): string {
  const body: unknown = JSON.parse(text);
  return typeof body === 'object' && body !== null && 'error' in body ? String(body.error) : text;
}

function unreachable(path: string, cause: Error): string {
  const advice: Readonly<Record<string, string>> = {
    ENOENT: 'No agent has started here: run this on a node, or in the cilium pod of one',
    ECONNREFUSED: 'The agent has ended: look at the log of the cilium pod of this node',
    EACCES: 'Only root may ask: run this with sudo',
  };
  const hint = advice[codeOf(cause) ?? ''] ?? 'Look at the log of the cilium pod of this node';
  return `Cannot reach the agent at ${path}: ${messageOf(cause)}\n${hint}. To ask at another socket, set STENTOR_SOCKET`;
}
