// SPDX-License-Identifier: Apache-2.0
// What the engine costs at 10,000 services with 10 endpoints each, on targets in memory: `node bench/engine.ts [services]`.
//
//   services ┐                          ┌─▶ backends map
//            ├─▶ frontends (by service) ┤
//   slices   ┘                          └─▶ services map (a head and a slot per backend)

import { systemClock } from '../src/base/clock.ts';
import { engine } from '../src/base/commit.ts';
import { derive, from } from '../src/base/derive.ts';
import { reconciler } from '../src/base/reconcile.ts';
import type { Target } from '../src/base/reconcile.ts';
import { table } from '../src/base/table.ts';

type Service = { readonly ip: string; readonly ports: readonly { readonly port: number; readonly target: number }[] };
type Address = { readonly ip: string; readonly ready: boolean };
type Slice = { readonly service: string; readonly addresses: readonly Address[] };
type Frontend = { readonly service: string; readonly backends: readonly string[] };

const SERVICES = Number(process.argv[2] ?? 10_000);
const ENDPOINTS = 10;
const FLIPS = 2000;

const services = table<string, Service>('services');
const slices = table<string, Slice>('slices', { indexes: { service: (slice) => [slice.service] } });
const frontends = table<string, Frontend>('frontends');
const backendEntries = table<string, string>('backend entries');
const serviceEntries = table<string, string>('service entries');
const serviceWriter = services.writer('bench');
const sliceWriter = slices.writer('bench');

const derivations = [
  derive<string, string, Frontend>({
    name: 'frontends',
    inputs: [from(services), from(slices, (_key, now, before) => [now ?? before].flatMap((slice) => (slice ? [slice.service] : [])))],
    out: frontends.writer('frontends'),
    *compute(name) {
      const service = services.get(name);
      if (!service) return;
      const ready: string[] = [];
      for (const slice of slices.by('service', name)) for (const address of slice.addresses) if (address.ready) ready.push(address.ip);
      for (const { port, target } of service.ports)
        yield [`${service.ip}:${port}`, { service: name, backends: ready.toSorted().map((ip) => `${ip}:${target}`) }];
    },
  }),
  derive<string, string, string>({
    name: 'backend entries',
    inputs: [from(frontends)],
    out: backendEntries.writer('backend entries'),
    *compute(key) {
      for (const backend of frontends.get(key)?.backends ?? []) yield [backend, backend];
    },
  }),
  derive<string, string, string>({
    name: 'service entries',
    inputs: [from(frontends)],
    out: serviceEntries.writer('service entries'),
    *compute(key) {
      const frontend = frontends.get(key);
      if (!frontend) return;
      yield [key, `n=${frontend.backends.length}`];
      for (const [slot, backend] of frontend.backends.entries()) yield [`${key}#${slot}`, backend];
    },
  }),
];

let writes = 0;
function memory(name: string): Target<string, string> {
  const held = new Map<string, string>();
  return {
    name,
    list: () => held,
    put(entries) {
      writes += entries.length;
      for (const [key, value] of entries) held.set(key, value);
    },
    remove(entries) {
      writes += entries.length;
      for (const [key] of entries) held.delete(key);
    },
  };
}

const reconcilers = [reconciler(backendEntries, memory('backends')), reconciler(serviceEntries, memory('services'))];
const machine = engine({ derivations, walks: [reconcilers], clock: systemClock });

async function measured(what: string): Promise<void> {
  writes = 0;
  const { commits } = machine.status;
  const started = performance.now();
  await machine.settled();
  const heap = process.memoryUsage().heapUsed / 1e6;
  console.log(
    `${what}: ${(performance.now() - started).toFixed(0)} ms in ${machine.status.commits - commits} turns, longest so far ${machine.status.longestMs.toFixed(1)} ms, ${writes} writes, heap ${heap.toFixed(0)} MB`,
  );
}

const address = (number: number): string => `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}`;
const quantile = (sorted: readonly number[], part: number): string => (sorted[Math.floor(sorted.length * part)] ?? NaN).toFixed(3);

for (let i = 0; i < SERVICES; i++) {
  serviceWriter.put(`ns/s${i}`, { ip: `10.96.${i >> 8}.${i & 255}`, ports: [{ port: 80, target: 8080 }] });
  const addresses = Array.from({ length: ENDPOINTS }, (_, j) => ({ ip: address(i * ENDPOINTS + j), ready: true }));
  sliceWriter.put(`ns/s${i}-a`, { service: `ns/s${i}`, addresses });
}
serviceWriter.complete();
sliceWriter.complete();
await measured('first commit');

const took: number[] = [];
for (let i = 0; i < FLIPS; i++) {
  const key = `ns/s${(i * 7) % SERVICES}-a`;
  const slice = slices.get(key);
  if (!slice) continue;
  sliceWriter.put(key, { ...slice, addresses: slice.addresses.map((one, j) => (j === 0 ? { ...one, ready: !one.ready } : one)) });
  const started = performance.now();
  await machine.settled();
  took.push(performance.now() - started);
}
took.sort((a, b) => a - b);
console.log(`one endpoint flips: p50 ${quantile(took, 0.5)} ms, p99 ${quantile(took, 0.99)} ms`);

for (let i = 0; i < SERVICES; i++) {
  serviceWriter.delete(`ns/s${i}`);
  sliceWriter.delete(`ns/s${i}-a`);
}
await measured('delete all');
machine.close();
