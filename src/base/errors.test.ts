// SPDX-License-Identifier: Apache-2.0
// Errors in words.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { codeOf, messageOf, StentorError } from './errors.ts';

test('an error is told with its causes, and carries the name of its class and a code', () => {
  class LoadError extends StentorError {}
  const error = new LoadError('EPERM', 'Cannot load pod', { cause: new Error('bpf: EPERM', { cause: 'locked down' }) });
  assert.equal(messageOf(error), 'Cannot load pod: bpf: EPERM: locked down');
  assert.deepEqual([error.name, codeOf(error)], ['LoadError', 'EPERM']);
  assert.deepEqual([messageOf('text'), codeOf('text'), codeOf(new Error('no code'))], ['text', undefined, undefined]);
});
