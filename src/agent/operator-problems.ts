// SPDX-License-Identifier: Apache-2.0
// What the operator has to say of its Problems, read when somebody asks: nothing is watched for it.

import { env } from 'node:process';
import { messageOf } from '../base/errors.ts';
import type { KubeClient } from '../kube/client.ts';
import { readReport } from '../kube/problem-report.ts';
import type { ProblemRow } from './api-types.ts';

const PATIENCE_MS = 2000;

/** An API that does not answer is itself something to repair: what the operator says is not known then. */
export async function problemsOfOperator(client: KubeClient): Promise<readonly ProblemRow[]> {
  const namespace = env['CILIUM_K8S_NAMESPACE'] || 'kube-system';
  try {
    return await readReport(client, namespace, AbortSignal.timeout(PATIENCE_MS));
  } catch (error) {
    return [
      {
        object: 'Operator',
        reason: 'OperatorNotHeard',
        message: `What the operator has to say of pools and Services is not known: ${messageOf(error)}`,
        advice: 'Make the Kubernetes API answer this node, and let the agent read ConfigMaps of its own namespace',
      },
    ];
  }
}
