// SPDX-License-Identifier: Apache-2.0
// `bpf lb list`, `bpf lb maglev`, `bpf ct list global`, `bpf nat list`, `bpf nat ports`: what the kernel has, whatever the agent thinks.

import { mapKinds } from '../datapath/maps.ts';
import { conntrackEntryCodec, flowCodec } from '../datapath/schema.gen.ts';
import { destinationText, portCount } from '../flows/port-use.ts';
import { native } from '../kernel/addon.ts';
import { conntrackLine, conntrackRows, natLine } from './bpf-conntrack.ts';
import type { ConntrackRow } from './bpf-conntrack.ts';
import { backendMapRows, reverseRows, rowsObject, serviceMapRows } from './bpf-lb.ts';
import type { BpfRow, ServiceMaps } from './bpf-lb.ts';
import { maglevTables, partsBy, sharesText } from './bpf-maglev.ts';
import type { MaglevTable } from './bpf-maglev.ts';
import { list } from './columns.ts';
import type { Io } from './command.ts';
import { argumentsOf, outputOption, print, UsageError } from './command.ts';
import { BPF_ROOT, pinnedBytes, pinnedEntries } from './pinned.ts';

export const help = `Usage: NAME bpf lb list [--frontends|--backends|--revnat] | lb maglev list | lb maglev get ID | ct list global [-d] | nat list | nat ports   [-o json] [--bpf-root PATH]

Reads the maps of this node where they are pinned: what the kernel does, also while no agent runs. Needs root.

  lb list          each service address with its id, and the backend in each slot
    --frontends    without the slots
    --backends     each backend by its id
    --revnat       each service id with its addresses
  lb maglev list   each service id that has a Maglev table, and which backend has what share of it
  lb maglev get    the backend id in each entry of the table of one service id
  ct list global   known flows: two entries for each, one a direction
    -d, --time-diff  also the seconds until an idle flow is forgotten
  nat list         those flows whose packets are translated, and into what
  nat ports        how many ports each address has in use towards each destination, and who holds most; most ports first
  --bpf-root PATH  where bpf.root of the values is, when not ${BPF_ROOT}

Examples:
  NAME bpf lb list | grep 10.96.0.10
  NAME bpf ct list global -d | grep 10.244.1.5
  NAME bpf nat list
`;

const options = {
  frontends: { type: 'boolean' },
  backends: { type: 'boolean' },
  revnat: { type: 'boolean' },
  'time-diff': { type: 'boolean', short: 'd' },
  'bpf-root': { type: 'string', default: BPF_ROOT },
  ...outputOption,
} as const;

type Values = ReturnType<typeof argumentsOf<typeof options>>['values'];

const commands: Readonly<
  Record<
    string,
    { readonly takes: readonly (keyof typeof options)[]; readonly show: (values: Values, io: Io, id: string | undefined) => void }
  >
> = {
  'lb list': { takes: ['frontends', 'backends', 'revnat'], show: showServices },
  'lb maglev list': { takes: [], show: showMaglev },
  'lb maglev get': { takes: [], show: showMaglevTable },
  'ct list global': { takes: ['time-diff'], show: showConntrack },
  'nat list': { takes: [], show: showTranslations },
  'nat ports': { takes: [], show: showPorts },
};

const GET = 'lb maglev get';

export function run(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = argumentsOf(args, options, 4);
  const [words, id] = positionals.slice(0, 3).join(' ') === GET ? [GET, positionals[3]] : [positionals.join(' ')];
  const command = Object.hasOwn(commands, words) ? commands[words] : undefined;
  if (!command)
    throw new UsageError(
      `Cannot run 'bpf ${words}', wanted ${Object.keys(commands)
        .map((name) => `bpf ${name}`)
        .join(', ')}`,
    );
  const given = (['frontends', 'backends', 'revnat', 'time-diff'] as const).filter((name) => values[name]);
  const stray = given.find((name) => !command.takes.includes(name));
  if (stray !== undefined) throw new UsageError(`Cannot use --${stray} with 'bpf ${words}'`);
  if (words === 'lb list' && given.length > 1) throw new UsageError(`Cannot use --${given.join(' and --')} at once`);
  command.show(values, io, id);
  return Promise.resolve(0);
}

function showServices(values: Values, io: Io): void {
  const root = values['bpf-root'];
  const services = () => [...pinnedEntries(root, mapKinds.lbServices)];
  const backends = () => pinnedEntries(root, mapKinds.lbBackends);
  const show = (header: readonly string[], rows: readonly BpfRow[]) =>
    print(io, values.output, values.output === 'json' ? rowsObject(rows) : {}, () => list(header, rows));
  if (values.backends) return show(['ID', 'BACKEND ADDRESS'], backendMapRows(backends()));
  if (values.revnat) return show(['ID', 'SERVICE ADDRESS'], reverseRows(services()));
  const maps: ServiceMaps = {
    services: services(),
    slots: pinnedEntries(root, mapKinds.lbSlots),
    backends: backends(),
    addresses: pinnedEntries(root, mapKinds.lbAddresses),
  };
  show(['SERVICE ADDRESS', 'BACKEND ADDRESS (REVNAT_ID) (SLOT)'], serviceMapRows(maps, values.frontends ?? false));
}

function maglevIn(root: string): readonly MaglevTable[] {
  return maglevTables({ tables: pinnedEntries(root, mapKinds.lbMaglev), part: partsBy(pinnedEntries(root, mapKinds.lbMaglevParts)) });
}

function showMaglev(values: Values, io: Io): void {
  const tables = maglevIn(values['bpf-root']);
  print(io, values.output, tables, () =>
    list(
      ['SVC ID', 'SIZE', 'BACKEND IDS'],
      tables.map((table) => [`${table.service}`, `${table.size}`, sharesText(table)]),
    ),
  );
}

function showMaglevTable(values: Values, io: Io, id: string | undefined): void {
  if (id === undefined) throw new UsageError(`Cannot run 'bpf ${GET}', wanted the id of a service (bpf lb list has it)`);
  const found = maglevIn(values['bpf-root']).find(({ service }) => String(service) === id);
  if (!found) throw new UsageError(`Cannot find a Maglev table of service ${id} (bpf lb maglev list has those that are)`);
  print(io, values.output, found, () => `${found.backends.join(' ')}\n`);
}

const conntrack = { name: 'conntrack', key: flowCodec, value: conntrackEntryCodec };

function living(values: Values, now: number): Iterable<ConntrackRow> {
  return conntrackRows(pinnedEntries(values['bpf-root'], conntrack), now);
}

/** Seconds of the clock that the programs read. */
function monotonicSeconds(): number {
  return Number(native().monotonicNs() / 1_000_000_000n);
}

function showConntrack(values: Values, io: Io): void {
  const now = monotonicSeconds();
  if (values.output !== undefined) return print(io, values.output, [...living(values, now)], () => '');
  inPieces(io, living(values, now), (row) => conntrackLine(row, now, values['time-diff'] ?? false));
}

function showTranslations(values: Values, io: Io): void {
  const now = monotonicSeconds();
  const rows = () => [...living(values, now)].filter((row) => natLine(row, now) !== undefined);
  if (values.output !== undefined) return print(io, values.output, rows(), () => '');
  inPieces(io, living(values, now), (row) => natLine(row, now) ?? '');
}

function showPorts(values: Values, io: Io): void {
  const count = portCount(monotonicSeconds());
  for (const [key, value] of pinnedBytes(values['bpf-root'], 'conntrack')) count.add(key, value);
  const rows = count.uses().map(({ to, ...use }) => ({ ...use, destination: destinationText(to) }));
  print(io, values.output, rows, () =>
    list(
      ['ADDRESS', 'DESTINATION', 'PORTS', 'MOST OF THEM'],
      rows.map(({ address, destination, ports, holders: [most] }) => [
        address,
        destination,
        `${ports}`,
        `${most?.source} (${most?.ports})`,
      ]),
    ),
  );
}

const PIECE = 1000;

/** Prints as it reads: a map may have hundreds of thousands of entries. */
function inPieces(io: Io, rows: Iterable<ConntrackRow>, text: (row: ConntrackRow) => string): void {
  let lines: string[] = [];
  for (const row of rows) {
    lines.push(text(row));
    if (lines.length < PIECE) continue;
    io.out(lines.join(''));
    lines = [];
  }
  io.out(lines.join(''));
}
