// SPDX-License-Identifier: Apache-2.0
// Which nodes the flows come from: what a relay says of them, and how many of how many that makes.

import type { GetFlowsResponse, NodeStatusEvent } from '../../hubble/observer.ts';
import { NodeState } from '../../hubble/observer.ts';
import { harmless } from './colors.ts';
import { timeText } from './time.ts';
import type { TimeFormat } from './time.ts';

const LIST_LENGTH = 50;

/** As many names as fit on a line. */
function nodeList(names: readonly string[]): string {
  let text = '';
  for (const [i, name] of names.entries()) {
    if (text.length > LIST_LENGTH) return `${text} (and ${names.length - i} more)`;
    text += `${i === 0 ? '' : ', '}${harmless(name)}`;
  }
  return text;
}

/** The line for what a relay says; undefined where only those who look for faults want to know. */
export function nodeStatusText(
  { nodeStatus, nodeName = '', time }: GetFlowsResponse,
  format: TimeFormat,
  debug: boolean,
): string | undefined {
  if (!nodeStatus) return undefined;
  const words = wordsFor(nodeStatus, debug);
  return words === undefined ? undefined : `${timeText(time, format)} [${harmless(nodeName)}]: ${words}\n`;
}

function wordsFor({ stateChange = 0, nodeNames = [], message = '' }: NodeStatusEvent, debug: boolean): string | undefined {
  const [count, names] = [nodeNames.length, nodeList(nodeNames)];
  switch (stateChange) {
    case NodeState.NODE_CONNECTED:
      return debug ? `Receiving flows from ${count} nodes: ${names}` : undefined;
    case NodeState.NODE_GONE:
      return debug ? `${count} nodes removed from cluster: ${names}` : undefined;
    case NodeState.NODE_UNAVAILABLE:
      return `${count} nodes are unavailable: ${names}`;
    case NodeState.NODE_ERROR:
      return `Error "${harmless(message)}" on ${count} nodes: ${names}`;
    case NodeState.UNKNOWN_NODE_STATE:
      return debug ? `Unknown state of ${count} nodes: ${names}` : undefined;
  }
}

/** Keeps count of the nodes. */
export type Nodes = {
  note(status: NodeStatusEvent): void;
  /** '8/9 nodes' while some are missing. */
  readonly partial: string | undefined;
};

export function nodes(): Nodes {
  const there = new Map<string, boolean>();
  return {
    note({ stateChange, nodeNames = [] }) {
      for (const name of nodeNames)
        if (stateChange === NodeState.NODE_GONE) there.delete(name);
        else if (stateChange === NodeState.NODE_CONNECTED) there.set(name, true);
        else there.set(name, false);
    },
    get partial() {
      const found = [...there.values()];
      const connected = found.filter((is) => is).length;
      return connected < found.length ? `${connected}/${found.length} nodes` : undefined;
    },
  };
}

/** For stderr, so that nobody takes a part for the whole. */
export const partialText = (part: string): string => `These are the flows of ${part}\n`;
