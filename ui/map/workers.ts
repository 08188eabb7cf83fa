// SPDX-License-Identifier: Apache-2.0
// The workers that the build made; their addresses have hashes, which index.html knows.

export const workerNamed = (name: 'layout-worker' | 'paint-worker'): Worker => {
  const url = document.getElementById('main')?.getAttribute(`data-${name}`) ?? '';
  return new Worker(url, { type: 'module' });
};
