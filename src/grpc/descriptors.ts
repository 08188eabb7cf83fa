// SPDX-License-Identifier: Apache-2.0
// What reflection tells of messages and services: a FileDescriptorProto for each package, made from what they are declared as.

import { bool, int32, manyNested, present, string, strings } from './fields.ts';
import { encode, message } from './message.ts';
import type { EnumType, FieldFacts, MessageType } from './message.ts';
import type { MethodFacts } from './method.ts';

type FieldDescriptor = {
  name?: string;
  number?: number;
  label?: number;
  type?: number;
  typeName?: string | undefined;
  oneofIndex?: number | undefined;
};
type EnumDescriptor = { name?: string; value?: readonly { name?: string; number?: number }[] };
type Descriptor = {
  name?: string;
  field?: readonly FieldDescriptor[];
  nestedType?: readonly Descriptor[];
  enumType?: readonly EnumDescriptor[];
  oneofDecl?: readonly { name?: string }[];
};
type MethodDescriptor = {
  name?: string;
  inputType?: string;
  outputType?: string;
  clientStreaming?: boolean | undefined;
  serverStreaming?: boolean;
};
type Service = { name?: string; method?: readonly MethodDescriptor[] };
type File = {
  name?: string;
  package?: string;
  dependency?: readonly string[];
  messageType?: readonly Descriptor[];
  enumType?: readonly EnumDescriptor[];
  service?: readonly Service[];
  syntax?: string;
};

const PROTO = 'google.protobuf.';
const enumDescriptor = message<EnumDescriptor>(`${PROTO}EnumDescriptorProto`, {
  name: string(1),
  value: manyNested(
    2,
    message<{ name?: string; number?: number }>(`${PROTO}EnumValueDescriptorProto`, { name: string(1), number: int32(2) }),
  ),
});
const fieldDescriptor = message<FieldDescriptor>(`${PROTO}FieldDescriptorProto`, {
  name: string(1),
  number: int32(3),
  label: int32(4),
  type: int32(5),
  typeName: string(6),
  oneofIndex: present(9),
});
const oneofDescriptor = message<{ name?: string }>(`${PROTO}OneofDescriptorProto`, { name: string(1) });
const descriptorOf = (nestedType: Parameters<typeof manyNested<Descriptor>>[1] | undefined) =>
  message<Descriptor>(`${PROTO}DescriptorProto`, {
    name: string(1),
    field: manyNested(2, fieldDescriptor),
    nestedType: manyNested(3, nestedType ?? message<Descriptor>(`${PROTO}Nothing`, none)),
    enumType: manyNested(4, enumDescriptor),
    oneofDecl: manyNested(8, oneofDescriptor),
  });
const empty = message<object>(`${PROTO}Nothing`, {});
const none = {
  name: string(1),
  field: manyNested(2, empty),
  nestedType: manyNested(3, empty),
  enumType: manyNested(4, empty),
  oneofDecl: manyNested(8, empty),
};
const descriptor = descriptorOf(descriptorOf(undefined)); // messages of ours are nested once at most
const method = message<MethodDescriptor>(`${PROTO}MethodDescriptorProto`, {
  name: string(1),
  inputType: string(2),
  outputType: string(3),
  clientStreaming: bool(5),
  serverStreaming: bool(6),
});
const service = message<Service>(`${PROTO}ServiceDescriptorProto`, { name: string(1), method: manyNested(2, method) });
const fileDescriptor = message<File>(`${PROTO}FileDescriptorProto`, {
  name: string(1),
  package: string(2),
  dependency: strings(3),
  messageType: manyNested(4, descriptor),
  enumType: manyNested(5, enumDescriptor),
  service: manyNested(6, service),
  syntax: string(12),
});

export type Described = {
  readonly name: string;
  /** A FileDescriptorProto. */
  readonly bytes: Buffer;
  readonly dependencies: readonly string[];
  /** Full names of what is in it. */
  readonly symbols: ReadonlySet<string>;
};

/** 'flow.Tunnel.Protocol' is Protocol inside Tunnel of the package flow: what begins with a capital letter is no package. */
function parted(name: string): { readonly pack: string; readonly path: readonly string[] } {
  const parts = name.split('.');
  const first = parts.findIndex((part) => /^[A-Z]/.test(part));
  return { pack: parts.slice(0, first).join('.'), path: parts.slice(first) };
}

const wellKnown: Readonly<Record<string, string>> = { Timestamp: 'timestamp', Any: 'any', FieldMask: 'field_mask' };

function fileOf(name: string): string {
  const { pack, path } = parted(name);
  if (pack === 'google.protobuf') return `google/protobuf/${wellKnown[path[0] ?? ''] ?? 'wrappers'}.proto`;
  const parts = pack.split('.');
  return `${parts.join('/')}/${parts.findLast((part) => !/^v\d/.test(part)) ?? pack}.proto`;
}

type Types = { readonly messages: Map<string, MessageType>; readonly enums: Map<string, EnumType> };

const isEnum = (type: MessageType | EnumType): type is EnumType => 'values' in type;

function collect(type: MessageType, { messages, enums }: Types): void {
  if (messages.has(type.name)) return;
  messages.set(type.name, type);
  for (const { of } of type.fields)
    if (of && isEnum(of)) enums.set(of.name, of);
    else if (of) collect(of, { messages, enums });
}

/** All files that these methods need, each once. */
export function describe(methods: readonly MethodFacts[]): readonly Described[] {
  const types: Types = { messages: new Map(), enums: new Map() };
  for (const { request, response } of methods) for (const type of [request, response]) collect(type, types);
  const names = [...types.messages.keys(), ...types.enums.keys(), ...methods.map((one) => one.service)];
  return [...new Set(names.map(fileOf))].map((name) =>
    described(
      name,
      types,
      methods.filter((one) => fileOf(one.service) === name),
    ),
  );
}

function described(name: string, types: Types, methods: readonly MethodFacts[]): Described {
  const messages = [...types.messages.values()].filter((type) => fileOf(type.name) === name);
  const enums = [...types.enums.values()].filter((type) => fileOf(type.name) === name);
  const services = [...new Set(methods.map((one) => one.service))];
  const used = [
    ...messages.flatMap(({ fields }) => fields.flatMap(({ of }) => (of ? [of.name] : []))),
    ...methods.flatMap(({ request, response }) => [request.name, response.name]),
  ];
  const dependencies = [...new Set(used.map(fileOf))].filter((file) => file !== name).toSorted();
  const symbols = new Set(
    [...messages, ...enums]
      .map((type) => type.name)
      .concat(
        services,
        methods.map((one) => `${one.service}.${one.name}`),
      ),
  );
  const top = <T extends { readonly name: string }>(of: readonly T[]) => of.filter((type) => parted(type.name).path.length === 1);
  const file: File = {
    name,
    package: parted([...symbols][0] ?? '').pack,
    dependency: dependencies,
    messageType: top(messages).map((type) => messageDescriptor(type, messages, enums)),
    enumType: top(enums).map(enumFacts),
    service: services.map((one) => ({
      name: parted(one).path.join('.'),
      method: methods.filter((each) => each.service === one).map(methodFacts),
    })),
    syntax: 'proto3',
  };
  return { name, bytes: encode(fileDescriptor, file), dependencies, symbols };
}

const lastOf = (name: string): string => name.slice(name.lastIndexOf('.') + 1);
const enumFacts = ({ name, values }: EnumType): EnumDescriptor => ({
  name: lastOf(name),
  value: Object.entries(values).map(([key, number]) => ({ name: key, number })),
});
const methodFacts = ({ name, request, response, streams, asks }: MethodFacts): MethodDescriptor => ({
  name,
  inputType: `.${request.name}`,
  outputType: `.${response.name}`,
  clientStreaming: asks,
  serverStreaming: streams,
});

function messageDescriptor(type: MessageType, messages: readonly MessageType[], enums: readonly EnumType[]): Descriptor {
  const oneofs = [...new Set(type.fields.flatMap(({ oneof }) => (oneof === undefined ? [] : [oneof])))];
  const inside = ({ name }: { readonly name: string }) => name.startsWith(`${type.name}.`);
  return {
    name: lastOf(type.name),
    field: type.fields.map((field) => fieldFacts(field, oneofs)),
    nestedType: messages.filter(inside).map((one) => messageDescriptor(one, [], [])),
    enumType: enums.filter(inside).map(enumFacts),
    oneofDecl: oneofs.map((name) => ({ name })),
  };
}

const fieldFacts = ({ name, number, type, of, repeated, oneof }: FieldFacts, oneofs: readonly string[]): FieldDescriptor => ({
  name,
  number,
  label: repeated ? 3 : 1,
  type,
  typeName: of && `.${of.name}`,
  oneofIndex: oneof === undefined ? undefined : oneofs.indexOf(oneof),
});
