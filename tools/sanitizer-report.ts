// SPDX-License-Identifier: Apache-2.0
// What the sanitizers wrote about one process, and what of it is our fault.

/** The function that asked for the memory is of our C, or of libbpf, which works for it. */
const OURS = /^ *#1 0x[0-9a-f]+ (in .*\/(native|cni)\/[a-z/-]+\.c:\d|.*\/libbpf\.so)/m;

/**
 * The reports in `text` that are to be repaired, each as it stands: every bad access and undefined behaviour, and the leaks of our C. Not those of
 * others: V8 and OpenSSL give nothing back when a process ends, Node-API none of its part of a handle that is still alive then.
 */
export function faultsIn(text: string): readonly string[] {
  const blocks = text.split(/\n(?=(?:Direct|Indirect) leak of )|\n(?==+\n)|\n\n/).map((block) => block.trim());
  return blocks.filter(
    (block) => /ERROR: AddressSanitizer|runtime error: /.test(block) || (/^(Direct|Indirect) leak of /.test(block) && OURS.test(block)),
  );
}
