// SPDX-License-Identifier: Apache-2.0
// Times as Kubernetes objects carry them.

/** A moment, now by default, as metav1.Time writes it: whole seconds, UTC. */
export const timestamp = (millis = Date.now()): string => new Date(millis).toISOString().replace(/\.\d+Z$/, 'Z');
