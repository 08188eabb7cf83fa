// SPDX-License-Identifier: Apache-2.0
// The flags of `hubble observe` that do not filter, and what they ask a server for.

import { fromJson, JsonError } from '../../grpc/json.ts';
import { flowFilter } from '../../hubble/filter-message.ts';
import type { FlowFilter } from '../../hubble/filter-message.ts';
import type { GetFlowsRequest } from '../../hubble/observer.ts';
import { UsageError } from '../command.ts';
import { filterOptions, filtersOf } from './filters.ts';
import type { FilterJson } from './filters.ts';
import { serverFlags } from './server-flags.ts';
import { flagsText } from './settings.ts';
import type { Flag, Settings } from './settings.ts';
import { timeFormats, timeIn } from './time.ts';

const selectorFlags: readonly Flag[] = [
  { name: 'last', value: 'N', help: 'the newest N (20 when nothing else is said)' },
  { name: 'first', value: 'N', help: 'the oldest N' },
  { name: 'all', help: 'everything that there is' },
  { name: 'follow', short: 'f', help: 'go on as they come' },
  { name: 'since', value: 'TIME', help: 'from then on: 5m (ago), 2026-01-31T15:04:05Z' },
  { name: 'until', value: 'TIME', help: 'no later ones' },
];

const formatFlags: readonly Flag[] = [
  { name: 'output', short: 'o', value: 'FORMAT', default: 'compact', help: 'compact, dict, table (tab), json or jsonpb' },
  { name: 'time-format', value: 'FORMAT', default: 'StampMilli', help: Object.keys(timeFormats).join(', ') },
  { name: 'print-node-name', help: 'the node that saw it' },
  { name: 'print-policy-names', help: 'the policies that allowed or denied it' },
  { name: 'color', value: 'WHEN', default: 'auto', help: 'auto, always or never' },
  { name: 'ip-translation', default: true, help: 'names for addresses; --ip-translation=false: addresses' },
  { name: 'numeric', help: 'addresses' },
];

const otherFlags: readonly Flag[] = [
  { name: 'not', help: 'turn the next filter round' },
  { name: 'allowlist', value: 'JSON', help: 'FlowFilters: what is wanted' },
  { name: 'denylist', value: 'JSON', help: 'FlowFilters: what is not' },
  { name: 'print-raw-filters', help: 'print the filters as FlowFilters, and ask nobody' },
  { name: 'input-file', value: 'FILE', help: 'flows from a file of JSON lines instead; - is standard input' },
  { name: 'silent-errors', short: 's', help: 'do not tell of nodes that are missing' },
  { name: 'field-mask', value: 'FIELDS', help: 'only these fields, with -o json' },
  { name: 'use-default-field-masks', default: true, help: 'ask only for what is printed' },
];

const filterFlags: readonly Flag[] = filterOptions.map(({ name, short, boolean, help }) => ({
  name,
  short,
  ...(!boolean && { value: 'WORD' }),
  help,
}));

export const observeFlags: readonly Flag[] = [...selectorFlags, ...filterFlags, ...otherFlags, ...formatFlags, ...serverFlags];

export const help = `Usage: NAME observe [FLAGS]
       NAME observe agent-events|debug-events [FLAGS]

Flows of the whole cluster, oldest first: who talks to whom, what became of it, and why. agent-events: what one agent itself did.

Which of them:
${flagsText(selectorFlags)}

Filters (each may be given several times, which means any of them; different ones mean all of them; --from-X and --to-X as well as --X where there are two ends):
${flagsText(filterFlags.filter(({ name }) => !/^(from|to)-/.test(name)))}

More:
${flagsText(otherFlags)}

How they look:
${flagsText(formatFlags)}

Who is asked:
${flagsText(serverFlags)}

Examples:
  NAME observe --follow
  NAME observe --namespace networking
  NAME observe --protocol dns
  NAME observe --verdict DROPPED --since 10m --print-policy-names
  NAME observe --from-pod shop/cart --not --to-port 53 -o json
`;

/** Which flows, of those that match. */
export type Selection = {
  readonly number: number | undefined;
  readonly first: boolean;
  readonly follow: boolean;
  readonly since: bigint | undefined;
  readonly until: bigint | undefined;
};

/** `last`: how many of the newest, when nothing else is said. */
type Defaults = { readonly now: number; readonly last: number; readonly json: boolean };

/** Throws UsageError for what cannot be had together. */
export function selectionOf(settings: Settings, { now, last: byDefault }: Pick<Defaults, 'now' | 'last'>): Selection {
  const [first, last] = [settings.number('first'), settings.number('last')];
  const [all, follow] = [settings.on('all'), settings.on('follow')];
  const together = (one: string, other: string) => new UsageError(`Cannot combine --${one} and --${other}`);
  if (first !== undefined && last !== undefined) throw together('first', 'last');
  if (first !== undefined && all) throw together('first', 'all');
  if (first !== undefined && follow) throw together('first', 'follow');
  if (last !== undefined && all) throw together('last', 'all');
  const time = (name: 'since' | 'until') => {
    const text = settings.text(name);
    return text === undefined ? undefined : timeIn(text, name, now);
  };
  const [since, until] = [time('since'), follow ? undefined : time('until')];
  const open = first !== undefined || follow || since !== undefined || until !== undefined;
  const number = all ? Number.MAX_SAFE_INTEGER : (first ?? last ?? (open ? undefined : byDefault));
  return { number, first: first !== undefined, follow, since, until };
}

/** What a server is asked. Throws UsageError. */
export function requestOf(settings: Settings, defaults: Defaults): GetFlowsRequest {
  const { allow, deny } = filtersOf(settings.typed);
  return {
    ...selectionOf(settings, defaults),
    whitelist: allow.map(messageFor),
    blacklist: deny.map(messageFor),
    fieldMask: maskOf(settings, defaults.json),
  };
}

/** Throws UsageError for a filter that the protocol does not have. */
function messageFor(filter: FilterJson): FlowFilter {
  try {
    return fromJson(flowFilter, filter, (path) => {
      throw new JsonError(`${path} is no field of a FlowFilter`);
    });
  } catch (error) {
    if (error instanceof JsonError) throw new UsageError(`Cannot use the filter ${JSON.stringify(filter)}: ${error.message}`);
    throw error;
  }
}

/** What text shows, and what makes a verdict, a translation and a name readable. */
const textMask: readonly string[] = [
  'time',
  'verdict',
  'auth_type',
  'ethernet',
  'IP',
  'l4',
  ...['source', 'destination'].flatMap((end) => ['identity', 'namespace', 'pod_name'].map((field) => `${end}.${field}`)),
  'Type',
  'node_name',
  'source_names',
  'destination_names',
  'l7',
  'event_type',
  'source_service',
  'destination_service',
  'traffic_direction',
  'policy_match_type',
  'is_reply',
  'debug_capture_point',
  'sock_xlate_point',
  'Summary',
];
const policyMask = ['egress_allowed_by', 'ingress_allowed_by', 'egress_denied_by', 'ingress_denied_by'];

/** Undefined: all fields. Throws UsageError. */
function maskOf(settings: Settings, json: boolean): readonly string[] | undefined {
  const mask = settings.text('field-mask');
  if (mask !== undefined && !json) throw new UsageError('Cannot use --field-mask without -o json');
  if (mask !== undefined) return mask.split(',').map((path) => path.trim());
  if (json || !settings.on('use-default-field-masks')) return undefined;
  return settings.on('print-policy-names') ? [...textMask, ...policyMask] : textMask;
}
