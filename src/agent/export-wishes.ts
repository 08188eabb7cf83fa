// SPDX-License-Identifier: Apache-2.0
// Which flows go into which files: what the values say (hubble.export.static), and what a file says that may change at any time
// (hubble.export.dynamic, a ConfigMap that the kubelet puts there).

import { parse } from 'yaml';
import { messageOf } from '../base/errors.ts';
import { fromJson, JsonError } from '../grpc/json.ts';
import { RpcError } from '../grpc/status.ts';
import { responseCodec } from '../hubble/field-mask.ts';
import { flowFilter } from '../hubble/filter-message.ts';
import type { FlowFilter } from '../hubble/filter-message.ts';
import { flowPredicate } from '../hubble/filter.ts';

export type ExportWish = {
  readonly name: string;
  readonly filePath: string;
  readonly fieldMask: readonly string[];
  readonly include: readonly FlowFilter[];
  readonly exclude: readonly FlowFilter[];
  readonly maxSizeMb: number;
  readonly maxBackups: number;
  readonly compress: boolean;
  /** When it ends, in milliseconds since the epoch. */
  readonly end: number | undefined;
};

export type Wishes = { readonly wishes: readonly ExportWish[]; readonly mistakes: readonly string[] };

/** hubble.export.static as the values have it. */
export type StaticExport = {
  readonly filePath: string;
  readonly fieldMask: readonly string[];
  /** FlowFilters in JSON; one text may have several. */
  readonly allowList: readonly string[];
  readonly denyList: readonly string[];
  readonly maxSizeMb: number;
  readonly maxBackups: number;
  readonly compress: boolean;
};

export function staticWish({ allowList, denyList, ...rest }: StaticExport): Wishes {
  return checked(() => ({
    ...rest,
    name: 'static',
    include: filtersIn(allowList.join(' ')),
    exclude: filtersIn(denyList.join(' ')),
    end: undefined,
  }));
}

const DEFAULT_SIZE_MB = 10;
const DEFAULT_BACKUPS = 5;

/** `text`: flowLogs: [{ name, filePath, fieldMask, includeFilters, excludeFilters, fileMaxSizeMb, fileMaxBackups, fileCompress, end }]. */
export function dynamicWishes(text: string): Wishes {
  let logs: readonly unknown[];
  try {
    const document: unknown = parse(text);
    const found = document === null ? [] : fieldsOf(document, 'the file')['flowLogs'];
    logs = Array.isArray(found) ? found : [];
    if (found !== undefined && found !== null && !Array.isArray(found)) throw new TypeError('flowLogs is no list');
  } catch (error) {
    return { wishes: [], mistakes: [messageOf(error).split('\n')[0] ?? ''] };
  }
  const all = logs.map((log, i) => checked(() => wishIn(log, i)));
  const wishes: ExportWish[] = [];
  const mistakes = all.flatMap((one) => one.mistakes);
  for (const wish of all.flatMap((one) => one.wishes))
    if (wishes.some(({ name, filePath }) => name === wish.name || filePath === wish.filePath))
      mistakes.push(`${wish.name}: another one has its name or its file`);
    else wishes.push(wish);
  return { wishes, mistakes };
}

function wishIn(log: unknown, i: number): ExportWish {
  const fields = fieldsOf(log, `flowLogs[${i}]`);
  const name = text(fields, 'name', `flowLogs[${i}]`);
  const said = fields['end'];
  const end = said === undefined ? undefined : typeof said === 'string' ? Date.parse(said) : Number.NaN;
  if (Number.isNaN(end)) throw new TypeError(`${name}: end is no time, wanted one such as 2026-01-31T15:04:05Z`);
  return {
    name,
    filePath: text(fields, 'filePath', name),
    fieldMask: list(fields, 'fieldMask', name).map(String),
    include: list(fields, 'includeFilters', name).map(filterIn),
    exclude: list(fields, 'excludeFilters', name).map(filterIn),
    maxSizeMb: number(fields, 'fileMaxSizeMb', name, DEFAULT_SIZE_MB),
    maxBackups: number(fields, 'fileMaxBackups', name, DEFAULT_BACKUPS),
    compress: fields['fileCompress'] === true,
    end,
  };
}

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown, where: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError(`${where} has no fields`);
  return { ...value };
}

function text(fields: Fields, name: string, where: string): string {
  const value = fields[name];
  if (typeof value !== 'string' || value === '') throw new TypeError(`${where}: ${name} is missing`);
  return value;
}

function list(fields: Fields, name: string, where: string): readonly unknown[] {
  const value = fields[name] ?? [];
  if (!Array.isArray(value)) throw new TypeError(`${where}: ${name} is no list`);
  return value;
}

function number(fields: Fields, name: string, where: string, byDefault: number): number {
  const value = fields[name] ?? byDefault;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0) throw new TypeError(`${where}: ${name} is no whole number`);
  return value;
}

function filterIn(json: unknown): FlowFilter {
  return fromJson(flowFilter, typeof json === 'string' ? JSON.parse(json) : json, (path) => {
    throw new JsonError(`${path} is no field of a FlowFilter`);
  });
}

/** JSON values one after another. */
function filtersIn(stream: string): readonly FlowFilter[] {
  const found: FlowFilter[] = [];
  let [depth, from] = [0, 0];
  for (const { 0: token, index } of stream.matchAll(/"(?:[^"\\]|\\.)*"|[{}]/g)) {
    if (token === '{') depth++;
    else if (token === '}') depth--;
    if (depth !== 0 || token.startsWith('"')) continue;
    found.push(filterIn(stream.slice(from, index + 1).replace(/^[\s,[\]]+/, '')));
    from = index + 1;
  }
  if (/[^\s,[\]]/.test(stream.slice(from))) throw new SyntaxError(`'${stream.slice(from).trim()}' is no FlowFilter in JSON`);
  return found;
}

/** A wish of which filters and mask make sense. */
function checked(make: () => ExportWish): Wishes {
  try {
    const wish = make();
    flowPredicate({ whitelist: wish.include, blacklist: wish.exclude });
    responseCodec(wish.fieldMask);
    if (wish.maxSizeMb === 0) throw new TypeError(`${wish.name}: the file may have no size`);
    return { wishes: [wish], mistakes: [] };
  } catch (error) {
    const known = error instanceof JsonError || error instanceof RpcError || error instanceof TypeError || error instanceof SyntaxError;
    if (!known) throw error;
    return { wishes: [], mistakes: [error.message] };
  }
}
