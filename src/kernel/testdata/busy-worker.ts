// SPDX-License-Identifier: Apache-2.0
// A worker thread with every kind of handle open, polls that fire all the time, and jobs on the thread pool. It never ends by itself.

import { parentPort, workerData } from 'node:worker_threads';
import { native } from '../addon.ts';
import { loadObject } from '../load.ts';
import { RingBuffer } from '../ringbuf.ts';
import { NetlinkSocket } from '../socket.ts';

const { netns, object }: { readonly netns: string; readonly object: string } = workerData as { netns: string; object: string }; // what addon.test.ts hands over
const linkGroup = 1;

const loaded = await loadObject({ path: object });
const ringMap = loaded.maps.get('t_ring');
const wake = loaded.programs.get('wake_reader');
if (ringMap === undefined || wake === undefined) throw new Error('Wanted t_ring and wake_reader in the object');

const ring = new RingBuffer(ringMap);
ring.onReadable(() => {}); // nothing drains it: the loop calls back without end
wake.testRun({ data: Buffer.alloc(64) });

const monitor = NetlinkSocket.open({ netns, groups: [linkGroup] });
monitor.onReadable(() => monitor.receive());
const closedEarly = NetlinkSocket.open();
closedEarly.onReadable(() => {})[Symbol.dispose]();

async function attachForEver(): Promise<void> {
  for (;;) {
    if (wake === undefined) return;
    const link = await native().linkCreate({ program: wake.handle, attachType: 46, target: 1, netns, flags: 0, relativeId: 0 });
    native().close(link);
  }
}

async function loadForEver(): Promise<void> {
  for (;;) (await loadObject({ path: object }))[Symbol.dispose]();
}

void attachForEver();
void loadForEver();
parentPort?.postMessage('busy');
