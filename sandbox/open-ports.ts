// SPDX-License-Identifier: Apache-2.0
// The helper of listeners.ts: opens the ports named on its command line, hands them to its parent and waits to be let go.
import { createServer } from 'node:net';

for (const argument of process.argv.slice(2)) {
  const [host = '', port = ''] = argument.split(' ');
  const server = createServer({ pauseOnConnect: true });
  server.listen({ host, port: Number(port), exclusive: true }, () => process.send?.('port', server));
}
process.on('disconnect', () => process.exit(0));
