// SPDX-License-Identifier: Apache-2.0
// A file of blocks in which some are damaged becomes two: the one as it was, set aside for whoever wants to know what happened, and
// one with the blocks that are whole, in which a gap stands where others were.

import { link, open, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { rowBuilder } from './builder.ts';
import { bytesAt, framesIn, writeAt } from './frames.ts';
import type { Frame } from './frames.ts';
import { packed, placeOfSection, PREFIX, unpacked } from './packed.ts';
import { sectionNames } from './block.ts';
import { FormatError } from './bytes.ts';

/** The blocks that the file has afterwards. `bad`: offsets of blocks whose header is whole and whose body is not. */
export async function mend(path: string, bad: ReadonlySet<number>): Promise<readonly Frame[]> {
  const fresh = `${path}.new`;
  const aside = path.replace(/flows$/, 'damaged');
  const from = await open(path, 'r');
  const to = await open(fresh, 'w+', 0o600);
  let frames: readonly Frame[];
  try {
    frames = await copyWhole(from, to, bad);
    await to.sync();
  } finally {
    await to.close();
    await from.close();
  }
  await rm(aside, { force: true });
  await link(path, aside); // the name of the blocks is never without a file, whenever it ends
  await rename(fresh, path);
  return frames;
}

async function copyWhole(from: FileHandle, to: FileHandle, bad: ReadonlySet<number>): Promise<readonly Frame[]> {
  const { frames, holes } = await framesIn(from);
  const copied: Frame[] = [];
  let offset = 0;
  const write = async (bytes: Buffer, frame: Omit<Frame, 'offset' | 'length'>) => {
    await writeAt(to, bytes, offset);
    copied.push({ ...frame, offset, length: bytes.length });
    offset += bytes.length;
  };
  let missing: { flows: number } | undefined;
  for (const frame of frames) {
    if (holes.includes(frame.offset)) missing ??= { flows: 0 };
    const bytes = await bytesAt(from, frame.offset, frame.length);
    if (bad.has(frame.offset) || !(await isWhole(frame, bytes))) {
      missing = { flows: (missing?.flows ?? 0) + frame.header.summary.count };
      continue;
    }
    const before = copied.at(-1)?.header;
    if (missing && before && before.block + 1 < frame.header.block) {
      const gap = await gapBetween(before, frame.header, missing.flows);
      await write(gap.bytes, gap);
    }
    missing = undefined;
    await write(bytes, frame);
  }
  return copied;
}

async function isWhole({ header, headerLength }: Frame, bytes: Buffer): Promise<boolean> {
  const body = bytes.subarray(PREFIX + headerLength);
  try {
    for (const name of sectionNames) await unpacked(header, name, body.subarray(...placeOfSection(header, name)));
    return true;
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}

/** A block with nothing but the time of which the blocks are lost. */
function gapBetween(before: Frame['header'], after: Frame['header'], flows: number): ReturnType<typeof packed> {
  const builder = rowBuilder({ capacity: 1, node: before.summary.node, after: before.summary.positions[1] });
  builder.add({ kind: 'gap', gap: { why: 'damaged', first: before.summary.times[1], last: after.summary.times[0], flows } });
  return packed(builder.rows(), before.block + 1);
}
