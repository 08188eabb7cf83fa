// SPDX-License-Identifier: Apache-2.0
// The tables of services and how they follow from each other.
//
//   services ┐                ┌─ frontends ──────────────────────┬─▶ lb_services
//   slices   ┴────────────────┤   node addresses ────────────────┼─▶ lb_addresses
//                             └─ sets ──┬─ slots ────────────────┴─▶ lb_slots
//                                       ├─ maglev ─────────────────▶ lb_maglev_parts, lb_maglev
//                                       ├──────────────────────────▶ lb_members, lb_source_ranges
//                                       └─ backends ───────────────▶ lb_backends
//
// Numbers (sets, backends) and slots are durable in the kernel's maps: `before` was read from there, at start.

import { number } from '../base/assign.ts';
import type { Numbered } from '../base/assign.ts';
import { olderFirst } from '../base/age.ts';
import { derive, from, late } from '../base/derive.ts';
import type { Derivation } from '../base/derive.ts';
import { familyOf } from '../base/ip.ts';
import type { Family, Ip } from '../base/ip.ts';
import type { ProblemBook } from '../base/problem.ts';
import { sameRow } from '../base/same.ts';
import { table } from '../base/table.ts';
import type { Table } from '../base/table.ts';
import type { MapEntry } from '../datapath/maps.ts';
import type {
  LbAddress,
  LbBackend,
  LbBackendKey,
  LbFrontend,
  LbMember,
  LbMemberValue,
  LbService,
  LbSlot,
  LbSlotValue,
  LbSourceRange,
  LbSourceRangeValue,
} from '../datapath/schema.gen.ts';
import type { NodeAddress } from '../nodes/node-ports.ts';
import { addressEntries, addressesOf } from './addresses.ts';
import { takeFrom } from './before.ts';
import { disagreementsAmong } from './disagreements.ts';
import type { ServicesBefore } from './before.ts';
import { backendEntries, backendsFor, memberEntries, serviceEntries, slotEntries, slotsFor, sourceRangeEntries } from './entries.ts';
import type { SlotRow } from './entries.ts';
import { backendSetsFor, EVERY_ADDRESS, frontendConflict, frontendKey, frontendsFor } from './frontends.ts';
import type { Backend, BackendSet, Frontend, SetOptions } from './frontends.ts';
import { healthCheckDerivation } from './health-checks.ts';
import type { HealthCheck } from './health-checks.ts';
import { hostPortFrontends, hostPortSets, placeText } from './host-ports.ts';
import type { HostPortRow } from './host-ports.ts';
import { noRedirects, onceKnown, redirectFor, sharedWith } from './redirect.ts';
import type { Redirects } from './redirect.ts';
import { maglevTables } from './maglev.ts';
import type { ServiceRow, SliceRow } from './service.ts';
import { serviceSources } from './sources.ts';
import type { ServiceSources } from './sources.ts';
import type { OwnNode } from './topology.ts';

export type ServiceTables = ServiceSources &
  Redirects &
  Omit<ReturnType<typeof maglevTables>, 'derivations'> & {
    readonly frontends: Table<string, Frontend>;
    readonly sets: Table<string, BackendSet>;
    readonly hostPorts: Table<string, HostPortRow>;
    readonly ownNode: Table<string, OwnNode>;
    readonly setIds: Table<string, Numbered>;
    readonly slots: Table<string, SlotRow>;
    readonly backends: Table<string, Backend>;
    readonly backendIds: Table<string, Numbered>;
    readonly lbServices: Table<string, MapEntry<LbFrontend, LbService>>;
    readonly lbSlots: Table<string, MapEntry<LbSlot, LbSlotValue>>;
    readonly lbBackends: Table<string, MapEntry<LbBackendKey, LbBackend>>;
    readonly lbMembers: Table<string, MapEntry<LbMember, LbMemberValue>>;
    readonly lbSourceRanges: Table<string, MapEntry<LbSourceRange, LbSourceRangeValue>>;
    /** Where balancers outside ask for this node. */
    readonly healthChecks: Table<string, HealthCheck>;
    readonly lbAddresses: Table<string, MapEntry<Ip, LbAddress>>;
    readonly derivations: readonly Derivation[];
  };

const LAST_ID = 0xffff_ffff;
/** Before the key of a redirect's set, among names of Services. */
const REDIRECT = 'redirect ';
const same = { same: sameRow };
const NOWHERE = { type: 'NodePort', address: EVERY_ADDRESS[4] } as const;

export type ServiceOptions = {
  readonly before: ServicesBefore;
  readonly problems: ProblemBook;
  /** healthCheckNodePort is served. */
  readonly answersHealthChecks?: boolean;
  /** It is so at load balancer IPs, too. */
  readonly healthOnVips?: boolean;
  /** Those of this node that have node ports. */
  readonly nodeAddresses: Table<string, NodeAddress>;
  readonly sources?: ServiceSources;
  readonly redirected?: Redirects;
} & Omit<SetOptions, 'isOwnAddress' | 'ownNode' | 'healthAddress'>;

export function serviceTables({
  before,
  problems,
  nodeAddresses,
  sources: { services, slices } = serviceSources(),
  redirected = noRedirects(),
  ...given
}: ServiceOptions): ServiceTables {
  const { redirects, redirectSets } = redirected;
  const hostPorts = table<string, HostPortRow>('host_ports', { ...same, indexes: { place: ({ ports }) => ports.map(placeText) } });
  const ownNode = table<string, OwnNode>('own_node', same);
  const frontends = table<string, Frontend>('frontends', {
    ...same,
    indexes: { address: addressesOf },
  });
  const sets = table<string, BackendSet>('backend_sets', same);
  const setIds = table<string, Numbered>('backend_set_ids', same);
  const backends = table<string, Backend>('backends', same);
  const backendIds = table<string, Numbered>('backend_ids', same);
  const slots = table<string, SlotRow>('slots', same);
  const healthChecks = table<string, HealthCheck>('health_checks', same);
  const lbServices = table<string, MapEntry<LbFrontend, LbService>>('lb_services', same);
  const lbSlots = table<string, MapEntry<LbSlot, LbSlotValue>>('lb_slots', same);
  const lbBackends = table<string, MapEntry<LbBackendKey, LbBackend>>('lb_backends', same);
  const lbMembers = table<string, MapEntry<LbMember, LbMemberValue>>('lb_members', same);
  const lbSourceRanges = table<string, MapEntry<LbSourceRange, LbSourceRangeValue>>('lb_source_ranges', same);
  const lbAddresses = table<string, MapEntry<Ip, LbAddress>>('lb_addresses', same);

  const owner = (_key: string, slice: SliceRow | undefined, last: SliceRow | undefined) =>
    [slice?.service, last?.service].filter((name) => name !== undefined);
  const kept = (key: string, frontend: string) => {
    if (redirects.get(frontend)?.set === key) return before.redirectOf;
    return frontends.get(frontend)?.set === key ? before.setOf : before.outsideOf;
  };
  const setOf = (key: string, set: BackendSet) =>
    set.frontends.map((frontend) => takeFrom(kept(key, frontend), frontend)).find((id) => id !== undefined);
  const previousSlots = (key: string) => (id: number) => slots.get(key)?.backends ?? takeFrom(before.slotsOf, id) ?? [];
  const ofSet = (key: string) => (sets.get(key)?.frontends ?? []).flatMap((one) => addressesOf(frontends.get(one) ?? NOWHERE));
  const owners = { redirects, frontends, nodeAddresses };
  const redirectedBefore = new Set(before.redirectOf.keys());

  const healthAddress = (family: Family) =>
    given.answersHealthChecks === true && given.healthOnVips === true
      ? Array.from(nodeAddresses.entries(), ([, { address }]) => address).find((one) => familyOf(one) === family)
      : undefined;
  const isOwnAddress = (address: Ip) => nodeAddresses.has(address);
  const options = { ...given, isOwnAddress, healthAddress, ownNode: () => ownNode.get(given.self) };
  const placed = () => Array.from(services.by('placed', 'placed'), ({ name }) => name);
  const ofPlaced = () => from<string, string, OwnNode>(ownNode, placed);
  const ofZone = (_name: string, now: OwnNode | undefined, then: OwnNode | undefined) =>
    given.topology === true && now?.zone !== then?.zone ? Array.from(services.entries(), ([name]) => name) : placed();
  const ofOwnAddress = () =>
    from<string, string, NodeAddress>(nodeAddresses, (address) =>
      [...services.by('external', address), ...services.by('checked', 'checked')].map(({ name }) => name),
    );
  const context = { nodeAddresses, services };
  const podKeys = (places: Iterable<string>) =>
    Array.from(places, (place) => Array.from(hostPorts.by('place', place), ({ pod }) => `Pod ${pod}`)).flat();
  const nodePortsOf = (row: ServiceRow | undefined) =>
    (row?.ports ?? []).map(({ nodePort, protocol }) => placeText({ port: nodePort, protocol }));
  const ofHostPorts = () => [
    from<string, string, HostPortRow>(hostPorts),
    from<string, string, ServiceRow>(services, (_name, now, then) => podKeys([...nodePortsOf(now), ...nodePortsOf(then)])),
    from<string, string, NodeAddress>(nodeAddresses, () => Array.from(hostPorts.entries(), ([key]) => key)),
  ];
  const numbered = { sets, setIds, backendIds };
  const ofSets = <V>(out: Table<string, V>, compute: (key: string) => Iterable<readonly [string, V]>) =>
    derive({ name: out.name, inputs: [from(sets), from(setIds)], out: out.writer(out.name), compute });
  const { derivations: ofMaglev, ...maglev } = maglevTables(numbered, given.balance);
  const derivations = [
    derive({
      name: 'frontends',
      inputs: [from(services), ofOwnAddress(), ofPlaced(), ...ofHostPorts()],
      out: frontends.writer('frontends'),
      compute: function* (name) {
        yield* frontendsFor(services.get(name), options);
        yield* hostPortFrontends(hostPorts.get(name), context);
      },
      problems,
      conflict: frontendConflict,
      prefer: (a, b) => olderFirst([services.get(a), a], [services.get(b), b]),
    }),
    derive({
      name: 'backend sets',
      whole: true,
      inputs: [
        from(services),
        from(slices, owner),
        ofOwnAddress(),
        from(ownNode, ofZone),
        ...ofHostPorts(),
        late(from(redirectSets, (key) => [`${REDIRECT}${key}`])),
      ],
      out: sets.writer('backend sets'),
      compute: function* (name) {
        yield* backendSetsFor(services.get(name), slices, options);
        yield* hostPortSets(hostPorts.get(name), context);
        if (services.has(name)) yield* disagreementsAmong([...slices.by('service', name)]);
        const key = name.slice(REDIRECT.length);
        const redirect = name.startsWith(REDIRECT) ? redirectSets.get(key) : undefined;
        if (redirect) yield [key, redirect];
      },
      problems,
    }),
    healthCheckDerivation(healthChecks, given.answersHealthChecks === true, { self: given.self, services, slices, nodeAddresses }),
    derive({ name: 'backends', inputs: [from(sets)], out: backends.writer('backends'), compute: (key) => backendsFor(sets.get(key)) }),
    number({
      name: 'backend set ids',
      from: sets,
      out: setIds.writer('numbering'),
      previous: setOf,
      reserved: [before.setOf, before.outsideOf, before.redirectOf].flatMap((known) => [...known.values()]),
      range: [1, LAST_ID],
    }),
    number({
      name: 'backend ids',
      from: backends,
      out: backendIds.writer('numbering'),
      previous: (key) => takeFrom(before.backendOf, key),
      reserved: before.backendOf.values(),
      range: [1, LAST_ID],
    }),
    derive({
      name: 'slots',
      inputs: [from(sets), from(setIds)],
      out: slots.writer('slots'),
      compute: (key) => slotsFor(key, numbered, previousSlots(key)),
    }),
    derive({
      name: 'lb_backends',
      inputs: [from(backendIds)],
      out: lbBackends.writer('lb_backends'),
      compute: (key) => backendEntries(key, backends, backendIds),
    }),
    ofSets(lbMembers, (key) => memberEntries(key, numbered)),
    ofSets(lbSourceRanges, (key) => sourceRangeEntries(key, numbered)),
    ...ofMaglev,
    derive({ name: 'lb_slots', inputs: [from(slots)], out: lbSlots.writer('lb_slots'), compute: (key) => slotEntries(slots.get(key)) }),
    derive({
      name: 'lb_services',
      inputs: [
        from(frontends, (key, now, last) => [key, ...sharedWith(now ?? last, owners)]),
        from(slots, (key) => sets.get(key)?.frontends ?? []),
        from(redirects),
        from(nodeAddresses, (address) => Array.from(redirects.by('address', address), frontendKey)),
        onceKnown(redirected, [...redirectedBefore]),
      ],
      out: lbServices.writer('lb_services'),
      compute: (key) => {
        if (redirectedBefore.has(key) && !redirectSets.complete) return []; // stays as it is until it is known
        return serviceEntries(frontends.get(key), redirectFor(key, owners), slots);
      },
      problems,
    }),
    derive({
      name: 'lb_addresses',
      inputs: [
        from(frontends, (_key, now, last) => [now, last].flatMap((one) => (one ? addressesOf(one) : []))),
        from(setIds, ofSet),
        from(sets, ofSet),
        from(redirects, (_key, now, last) => [now, last].flatMap((one) => one?.address ?? [])),
        from(nodeAddresses),
      ],
      out: lbAddresses.writer('lb_addresses'),
      compute: (address) => addressEntries(address, { ...owners, sets, setIds }),
    }),
  ];
  return {
    services,
    slices,
    hostPorts,
    ownNode,
    redirects,
    redirectSets,
    frontends,
    sets,
    setIds,
    slots,
    backends,
    backendIds,
    lbServices,
    lbSlots,
    lbBackends,
    lbMembers,
    lbSourceRanges,
    lbAddresses,
    healthChecks,
    ...maglev,
    derivations,
  };
}
