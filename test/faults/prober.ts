// SPDX-License-Identifier: Apache-2.0
// Traffic while something fails: node prober.ts RATE LONG TARGET... with targets as host,port.
// RATE new TCP connections a second, in turn to each target, and LONG long-lived connections, in turn as well, each of which asks ten
// times a second. It ends with its standard input, and then prints one line of JSON: a Tally.

import { connect } from 'node:net';
import type { Socket } from 'node:net';

export type Tally = {
  /** New connections that were answered. */
  readonly opened: number;
  readonly failed: number;
  /** Why, the first few. */
  readonly reasons: readonly string[];
  /** Milliseconds from SYN to answer, the slowest. */
  readonly slowest: number;
  /** Answers on the connections that were open from the beginning, for each. */
  readonly answers: readonly number[];
  /** Milliseconds between two such answers, the longest. */
  readonly longestGap: number;
};

const PATIENCE_MS = 5000; // beyond a SYN that is sent twice again

type Target = { readonly host: string; readonly port: number };

const [rate = '100', long = '0', ...words] = process.argv.slice(2);
const targets = words.map((word): Target => ({ host: word.split(',')[0] ?? '', port: Number(word.split(',')[1]) }));
const request = ({ host }: Target) => `GET / HTTP/1.1\r\nHost: ${host.includes(':') ? 'six' : host}\r\n\r\n`;
const reasons: string[] = [];
const tally = { opened: 0, failed: 0, reasons, slowest: 0, answers: Array.from({ length: Number(long) }, () => 0), longestGap: 0 };
let underWay = 0;

function fail(why: string): void {
  tally.failed++;
  if (tally.reasons.length < 10) tally.reasons.push(why);
}

function openOne(target: Target): void {
  const started = performance.now();
  const at = () => `${target.host} port ${target.port} from port ${port} ${Math.round(started)} ms`;
  let port: number | undefined;
  let done = false;
  underWay++;
  const socket: Socket = connect(target);
  const finish = (problem: string | undefined) => {
    if (done) return;
    done = true;
    underWay--;
    clearTimeout(timer);
    socket.resetAndDestroy(); // the client's TIME_WAIT would use up its ports
    if (problem !== undefined) return fail(`${at()}: ${problem}`);
    tally.opened++;
    tally.slowest = Math.max(tally.slowest, performance.now() - started);
  };
  const timer = setTimeout(() => finish(`no answer within ${PATIENCE_MS} ms`), PATIENCE_MS);
  socket.on('connect', () => {
    port = socket.localPort;
    socket.write(request(target));
  });
  socket.on('data', () => finish(undefined));
  socket.on('error', (error) => finish(error.message));
  socket.on('close', () => finish('closed before an answer'));
}

function keepAsking(target: Target, index: number): void {
  const socket = connect(target);
  let last = performance.now();
  let ended = false;
  const end = (why: string) => {
    if (!ended && !stopping) fail(`long-lived to ${target.host}: ${why}`);
    ended = true;
  };
  const ask = () => {
    if (!ended && !stopping) socket.write(request(target));
  };
  socket.on('connect', ask);
  socket.on('data', () => {
    tally.longestGap = Math.max(tally.longestGap, performance.now() - last);
    last = performance.now();
    tally.answers[index] = (tally.answers[index] ?? 0) + 1;
    setTimeout(ask, 100);
  });
  socket.on('error', (error) => end(error.message));
  socket.on('close', () => end('closed'));
}

let stopping = false;
let next = 0;
for (let index = 0; index < Number(long); index++) keepAsking(targets[index % targets.length] ?? { host: '', port: 0 }, index);
const started = performance.now();
const ticker = setInterval(() => {
  for (const due = ((performance.now() - started) / 1000) * Number(rate); next < due; next++) {
    const target = targets[next % targets.length];
    if (target) openOne(target);
  }
}, 5);
process.stdin.resume();
process.stdin.on('end', () => {
  stopping = true;
  clearInterval(ticker);
  const report = setInterval(() => {
    if (underWay > 0) return;
    clearInterval(report);
    process.stdout.write(`${JSON.stringify(tally)}\n`, () => process.exit());
  }, 10);
});
process.stdout.write('ready\n');
