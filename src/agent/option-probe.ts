// SPDX-License-Identifier: Apache-2.0
// Asks the other nodes whether packets with IP options arrive (nodes/option-paths.ts decides), and answers them.
//
//   port P of this node ──▶ port P, with an option, which host_to puts in ──▶ host_from: port P+1 when it is still there
//   any port            ──▶ port P, without                               ──▶ port P
//
// Answers say at which port the question came. They are sent from P+1, so that they carry no option themselves.

import { createSocket } from 'node:dgram';
import type { RemoteInfo, Socket } from 'node:dgram';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../base/errors.ts';
import { familyOf } from '../base/ip.ts';
import type { Family, Ip } from '../base/ip.ts';
import type { Log } from '../base/log.ts';
import type { Problem } from '../base/problem.ts';
import { sameRow } from '../base/same.ts';
import type { Table, Writer } from '../base/table.ts';
import type { NodeRow } from '../nodes/node.ts';
import { afterRound, lossProblem, UNKNOWN_PATH } from '../nodes/option-paths.ts';
import type { OptionLoss, OptionPath } from '../nodes/option-paths.ts';

export type OptionProbeOptions = {
  readonly self: string;
  readonly nodes: Table<string, NodeRow>;
  readonly losses: Writer<string, OptionLoss>;
  /** Whether anything depends on options: without that nobody is asked, and nothing is wrong. Others are answered in any case. */
  readonly wanted: () => boolean;
  /** P. */
  readonly port: number;
  /** Called after each round with all that is wrong. */
  readonly report: (problems: readonly Problem[]) => void;
  readonly log: Log;
  /** Milliseconds between rounds. */
  readonly roundMs?: number;
};

const ROUND_MS = 5_000;
const PER_NODE_MS = 50; // 300 nodes are asked in 15 s
const ANSWER_MS = 1_000;
const ASK = 'stentor option?';
const TOLD = 'stentor option: told';
const PLAIN = 'stentor option: plain';

const families: readonly Family[] = [4, 6];

/** Runs until `signal` aborts. A family whose ports are somebody else's is left out, and the log says so. */
export async function optionProbe(options: OptionProbeOptions, signal: AbortSignal): Promise<void> {
  const { nodes, self, losses, log, wanted, roundMs = ROUND_MS } = options;
  losses.complete();
  await using stack = new AsyncDisposableStack();
  const askers = new Map<Family, Asker>();
  for (const family of families) {
    const asker = await openAsker(family, options.port).catch((error: unknown) => {
      log.warn('Cannot ask nodes whether IP options arrive', { family, port: options.port, error: messageOf(error) });
    });
    if (asker)
      askers.set(
        family,
        stack.adopt(asker, (one) => one.close()),
      );
  }
  const paths = new Map<string, OptionPath>();
  while (!signal.aborted && askers.size > 0) {
    const others = wanted() ? Array.from(nodes.entries(), ([, node]) => node).filter(({ name }) => name !== self) : [];
    for (const [family, asker] of askers) {
      const asked = others.flatMap(({ name, addresses }) => {
        const address = addresses.find((one) => familyOf(one) === family);
        return address === undefined ? [] : [{ key: `${name}/${family}`, address }];
      });
      const answers = await asker.ask(asked.map(({ address }) => address));
      for (const { key, address } of asked)
        paths.set(key, afterRound(paths.get(key) ?? UNKNOWN_PATH, { plain: answers.plain.has(address), told: answers.told.has(address) }));
    }
    settle(options, others, paths);
    const doubtful = Array.from(paths.values()).some(({ misses, lost }) => misses > 0 && !lost);
    const pause = doubtful ? 0 : Math.max(roundMs, others.length * PER_NODE_MS);
    await delay(pause, undefined, { signal }).catch(() => undefined);
  }
}

/** Writes what has changed, and says what is wrong. */
function settle({ losses, report }: OptionProbeOptions, others: readonly NodeRow[], paths: Map<string, OptionPath>): void {
  const lossOf = (name: string): OptionLoss => ({ families: families.filter((family) => paths.get(`${name}/${family}`)?.lost) });
  const lossy = new Map(others.map(({ name }) => [name, lossOf(name)] as const).filter(([, loss]) => loss.families.length > 0));
  for (const [name] of Array.from(losses.table.entries())) if (!lossy.has(name)) losses.delete(name);
  for (const [name, loss] of lossy) if (!sameRow(losses.table.get(name), loss)) losses.put(name, loss);
  const names = new Set(others.map(({ name }) => name));
  for (const key of paths.keys()) if (!names.has(key.slice(0, key.lastIndexOf('/')))) paths.delete(key);
  report(Array.from(lossy, ([name, loss]) => lossProblem(name, loss)));
}

type Answers = { readonly plain: ReadonlySet<string>; readonly told: ReadonlySet<string> };
type Asker = { ask(addresses: readonly Ip[]): Promise<Answers>; close(): Promise<void> };

async function openAsker(family: Family, port: number): Promise<Asker> {
  const sockets: Socket[] = [];
  const close = async () => {
    await Promise.all(sockets.map((socket) => new Promise<void>((closed) => void socket.close(closed))));
  };
  const open = async (at: number) => {
    const socket = createSocket({ type: family === 4 ? 'udp4' : 'udp6', ipv6Only: family === 6 });
    socket.on('error', () => undefined); // of one datagram; what is not answered counts
    await new Promise<void>((done, fail) => {
      socket.once('error', fail);
      socket.bind(at, () => (socket.off('error', fail), done()));
    });
    sockets.push(socket);
    return socket;
  };
  try {
    const [optional, arrived, plain] = [await open(port), await open(port + 1), await open(0)];
    const seen = { plain: new Set<string>(), told: new Set<string>() };
    const heard =
      (came: string) =>
      (message: Buffer, { address, port: from }: RemoteInfo) => {
        const text = message.toString('latin1');
        if (text === ASK) arrived.send(came, from, address, () => undefined);
        else if (text === TOLD) seen.told.add(address);
        else if (text === PLAIN) seen.plain.add(address);
      };
    optional.on('message', heard(PLAIN));
    arrived.on('message', heard(TOLD));
    plain.on('message', heard(PLAIN));
    const ask = async (addresses: readonly Ip[]): Promise<Answers> => {
      seen.plain.clear();
      seen.told.clear();
      for (const address of addresses) for (const socket of [optional, plain]) socket.send(ASK, port, address, () => undefined);
      const done = () => addresses.every((address) => seen.told.has(address) && seen.plain.has(address));
      for (let waited = 0; waited < ANSWER_MS && !done(); waited += 50) await delay(50);
      return { plain: new Set(seen.plain), told: new Set(seen.told) };
    };
    return { ask, close };
  } catch (error) {
    await close();
    throw error;
  }
}
