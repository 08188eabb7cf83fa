// SPDX-License-Identifier: Apache-2.0
// Filters of clients, compiled once to a predicate. Within a filter every field that is set has to match, by any one of its
// values; among filters one is enough; a filter without any field matches everything. What cannot be is INVALID_ARGUMENT and
// names the field and the value.

import type { Flow } from '../flows/flow.ts';
import { RpcError, Status } from '../grpc/status.ts';
import type { FlowFilter } from './filter-message.ts';
import { endpointTests } from './filter-endpoints.ts';
import { packetTests } from './filter-packets.ts';
import { requestTests } from './filter-requests.ts';

export type Test = (flow: Flow) => boolean;

/** How a value of a field becomes a test; throws SyntaxError. `filter` is what else was asked for. */
type Compile<K extends keyof FlowFilter> = (value: Value<K>, filter: FlowFilter) => Test;
type Value<K extends keyof FlowFilter> = NonNullable<FlowFilter[K]> extends readonly (infer V)[] ? V : never;
type Tests = { readonly [K in Exclude<keyof FlowFilter, 'experimental'>]-?: Compile<K> };

const tests: Tests = { ...endpointTests, ...packetTests, ...requestTests };

const snake = (property: string): string => property.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const any = (of: readonly Test[]): Test => (of.length === 1 && of[0] ? of[0] : (flow) => of.some((test) => test(flow)));

function compiled(filter: FlowFilter, where: string): Test {
  if ((filter.experimental?.celExpression ?? []).length > 0)
    throw new RpcError(
      Status.INVALID_ARGUMENT,
      `${where}.experimental.cel_expression: CEL is not supported, wanted other fields of the filter`,
    );
  const all: Test[] = [];
  for (const [field, compile] of Object.entries<(value: never, filter: FlowFilter) => Test>(tests)) {
    const values = filter[field as keyof FlowFilter] as readonly never[] | undefined; // as: `Tests` has the fields of a filter, each a list
    if (values === undefined || values.length === 0) continue;
    all.push(
      any(
        values.map((value, index) => {
          try {
            return compile(value, filter);
          } catch (error) {
            if (!(error instanceof SyntaxError)) throw error;
            throw new RpcError(Status.INVALID_ARGUMENT, `${where}.${snake(field)}[${index}]: ${error.message}`, { cause: error });
          }
        }),
      ),
    );
  }
  return (flow) => all.every((test) => test(flow));
}

export type Filters = { readonly whitelist?: readonly FlowFilter[] | undefined; readonly blacklist?: readonly FlowFilter[] | undefined };

/** Whether a flow is wanted: one of the whitelist matches, or there is none, and none of the blacklist does. Throws RpcError. */
export function flowPredicate({ whitelist = [], blacklist = [] }: Filters): Test {
  const [white, black] = [
    whitelist.map((filter, index) => compiled(filter, `whitelist[${index}]`)),
    blacklist.map((filter, index) => compiled(filter, `blacklist[${index}]`)),
  ];
  return (flow) => (white.length === 0 || white.some((test) => test(flow))) && !black.some((test) => test(flow));
}
