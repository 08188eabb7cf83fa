// SPDX-License-Identifier: Apache-2.0
// Every refusal of the API: one error type that knows its metav1.Status, and one constructor for each reason that
// clients tell apart.
import type { Json } from './json.ts';

export type StatusCause = { readonly reason: string; readonly message: string; readonly field?: string };

export type StatusDetails = {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly StatusCause[];
  readonly retryAfterSeconds?: number;
};

/** A refusal with its HTTP status code (`code`) and the reason word clients switch on (`reason`). */
export class ApiError extends Error {
  readonly code: number;
  readonly reason: string;
  readonly details: StatusDetails | undefined;

  constructor(code: number, reason: string, message: string, details?: StatusDetails) {
    super(message);
    this.name = 'ApiError';
    this.code = code;
    this.reason = reason;
    this.details = details;
  }

  /** The metav1.Status that goes over the wire. */
  get status(): Json {
    const { message, reason, details, code } = this;
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      ...(reason && { reason }),
      ...(details && { details }),
      code,
    };
  }
}

/** What an error names: a resource (plural), its group, and an object. */
export type Subject = { readonly group: string; readonly plural: string; readonly kind: string };

const qualified = (subject: Subject): string => (subject.group === '' ? subject.plural : `${subject.plural}.${subject.group}`);
const detailsOf = (subject: Subject, name: string): StatusDetails => ({
  ...(name && { name }),
  ...(subject.group && { group: subject.group }),
  kind: subject.plural,
});

export const badRequest = (message: string): ApiError => new ApiError(400, 'BadRequest', message);

export const unauthorized = (): ApiError => new ApiError(401, 'Unauthorized', 'Unauthorized');

export const forbidden = (subject: Subject, name: string, why: string): ApiError =>
  new ApiError(403, 'Forbidden', `${qualified(subject)} "${name}" is forbidden: ${why}`, detailsOf(subject, name));

export const pathNotFound = (): ApiError => new ApiError(404, 'NotFound', 'the server could not find the requested resource', {});

export const notFound = (subject: Subject, name: string): ApiError =>
  new ApiError(404, 'NotFound', `${qualified(subject)} "${name}" not found`, detailsOf(subject, name));

export const methodNotAllowed = (): ApiError =>
  new ApiError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource', {});

export const notAcceptable = (accepted: readonly string[]): ApiError =>
  new ApiError(406, 'NotAcceptable', `only the following media types are accepted: ${accepted.join(', ')}`);

export const alreadyExists = (subject: Subject, name: string): ApiError =>
  new ApiError(409, 'AlreadyExists', `${qualified(subject)} "${name}" already exists`, detailsOf(subject, name));

export const conflict = (subject: Subject, name: string, why: string): ApiError =>
  new ApiError(409, 'Conflict', `Operation cannot be fulfilled on ${qualified(subject)} "${name}": ${why}`, detailsOf(subject, name));

export const staleVersion = (subject: Subject, name: string): ApiError =>
  conflict(subject, name, 'the object has been modified; please apply your changes to the latest version and try again');

export const expired = (message: string): ApiError => new ApiError(410, 'Expired', message);

export const tooLarge = (limit: number): ApiError =>
  new ApiError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${limit}`);

export const unsupportedMediaType = (accepted: readonly string[]): ApiError =>
  new ApiError(
    415,
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`,
  );

/** 422 with one cause per bad field. */
export const invalid = (subject: Subject, name: string, causes: readonly StatusCause[]): ApiError => {
  const lines = causes.map((cause) => `${cause.field}: ${cause.message}`);
  const kind = subject.group === '' ? subject.kind : `${subject.kind}.${subject.group}`;
  const text = lines.length === 1 ? lines[0] : `[${lines.join(', ')}]`;
  const details = { ...(name && { name }), ...(subject.group && { group: subject.group }), kind: subject.kind, causes };
  return new ApiError(422, 'Invalid', `${kind} "${name}" is invalid: ${text}`, details);
};

export const tooLargeVersion = (asked: number, current: number): ApiError =>
  new ApiError(504, 'Timeout', `Too large resource version: ${asked}, current: ${current}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  });

const internalError = (why: string): ApiError =>
  new ApiError(500, 'InternalError', `Internal error occurred: ${why}`, { causes: [{ reason: '', message: why }] });

/** Turns whatever was thrown into an ApiError; a bug becomes a 500 that names it. */
export const asApiError = (error: unknown): ApiError =>
  error instanceof ApiError ? error : internalError(error instanceof Error ? error.message : String(error));
