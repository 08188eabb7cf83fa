// SPDX-License-Identifier: Apache-2.0

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startTestServer, TOKEN } from '../../sandbox/api/server-fixture.ts';
import { logTo } from '../base/log.ts';
import { until } from '../base/until.ts';
import { kubeClient } from '../kube/client.ts';
import { identitySecret } from '../kube/identity-secret.ts';
import { keepCertificates } from './hubble-certificates.ts';
import { grpcClient } from '../grpc/client.ts';
import { check, healthHandlers } from '../grpc/health.ts';
import { grpcServer } from '../grpc/server.ts';
import { certificatesFor } from './certificates.ts';
import type { Certificates } from './certificates.ts';
import { certificate } from './x509.ts';

const DAY = 24 * 3_600_000;
const now = Date.UTC(2026, 0, 1);
const names = new Map([
  ['server', '*.default.hubble-grpc.cilium.io'],
  ['client', '*.hubble-relay.cilium.io'],
]);
const at = (days: number, found: Partial<Certificates> = {}): Certificates => certificatesFor(found, { now: now + days * DAY, names });
const leaf = ({ leaves }: Certificates) => leaves.get('server') ?? assert.fail();
const trusts = (knows: Certificates, shown: Certificates): boolean =>
  (leaf(knows).ca.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? []).some((ca) =>
    new X509Certificate(leaf(shown).cert).verify(new X509Certificate(ca).publicKey),
  );

test('certificates are what openssl wants them to be', () => {
  const folder = mkdtempSync(join(tmpdir(), 'x509-'));
  const made = certificatesFor({}, { now: Date.now(), names });
  writeFileSync(join(folder, 'ca.pem'), leaf(made).ca);
  writeFileSync(join(folder, 'leaf.pem'), leaf(made).cert);
  const openssl = (...args: readonly string[]) => execFileSync('openssl', args, { cwd: folder, encoding: 'utf8' });
  for (const purpose of ['sslserver', 'sslclient'])
    assert.match(openssl('verify', '-x509_strict', '-purpose', purpose, '-CAfile', 'ca.pem', 'leaf.pem'), /leaf\.pem: OK/);
  const words = openssl('x509', '-in', 'leaf.pem', '-noout', '-text');
  for (const wanted of [/DNS:\*\.default\.hubble-grpc\.cilium\.io/, /CA:FALSE/, /ecdsa-with-SHA256/, /Version: 3/])
    assert.match(words, wanted);
  rmSync(folder, { recursive: true });
});

test('times beyond 2049 are written in the other form', () => {
  const { cert } = certificate({ name: 'x', from: Date.UTC(2049, 11, 31), until: Date.UTC(2051, 1, 2, 3, 4, 5), by: undefined });
  const { validFrom, validTo } = new X509Certificate(cert);
  assert.deepEqual([Date.parse(validFrom), Date.parse(validTo)], [Date.UTC(2049, 11, 31), Date.UTC(2051, 1, 2, 3, 4, 5)]);
});

test('what is good stays', () => {
  const first = at(0);
  assert.deepEqual(at(15, first), first);
});

test('a certificate is renewed before a third of its life is left, by the same authority', () => {
  const first = at(0);
  const later = at(21, first);
  assert.notEqual(leaf(later).cert, leaf(first).cert);
  assert.deepEqual(later.authority, first.authority);
  assert.ok(trusts(first, later) && trusts(later, first));
});

test('after a clock has gone on by 13 months everything works', () => {
  const first = at(0);
  const later = at(400, first);
  const { validFrom, validTo } = new X509Certificate(leaf(later).cert);
  assert.ok(Date.parse(validFrom) < now + 400 * DAY && Date.parse(validTo) > now + 420 * DAY);
  assert.ok(trusts(later, later));
});

test('after four years there is a new authority, and it signs at once', () => {
  const first = at(0);
  const later = at(4 * 365, first);
  assert.ok(trusts(later, later));
  assert.ok(!trusts(first, later), 'the old authority has ended');
});

test('every step of a change of authority is trusted by whoever knows the step before', () => {
  let before = at(0);
  let changes = 0;
  const step = (day: number) => (day > 700 && day < 770 ? 0.5 : 7); // the change is after two thirds of three years
  for (let day = 1; day < 1200; day += step(day)) {
    const next = at(day, before);
    if (next.authority.cert !== before.authority.cert) changes++;
    assert.ok(trusts(before, next) && trusts(next, before), `day ${day}`);
    const until = Date.parse(new X509Certificate(leaf(next).cert).validTo);
    assert.ok(until > now + (day + 5) * DAY, `day ${day}`);
    before = next;
  }
  assert.ok(changes >= 1);
});

test('what is no certificate, or another name, or a stranger, is replaced', () => {
  const first = at(0);
  const broken = new Map([...first.leaves, ['server', { cert: 'x', key: 'y', ca: 'z' }]]);
  assert.ok(trusts(first, at(1, { authority: first.authority, leaves: broken })));
  const other = new Map([...first.leaves, ['server', first.leaves.get('client') ?? assert.fail()]]);
  assert.match(new X509Certificate(leaf(at(1, { authority: first.authority, leaves: other })).cert).subjectAltName ?? '', /hubble-grpc/);
  const stranger = at(0);
  assert.ok(trusts(first, at(1, { authority: first.authority, leaves: stranger.leaves })));
  assert.ok(!trusts(first, stranger));
});

test('a server lets in whom its authority knows, and nobody else, and the client wants the name', async () => {
  const made = certificatesFor({}, { now: Date.now() - 22 * DAY, names });
  const stranger = certificatesFor({}, { now: Date.now(), names });
  const [server, relay] = [leaf(made), made.leaves.get('client') ?? assert.fail()];
  await using serving = grpcServer({ handlers: healthHandlers(() => true), tls: server });
  await serving.listen({ host: '127.0.0.1', port: 0 });
  const address = { host: '127.0.0.1', port: serving.port };
  const ask = async (tls: object | undefined, serverName = 'node1.default.hubble-grpc.cilium.io') => {
    using client = grpcClient({ address, ...(tls && { tls: { ...server, ...tls, serverName } }) });
    return await client.call(check, {}, { deadlineMs: 3000 });
  };
  assert.deepEqual(await ask(relay), { status: 1 });
  await assert.rejects(ask(relay, 'node1.other.hubble-grpc.cilium.io'), /does not match/);
  await assert.rejects(ask({ ...stranger.leaves.get('client'), ca: relay.ca }), 'a stranger');
  await assert.rejects(ask({ ...relay, ca: leaf(stranger).ca }), /self-signed|unable to verify/);
  await assert.rejects(ask({ ca: relay.ca, key: undefined, cert: undefined }), 'without a certificate');
  await assert.rejects(ask(undefined), 'without TLS');
  const renewed = certificatesFor(made, { now: Date.now(), names });
  assert.notEqual(leaf(renewed).cert, server.cert);
  serving.identify(leaf(renewed));
  assert.deepEqual(await ask(relay), { status: 1 });
});

test('the operator keeps Secrets, repairs them, and leaves those of others as they are', { timeout: 60_000 }, async (context) => {
  const { api, port } = await startTestServer(context, {});
  const { store } = api;
  const credentials = () => ({ token: TOKEN, ca: api.caPem, cert: undefined, key: undefined });
  const servers = () => [{ url: `https://127.0.0.1:${port}`, name: undefined }];
  const client = kubeClient({ access: { servers, insecure: false, namespace: undefined, credentials } });
  const mine = { metadata: { name: 'hubble-relay-client-certs', namespace: 'default' }, data: { 'tls.crt': 'bWluZQ==' } };
  store.create('secrets', mine);
  const stop = new AbortController();
  const term = { signal: stop.signal, holds: () => !stop.signal.aborted };
  let clock = { now: () => now, monotonic: () => 0 };
  const keep = async () => {
    const stopping = new AbortController();
    const one = { signal: stopping.signal, holds: term.holds };
    const done = keepCertificates({ client, namespace: 'default', cluster: 'my.east', clock, log: logTo(() => {}) }, one);
    const before = written();
    await until(() => written() !== before).finally(() => stopping.abort());
    await done;
  };
  const secret = (name: string) => store.get('secrets', { namespace: 'default', name });
  const written = (): string => JSON.stringify(secret('hubble-server-certs')?.['data']);
  await keep();
  await until(() => secret('hubble-server-certs') !== undefined);
  const identity = identitySecret({ client, namespace: 'default', name: 'hubble-server-certs' });
  void identity.run(() => {}, stop.signal);
  await until(() => identity.identity !== undefined);
  const shown = new X509Certificate(identity.identity?.cert ?? '');
  assert.equal(shown.checkHost('node1.my-east.hubble-grpc.cilium.io') !== undefined, true);
  assert.equal(identity.until, Date.parse(shown.validTo));
  assert.deepEqual(secret('hubble-relay-client-certs')?.['data'], mine.data);
  clock = { now: () => now + 25 * DAY, monotonic: () => 0 };
  const first = written();
  await keep();
  assert.notEqual(written(), first);
  stop.abort();
  client.close();
});
