// SPDX-License-Identifier: Apache-2.0
// Ways to send something and see what comes back, with the tools that a user would take.
import { isIPv6 } from 'node:net';
import { CheckFailed, expect } from './check.ts';
import type { Place } from './places.ts';

export type Seen = { readonly pod: string; readonly peer: string; readonly bytes: number };

const bracketed = (host: string): string => (isIPv6(host) ? `[${host}]` : host);
export const url = (host: string, port: number, path = '/'): string => `http://${bracketed(host)}:${port}${path}`;

const CURL = ['curl', '--silent', '--show-error', '--globoff', '--connect-timeout', '2', '--max-time', '4'];

/** GET, answered by the echo server: what it saw. Throws CheckFailed. */
export async function httpGet(from: Place, target: string, more: readonly string[] = []): Promise<Seen> {
  const ran = await from.run([...CURL, ...more, target]);
  if (ran.code !== 0) throw new CheckFailed(`${from.name} cannot reach ${target}: ${ran.stderr.trim() || `exit code ${ran.code}`}`);
  return JSON.parse(ran.stdout) as Seen; // as: written by apps/echo.ts
}

// $1 host, $2 port, $3 bytes: sends one datagram and compares what comes back within two seconds.
const UDP_SCRIPT = `
exec 3<>"/dev/udp/$1/$2" || exit 3
message=$(head -c "$3" /dev/zero | tr '\\0' s)
printf %s "$message" | dd bs=65536 iflag=fullblock status=none >&3 || exit 4
reply=$(timeout 2 dd bs=65536 count=1 status=none <&3) || exit 5
[ "$reply" = "$message" ] || exit 6`;

const UDP_FAILURES: Readonly<Record<number, string>> = {
  3: 'no socket could be connected',
  4: 'the datagram could not be sent',
  5: 'no answer came, or a refusal',
  6: 'the answer is not what was sent',
};

/** One datagram there and back. Throws CheckFailed. */
export async function udpEcho(from: Place, host: string, port: number, bytes = 32): Promise<void> {
  const ran = await from.run(['bash', '-c', UDP_SCRIPT, 'udp', host, `${port}`, `${bytes}`]);
  const why = UDP_FAILURES[ran.code] ?? `exit code ${ran.code}`;
  expect(ran.code === 0, `${from.name} cannot send ${bytes} bytes by UDP to ${host} port ${port}: ${why} ${ran.stderr.trim()}`);
}

/** One datagram that asks who is there: the pod's name and the address that it saw. */
export async function udpWho(from: Place, host: string, port: number): Promise<{ readonly pod: string; readonly peer: string }> {
  const script = 'exec 3<>"/dev/udp/$1/$2" && printf who >&3 && timeout 2 dd bs=65536 count=1 status=none <&3';
  const ran = await from.run(['bash', '-c', script, 'udp', host, `${port}`]);
  const [pod = '', peer = ''] = ran.stdout.split(' ');
  expect(peer !== '', `${from.name} got no answer by UDP from ${host} port ${port}: ${ran.stderr.trim()}`);
  return { pod, peer };
}

/** Throws CheckFailed unless one ping of `bytes` is answered. */
export async function ping(from: Place, host: string, bytes = 56): Promise<void> {
  const ran = await from.run(['ping', '-n', '-q', '-c', '1', '-W', '2', '-s', `${bytes}`, host]);
  expect(ran.code === 0, `${from.name} gets no answer to a ping of ${bytes} bytes to ${host}`);
}

export type Refusal = { readonly milliseconds: number };

/** Throws CheckFailed unless the connection is refused; tells how long that took. */
export async function tcpRefusal(from: Place, host: string, port: number): Promise<Refusal> {
  const ran = await from.run([
    'curl',
    '--silent',
    '--output',
    '/dev/null',
    '--globoff',
    '--max-time',
    '3',
    '--write-out',
    '%{time_total}',
    url(host, port),
  ]);
  expect(
    ran.code === 7,
    `${from.name} to ${host} port ${port}: wanted a refusal, curl says ${ran.code === 0 ? 'connected' : `exit code ${ran.code}`}`,
  );
  return { milliseconds: Number(ran.stdout) * 1_000 };
}

// A refusal may come from connect, from send, or as an ICMP error that ends the read. Prints the exit code and milliseconds.
const UDP_REFUSAL_SCRIPT = `
start=\${EPOCHREALTIME/./}
(exec 3<>"/dev/udp/$1/$2" && printf x >&3 && timeout 2 dd bs=64 count=1 status=none <&3 >/dev/null)
code=$?
end=\${EPOCHREALTIME/./}
echo "$code $(( (end - start) / 1000 ))"`;

/** Throws CheckFailed unless a datagram is refused, at once or by an ICMP error. */
export async function udpRefusal(from: Place, host: string, port: number): Promise<Refusal> {
  const ran = await from.run(['bash', '-c', UDP_REFUSAL_SCRIPT, 'udp', host, `${port}`]);
  const [code = '', milliseconds = ''] = ran.stdout.trim().split(' ');
  const isRefused = /refused|unreachable|not permitted/i.test(ran.stderr) && code !== '124';
  expect(
    isRefused,
    `${from.name} by UDP to ${host} port ${port}: wanted a refusal, saw ${code === '0' ? 'an answer' : 'silence'} ${ran.stderr.trim()}`,
  );
  return { milliseconds: Number(milliseconds) };
}

/** Throws CheckFailed if a TCP connection comes about within a second. */
export async function unreachable(from: Place, host: string, port: number): Promise<void> {
  const ran = await from.run([
    'curl',
    '--silent',
    '--output',
    '/dev/null',
    '--globoff',
    '--connect-timeout',
    '1',
    '--max-time',
    '2',
    url(host, port),
  ]);
  expect(ran.code !== 0, `${from.name} reached ${host} port ${port}, which it must not`);
}

// $1 address, $2 port, $3 how many: one connection, a request every 50 ms, each answered before the next.
const LONG_SCRIPT = `
exec 3<>"/dev/tcp/$1/$2" || exit 3
for number in $(seq "$3"); do
  printf 'GET /bytes/8 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' >&3
  while IFS= read -r -t 2 -u 3 line; do [ "$line" = $'\\r' ] && break; done || exit 4
  IFS= read -r -t 2 -N 8 -u 3 body && [ "$body" = 'stentor ' ] || exit 5
  sleep 0.05
done`;

/** One connection that is used every 50 ms, `requests` times. Throws CheckFailed when it breaks. */
export async function longConnection(from: Place, host: string, port: number, requests: number): Promise<void> {
  const ran = await from.run(['bash', '-c', LONG_SCRIPT, 'tcp', host, `${port}`, `${requests}`], requests * 200 + 10_000);
  const stage: Readonly<Record<number, string>> = { 3: 'did not come about', 4: 'broke before an answer', 5: 'broke in an answer' };
  expect(
    ran.code === 0,
    `A connection of ${from.name} to ${host} port ${port} ${stage[ran.code] ?? `ended with ${ran.code}`} ${ran.stderr.trim()}`,
  );
}
