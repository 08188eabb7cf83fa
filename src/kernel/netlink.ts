// SPDX-License-Identifier: Apache-2.0
// The building blocks of netlink message bodies: a fixed struct, then attributes. Pure; host byte order unless a field says otherwise.
//
//   | struct (ifinfomsg, rtmsg, ...) | attribute | attribute | ...
//                 attribute:  | length u16 (with these 4 bytes) | type u16 | payload ..., padded to 4 |
//                 nested:     the payload is attributes again, type has the bit NLA_F_NESTED
//
// Source: include/uapi/linux/netlink.h, RFC 3549.

/** RTM_* that are asked or heard of (include/uapi/linux/rtnetlink.h). */
export const RouteMessage = {
  newLink: 16,
  deleteLink: 17,
  getLink: 18,
  setLink: 19,
  newAddress: 20,
  deleteAddress: 21,
  getAddress: 22,
  newRoute: 24,
  deleteRoute: 25,
  getRoute: 26,
  newNeighbour: 28,
  deleteNeighbour: 29,
  getNeighbour: 30,
  newQdisc: 36,
  deleteQdisc: 37,
  getQdisc: 38,
  newFilter: 44,
  deleteFilter: 45,
  getFilter: 46,
} as const;

/** AF_*. */
export const AddressFamily = { unspecified: 0, ipv4: 2, ipv6: 10 } as const;

const scalars = { u8: 1, u16: 2, be16: 2, u32: 4, s32: 4 } as const;
type Scalar = keyof typeof scalars;

/** A fixed struct: what is not given is zero. */
export type Struct<Name extends string> = {
  readonly size: number;
  readonly encode: (values: { readonly [name in Name]?: number | undefined }) => Buffer;
  /** Throws RangeError when there are too few bytes. */
  readonly decode: (bytes: Buffer) => { readonly [name in Name]: number };
};

/** A struct whose fields lie one after the other in the order given, padding spelled out. */
export function structOf<Name extends string>(fields: { readonly [name in Name]: Scalar }): Struct<Name> {
  const names = Object.keys(fields) as Name[]; // keys are what the type says
  let size = 0;
  const places = names.map((name) => {
    const place = { name, scalar: fields[name], offset: size };
    size += scalars[place.scalar];
    return place;
  });
  return {
    size,
    encode: (values) => {
      const bytes = Buffer.alloc(size);
      for (const { name, scalar, offset } of places) writeScalar(bytes, scalar, { offset, value: values[name] ?? 0 });
      return bytes;
    },
    decode: (bytes) =>
      Object.fromEntries(places.map(({ name, scalar, offset }) => [name, readScalar(bytes, scalar, offset)])) as { [name in Name]: number }, // every place is read
  };
}

function writeScalar(bytes: Buffer, scalar: Scalar, { offset, value }: { readonly offset: number; readonly value: number }): void {
  if (scalar === 'u8') bytes.writeUInt8(value, offset);
  else if (scalar === 'u16') bytes.writeUInt16LE(value, offset);
  else if (scalar === 'be16') bytes.writeUInt16BE(value, offset);
  else if (scalar === 'u32') bytes.writeUInt32LE(value, offset);
  else bytes.writeInt32LE(value, offset);
}

function readScalar(bytes: Buffer, scalar: Scalar, offset: number): number {
  if (scalar === 'u8') return bytes.readUInt8(offset);
  if (scalar === 'u16') return bytes.readUInt16LE(offset);
  if (scalar === 'be16') return bytes.readUInt16BE(offset);
  return scalar === 'u32' ? bytes.readUInt32LE(offset) : bytes.readInt32LE(offset);
}

const nestedFlag = 0x8000;
const typeMask = 0x3fff; // without NLA_F_NESTED and NLA_F_NET_BYTEORDER
const nothing = Buffer.alloc(0);

function attribute(type: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc((4 + payload.length + 3) & ~3);
  bytes.writeUInt16LE(4 + payload.length, 0);
  bytes.writeUInt16LE(type, 2);
  bytes.set(payload, 4);
  return bytes;
}

/** Attributes by payload. An undefined value makes no attribute. */
export const put = {
  u32(type: number, value: number | undefined): Buffer {
    if (value === undefined) return nothing;
    const payload = Buffer.alloc(4);
    payload.writeUInt32LE(value);
    return attribute(type, payload);
  },
  /** NUL-terminated. */
  text(type: number, value: string | undefined): Buffer {
    return value === undefined ? nothing : attribute(type, Buffer.from(`${value}\0`, 'utf8'));
  },
  bytes(type: number, value: Uint8Array | undefined): Buffer {
    return value === undefined ? nothing : attribute(type, value);
  },
  /** Without children no attribute. */
  nested(type: number, ...children: readonly Buffer[]): Buffer {
    const payload = Buffer.concat(children);
    return payload.length === 0 ? nothing : attribute(type | nestedFlag, payload);
  },
} as const;

/** Payloads by type; of attributes with the same type the last. */
export type Attributes = ReadonlyMap<number, Buffer>;

/** The attributes that fill `bytes` from `offset` on. Throws RangeError for lengths that do not fit. */
export function attributesOf(bytes: Buffer, offset = 0): Attributes {
  const found = new Map<number, Buffer>();
  for (let at = offset; at + 4 <= bytes.length;) {
    const length = bytes.readUInt16LE(at);
    if (length < 4 || at + length > bytes.length)
      throw new RangeError(`Cannot read a netlink attribute of ${length} bytes at ${at} of ${bytes.length}`);
    found.set(bytes.readUInt16LE(at + 2) & typeMask, bytes.subarray(at + 4, at + length));
    at += (length + 3) & ~3;
  }
  return found;
}

/** Values of attributes by payload; undefined when there is no such attribute. */
export const take = {
  u32: (from: Attributes, type: number): number | undefined => from.get(type)?.readUInt32LE(0),
  u8: (from: Attributes, type: number): number | undefined => from.get(type)?.readUInt8(0),
  text: (from: Attributes, type: number): string | undefined => from.get(type)?.toString('utf8').replace(/\0.*$/s, ''),
  nested: (from: Attributes, type: number): Attributes => attributesOf(from.get(type) ?? nothing),
} as const;
