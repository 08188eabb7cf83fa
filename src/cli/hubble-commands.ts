// SPDX-License-Identifier: Apache-2.0
// What `hubble` can do, which is this program under another name.

import type { Command } from './commands.ts';

export const hubbleCommands: readonly Command[] = [
  { name: 'observe', does: 'flows: who talks to whom, what became of it, and why', load: () => import('./hubble/observe.ts') },
  { name: 'top', does: 'who talks most, by pod, port, reason or any other part of a flow', load: () => import('./hubble/top.ts') },
  { name: 'status', does: 'whether flows can be had, and from how many nodes', load: () => import('./hubble/status.ts') },
  { name: 'list', does: 'list nodes, list namespaces', load: () => import('./hubble/list.ts') },
  { name: 'watch', does: 'watch peers: the agents that an agent tells of', load: () => import('./hubble/watch.ts') },
  { name: 'config', does: 'settings that every command begins with', load: () => import('./hubble/config.ts') },
  { name: 'completion', does: 'a script that makes bash or zsh complete all this', load: () => import('./completion.ts') },
  { name: 'version', does: 'the version of this program', load: () => import('./version.ts') },
];
