// SPDX-License-Identifier: Apache-2.0
// Server reflection (grpc.reflection.v1 and v1alpha): clients that know no message can ask what there is.

import { alternatives, int32, manyBytes, manyNested, nested, oneOf, string } from './fields.ts';
import { describe } from './descriptors.ts';
import type { Described } from './descriptors.ts';
import { unary } from './handler.ts';
import type { Handler } from './handler.ts';
import { message } from './message.ts';
import type { Method, MethodFacts } from './method.ts';
import { Status } from './status.ts';

type Request = {
  readonly host?: string;
  readonly fileByFilename?: string;
  readonly fileContainingSymbol?: string;
  readonly listServices?: string;
};
type Answer =
  | { readonly kind: 'fileDescriptorResponse'; readonly fileDescriptorProto?: readonly Uint8Array[] }
  | { readonly kind: 'listServicesResponse'; readonly service?: readonly { readonly name?: string }[] }
  | { readonly kind: 'errorResponse'; readonly errorCode?: number; readonly errorMessage?: string };
type Response = { readonly validHost?: string | undefined; readonly originalRequest?: Request; readonly answer?: Answer };

function methodOf(version: string): Method<Request, Response> {
  const of = (name: string) => `grpc.reflection.${version}.${name}`;
  const request = message<Request>(of('ServerReflectionRequest'), {
    host: string(1),
    fileByFilename: oneOf('message_request', string(3)),
    fileContainingSymbol: oneOf('message_request', string(4)),
    listServices: oneOf('message_request', string(7)),
  });
  const service = message<{ readonly name?: string }>(of('ServiceResponse'), { name: string(1) });
  const response = message<Response>(of('ServerReflectionResponse'), {
    validHost: string(1),
    originalRequest: nested(2, request),
    answer: alternatives<Answer>({
      fileDescriptorResponse: [4, message(of('FileDescriptorResponse'), { fileDescriptorProto: manyBytes(1) })],
      listServicesResponse: [6, message(of('ListServiceResponse'), { service: manyNested(1, service) })],
      errorResponse: [7, message(of('ErrorResponse'), { errorCode: int32(1), errorMessage: string(2) })],
    }),
  });
  return { service: of('ServerReflection'), name: 'ServerReflectionInfo', request, response, streams: true, asks: true };
}

/** Answers about `handlers`, and about itself. */
export function reflectionHandlers(handlers: readonly Handler[]): readonly Handler[] {
  const own = ['v1', 'v1alpha'].map(methodOf);
  const methods: readonly MethodFacts[] = [...handlers.map(({ method }) => method), ...own];
  let files: readonly Described[] | undefined; // made when somebody asks
  const answer = (request: Request) => answerTo(request, methods, (files ??= describe(methods)));
  return own.map((method) => unary(method, (request) => ({ validHost: request.host, originalRequest: request, answer: answer(request) })));
}

function answerTo(
  { fileByFilename, fileContainingSymbol, listServices }: Request,
  methods: readonly MethodFacts[],
  files: readonly Described[],
): Answer {
  if (listServices !== undefined)
    return {
      kind: 'listServicesResponse',
      service: [...new Set(methods.map(({ service }) => service))].toSorted().map((name) => ({ name })),
    };
  const found = files.find(({ name, symbols }) => name === fileByFilename || symbols.has(fileContainingSymbol ?? ''));
  if (found) return { kind: 'fileDescriptorResponse', fileDescriptorProto: withAll(found, files).map(({ bytes }) => bytes) };
  const asked = fileContainingSymbol ?? fileByFilename;
  return asked === undefined
    ? { kind: 'errorResponse', errorCode: Status.UNIMPLEMENTED, errorMessage: 'only files, symbols and services can be asked for' }
    : { kind: 'errorResponse', errorCode: Status.NOT_FOUND, errorMessage: `there is no ${asked}` };
}

/** A file and all that it needs, itself first. */
function withAll(file: Described, files: readonly Described[]): readonly Described[] {
  const all = new Set([file]);
  for (const one of all) for (const other of files) if (one.dependencies.includes(other.name)) all.add(other);
  return [...all];
}
