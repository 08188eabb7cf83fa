// SPDX-License-Identifier: Apache-2.0
// Filters about requests of HTTP and DNS.

import { MessageType } from '../flows/flow-enums.ts';
import type { Dns, Flow, Http, HttpHeader } from '../flows/flow.ts';
import type { FlowFilter } from './filter-message.ts';
import { pattern } from './pattern.ts';

const http = ({ l7 }: Flow): Http | undefined => (l7?.record?.kind === 'http' ? l7.record : undefined);
const dns = ({ l7 }: Flow): Dns | undefined => (l7?.record?.kind === 'dns' ? l7.record : undefined);

/** Whoever asks for events of another kind only can never see one of these. */
function l7Only({ eventType = [] }: FlowFilter): void {
  if (eventType.length > 0 && !eventType.some(({ type = 0 }) => type === MessageType.L7))
    throw new SyntaxError(`goes with requests only, but event_type has not type ${MessageType.L7}`);
}

/** '404', or what it begins with: '4+', '40+'. */
function httpStatusCode(value: string, filter: FlowFilter): (flow: Flow) => boolean {
  l7Only(filter);
  if (!/^[1-5](?:\d\d|\d?\+)$/.test(value)) throw new SyntaxError(`'${value}' is no status, wanted one like 404, 40+ or 4+`);
  const [prefix, whole] = [value.replace('+', ''), !value.endsWith('+')];
  return (flow) => {
    const code = http(flow)?.code ?? 0;
    return code !== 0 && (whole ? String(code) === value : String(code).startsWith(prefix));
  };
}

/** Without scheme, host and what follows '?' or '#'. */
const pathOf = (url: string): string => /^(?:[a-z][\w+.-]*:\/\/[^/?#]*)?([^?#]*)/i.exec(url)?.[1] ?? '';

const text =
  (of: (flow: Flow) => string | undefined) =>
  (value: string, filter: FlowFilter): ((flow: Flow) => boolean) => {
    l7Only(filter);
    const matches = pattern(value);
    return (flow) => {
      const found = of(flow);
      return found !== undefined && matches(found);
    };
  };

export const requestTests = {
  httpStatusCode,
  httpMethod: (value: string, filter: FlowFilter): ((flow: Flow) => boolean) => {
    l7Only(filter);
    return (flow) => http(flow)?.method?.toLowerCase() === value.toLowerCase();
  },
  httpPath: text((flow) => {
    const found = http(flow);
    return found && pathOf(found.url ?? '');
  }),
  httpUrl: text((flow) => {
    const found = http(flow);
    return found && (found.url ?? '');
  }),
  httpHeader: ({ key = '', value = '' }: HttpHeader, filter: FlowFilter): ((flow: Flow) => boolean) => {
    l7Only(filter);
    return (flow) => (http(flow)?.headers ?? []).some((one) => (one.key ?? '') === key && (one.value ?? '') === value);
  },
  dnsQuery: text((flow) => {
    const found = dns(flow);
    return found && (found.query ?? '');
  }),
};
