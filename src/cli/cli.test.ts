// SPDX-License-Identifier: Apache-2.0
// The real command, as users call it, against the real API over a real socket.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { serveApi } from '../agent/api.ts';
import type { DifferenceRow, DropRow, Health, Providers } from '../agent/api-types.ts';
import { packetFor } from '../trace/ends.ts';
import { node1 } from '../trace/testdata/node1.ts';
import { traceOf } from '../trace/trace.ts';

const folder = mkdtempSync(join(tmpdir(), 'stentor-cli-'));
const socket = join(folder, 'run/cilium.sock');
const stentor = fileURLToPath(new URL('../../bin/stentor', import.meta.url));
const cilium = fileURLToPath(new URL('../../bin/cilium', import.meta.url));

const drop: DropRow = {
  time: 0,
  reason: 'NoBackend',
  source: '10.244.1.5:4000',
  destination: '10.96.0.9:80',
  protocol: 'TCP',
  interface: 'lxc01',
  pod: undefined,
};
const tables = node1();
let agent: Health = { ok: true, message: '' };
let differences: readonly DifferenceRow[] = [];
const followers = new Set<(row: DropRow) => void>();
const providers: Providers = {
  status: () => ({
    time: 0,
    version: '0.1.0',
    node: 'node1',
    agent,
    kubernetes: { ok: true, message: '1.33 (v1.33.1) [linux/amd64]' },
    cni: { ok: true, message: '/etc/cni/net.d/05-cilium.conflist' },
    kubeProxyReplacement: true,
    socketLbHostOnly: false,
    flows: undefined,
    devices: [{ name: 'eth0', addresses: ['192.168.0.11'], directRouting: true }],
    interfaces: [{ name: 'eth0', uplink: true, reason: 'it has a default route' }],
    mtu: { mtu: 1500, reason: 'MTU in the values' },
    mtuBudget: [],
    ipam: [],
    allocations: [],
    masquerade: { ipv4: true, ipv6: true, except: [] },
    controllers: [],
    maps: [],
    problems: 0,
  }),
  services: () => [{ id: 1, service: 'default/kubernetes', frontend: '10.96.0.1:443/TCP', type: 'ClusterIP', backends: [] }],
  redirects: () => [
    {
      policy: 'kube-system/local-dns',
      service: 'kube-system/kube-dns',
      ports: 'all',
      frontends: [{ frontend: '10.96.0.10:53/UDP', backends: [{ address: '10.244.1.9:53', pod: 'kube-system/cache-1' }] }],
    },
    { policy: 'kube-system/metadata', service: undefined, ports: 'one', frontends: [{ frontend: '169.254.169.254:80/TCP', backends: [] }] },
  ],
  vips: () => [],
  endpoints: () => [
    {
      id: 7,
      pod: 'shop/cart-0',
      policyIngress: 'Disabled',
      policyEgress: 'Disabled',
      identity: 300,
      labels: ['k8s:app=cart'],
      ipv4: '10.244.1.5',
      ipv6: undefined,
      state: 'ready',
    },
  ],
  nodes: () => [
    {
      name: 'default/node1',
      ipv4: { address: '192.168.0.11', cidr: '10.244.1.0/24' },
      ipv6: { address: undefined, cidr: undefined },
      source: 'local',
    },
  ],
  ips: () => [
    {
      prefix: '10.244.1.5/32',
      identity: 300,
      labels: ['k8s:app=cart', 'k8s:io.kubernetes.pod.namespace=shop'],
      source: 'local',
      host: '192.168.0.11',
    },
    { prefix: '10.0.0.0/8', identity: 2, labels: ['reserved:world'], source: 'generated', host: undefined },
  ],
  trace: (question) => {
    const packet = packetFor(question, tables);
    return typeof packet === 'string' ? { kind: 'misunderstood', message: packet } : { kind: 'trace', trace: traceOf(packet, tables) };
  },
  tables: () => [{ name: 'frontends', rows: 1, complete: true }],
  table: (name) => (name === 'frontends' ? [{ key: 'a', row: { n: 1n } }] : undefined),
  differences: () => Promise.resolve(differences),
  problems: () => {
    throw new Error('a bug');
  },
  drops: () => [drop],
  followDrops: (listener, signal) => {
    followers.add(listener);
    signal.addEventListener('abort', () => followers.delete(listener));
  },
};

let server: AsyncDisposable;
before(async () => (server = await serveApi({ path: socket, providers })));
after(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

type Done = { readonly code: number | null; readonly out: string; readonly err: string };
function start(binary: string, args: readonly string[], at = socket) {
  return spawn(binary, args, { env: { PATH: process.env['PATH'], STENTOR_SOCKET: at }, stdio: ['ignore', 'pipe', 'pipe'] });
}
async function run(args: readonly string[], { binary = stentor, at = socket } = {}): Promise<Done> {
  const child = start(binary, args, at);
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => (out += chunk));
  child.stderr.on('data', (chunk) => (err += chunk));
  const [code] = await once(child, 'close');
  return { code, out, err };
}

const cases: readonly [args: string, code: number, out: RegExp, err: RegExp][] = [
  ['status --brief', 0, /^OK\n$/, /^$/],
  ['status', 0, /^KubeProxyReplacement: +True +\[eth0 {3}192\.168\.0\.11 \(Direct Routing\)\]$/m, /^$/],
  ['status -o json', 0, /^\{\n {2}"time": 0/, /^$/],
  ['service list', 0, /^ID +Frontend +Service Type +Backend\n1 +10\.96\.0\.1:443\/TCP +ClusterIP\n$/, /^$/],
  ['endpoint list', 0, /^ENDPOINT/, /^$/],
  ['tables', 0, /^frontends +1 +yes$/m, /^$/],
  ['tables frontends', 0, /^a +\{"n":"1"\}$/m, /^$/],
  ['tables frontend', 1, /^$/, /^Cannot find the table frontend, wanted one of frontends\n$/],
  ['maps --diff', 0, /^$/, /^$/],
  ['maps', 2, /^$/, /wanted maps --diff\nUsage: stentor maps --diff/],
  ['drops', 0, /^1970-01-01T00:00:00\.000Z {2}10\.244\.1\.5:4000 -> 10\.96\.0\.9:80 TCP {2}NoBackend {2}\(lxc01\)\n$/, /^$/],
  ['drops -o json', 0, /^\{"time":0,.*\}\n$/, /^$/],
  ['problems', 1, /^$/, /^Cannot answer \/problems: a bug\n$/],
  ['version', 0, /^Stentor \d+\.\d+\.\d+ /, /^$/],
  ['--version', 0, /^Stentor \d/, /^$/],
  ['help', 0, /^Usage: stentor COMMAND[^]*stentor status --brief/, /^$/],
  [
    'lrp list',
    0,
    new RegExp(
      [
        '^LRP namespace +LRP name +FrontendType +Matching Service',
        'kube-system +local-dns +clusterIP \\+ all svc ports +kube-system/kube-dns',
        ' +\\| +10\\.96\\.0\\.10:53/UDP -> 10\\.244\\.1\\.9:53\\(kube-system/cache-1\\),',
        'kube-system +metadata +IP \\+ port',
        ' +\\| +169\\.254\\.169\\.254:80/TCP ->\n$',
      ].join('\n'),
    ),
    /^$/,
  ],
  ['lrp get', 2, /^$/, /Cannot run 'lrp get', wanted lrp list/],
  ['help service', 0, /^Usage: stentor service list[^]*Examples:/, /^$/],
  ['service list --help', 0, /^Usage: stentor service list/, /^$/],
  ['', 2, /^$/, /^Usage: stentor COMMAND/],
  ['stats', 2, /^$/, /^Cannot run 'stats': there is no such command, did you mean status\n/],
  ['frobnicate', 2, /^$/, /^Cannot run 'frobnicate': there is no such command\n/],
  ['status --breif', 2, /^$/, /--breif[^]*Usage: stentor status/],
  ['service list -o yaml', 2, /^$/, /Cannot print as 'yaml', wanted -o json/],
  ['service get', 2, /^$/, /wanted service list or service get ID/],
  ['service get 1', 0, /^1 +10\.96\.0\.1:443\/TCP +ClusterIP$/m, /^$/],
  ['service get 9', 1, /^$/, /^Cannot find a service with id 9/],
  ['endpoint get 7', 0, /^\[\n {2}\{\n {4}"id": 7,/, /^$/],
  ['endpoint get shop/cart-0', 0, /"id": 7,/, /^$/],
  ['endpoint get 10.244.1.5', 0, /"id": 7,/, /^$/],
  ['endpoint get 8', 1, /^$/, /^Cannot find the endpoint 8/],
  ['endpoint get', 2, /^$/, /wanted endpoint list or endpoint get ID\|POD/],
  [
    'node list',
    0,
    /^Name +IPv4 Address +Endpoint CIDR +IPv6 Address +Endpoint CIDR +Source\ndefault\/node1 +192\.168\.0\.11 +10\.244\.1\.0\/24 +local\n$/,
    /^$/,
  ],
  [
    'ip list',
    0,
    /^IP +IDENTITY +SOURCE\n10\.0\.0\.0\/8 +reserved:world +generated\n10\.244\.1\.5\/32 +k8s:app=cart +local\n +k8s:io\.kubernetes\.pod\.namespace=shop\n$/,
    /^$/,
  ],
  ['ip list -n -v', 0, /^10\.244\.1\.5\/32 +300 +local +192\.168\.0\.11 +0$/m, /^$/],
  ['ip get', 2, /^$/, /wanted ip list/],
  ['status --wait --wait-duration 1s --brief', 0, /^OK\n$/, /^$/],
  ['status --wait --wait-duration soon', 2, /^$/, /Cannot wait for 'soon', wanted a duration such as 90s/],
  [
    'trace tcp shop/podA shop/cart:80',
    0,
    /^HOOK +LOOKED UP +FOUND +DECISION\nsock_connect4 +lb_addresses 10\.96\.0\.10 [^]*\nsock_connect4 +lb_services 10\.96\.0\.10:80\/TCP [^]*\n\nTCP from pod shop\/podA .* is delivered to pod shop\/podB on this node, at 10\.244\.1\.6:8080\n$/,
    /^$/,
  ],
  ['trace tcp shop/podA shop/many:80', 0, /\nTCP from .* at 10\.244\.2\.7:8080\nor: TCP from .* at 10\.244\.2\.8:8080\n$/, /^$/],
  ['trace tcp shop/podA shop/nobody:80', 1, /\nNOT DELIVERED: TCP from .* is refused: the service has no backend that can serve\n$/, /^$/],
  ['trace tcp outside shop/cart:80 -o json', 1, /"reason": "IS_A_CLUSTERIP"/, /^$/],
  ['trace tcp shop/podA shop/nothing:80', 2, /^$/, /^Cannot find 'shop\/nothing:80'/],
  ['trace tcp shop/podA', 2, /^$/, /wanted a protocol, a source and a destination/],
  ['bpf lb', 2, /^$/, /Cannot run 'bpf lb', wanted bpf lb list, bpf lb maglev list, bpf lb maglev get, bpf ct list global, bpf nat list/],
  ['bpf nat list --frontends', 2, /^$/, /Cannot use --frontends with 'bpf nat list'/],
  ['bpf lb list --frontends --revnat', 2, /^$/, /Cannot use --frontends and --revnat at once/],
  [
    'bpf lb list --bpf-root /nowhere',
    1,
    /^$/,
    /^Cannot open \/nowhere\/stentor\/maps\/lb_services\/[0-9a-f]+ \(.*\): no agent has loaded the data plane here/,
  ],
  ['completion bash', 0, /^complete -F _stentor stentor$/m, /^$/],
  ['completion fish', 2, /^$/, /Cannot complete for 'fish', wanted bash or zsh/],
  ['service list extra', 2, /^$/, /Cannot run 'service list extra'/],
];
for (const [args, code, out, err] of cases)
  test(`stentor ${args}: exit ${code}`, async () => {
    const done = await run(args.split(' ').filter(Boolean));
    assert.match(done.err, err);
    assert.match(done.out, out);
    assert.equal(done.code, code);
  });

test('the name by which it is called is the name in its help, through links too', async () => {
  const link = join(folder, 'cilium-dbg');
  symlinkSync(cilium, link);
  assert.match((await run(['help'], { binary: cilium })).out, /^Usage: cilium COMMAND/);
  assert.match((await run(['help'], { binary: link })).out, /^Usage: cilium-dbg COMMAND/);
});

test('an agent that is not well: one line, exit 1', async () => {
  agent = { ok: false, message: 'Node node1 has no podCIDR' };
  assert.deepEqual(await run(['status', '--brief']), { code: 1, out: 'error in cilium: Node node1 has no podCIDR\n', err: '' });
  assert.equal((await run(['status'])).code, 1);
  agent = { ok: true, message: '' };
});

test('differences: exit 1 and a line for each', async () => {
  differences = [{ target: 'lb_backends', key: '7', kind: 'extra', wanted: undefined, found: 'x' }];
  const { code, out } = await run(['maps', '--diff']);
  assert.equal(code, 1);
  assert.match(out, /^lb_backends +extra +7 +- +x$/m);
  differences = [];
});

test('status --wait waits for the agent to be well, and no longer than it was told', async () => {
  agent = { ok: false, message: 'Node node1 has no podCIDR' };
  const later = run(['status', '--wait', '--wait-duration', '20s', '--brief']);
  assert.match((await run(['status', '--wait', '--wait-duration', '0s', '--brief'])).out, /^error in cilium: Node node1 has no podCIDR\n$/);
  agent = { ok: true, message: '' };
  assert.deepEqual(await later, { code: 0, out: 'OK\n', err: '' });
  const silent = createServer().listen(join(folder, 'silent.sock'));
  assert.match(
    (await run(['status', '--wait', '--wait-duration', '1s'], { at: join(folder, 'silent.sock') })).err,
    /no answer within \d+ ms/,
  );
  silent.close();
});

test('no agent: which socket was tried, and what to do', async () => {
  const at = join(folder, 'nobody.sock');
  const { code, out, err } = await run(['status', '--brief'], { at });
  assert.deepEqual([code, out], [1, '']);
  assert.ok(err.startsWith(`Cannot reach the agent at ${at}: connect ENOENT`), err);
  assert.match(err, /set STENTOR_SOCKET/);
});

test('an agent that breaks off is an error, not an empty answer', async () => {
  const at = join(folder, 'broken.sock');
  let answer = 'HTTP/1.1 200 OK\r\n';
  const broken = createServer((connection) => connection.on('data', () => connection.end(answer))).listen(at);
  const inHead = await run(['service', 'list'], { at });
  answer = 'HTTP/1.1 200 OK\r\n\r\n[{"id":';
  const inBody = await run(['service', 'list'], { at });
  broken.close();
  assert.deepEqual([inHead.code, inBody.code], [1, 1]);
  assert.match(inHead.err, /gave no answer to \/services/);
  assert.match(inBody.err, /broke off its answer/);
});

test('drops -f goes on as they come, and the agent forgets a follower that leaves', async () => {
  const child = start(stentor, ['drops', '-f']);
  let out = '';
  child.stdout.on('data', (chunk) => (out += chunk));
  await until(() => followers.size === 1);
  for (const follower of followers) follower({ ...drop, reason: 'PolicyDenied' });
  await until(() => out.includes('PolicyDenied'));
  assert.match(out, /NoBackend[^]*PolicyDenied/, 'the recent ones first');
  child.kill('SIGINT');
  await once(child, 'close');
  await until(() => followers.size === 0);
});

test('the API says what it has, and that it only reads', async () => {
  assert.deepEqual(await raw('GET', '/nothing'), {
    status: 404,
    error:
      'Cannot find /nothing, wanted one of /status, /services, /redirects, /vips, /endpoints, /nodes, /ips, /trace, /tables, /maps/diff, /problems, /drops',
  });
  assert.deepEqual(await raw('POST', '/status'), { status: 405, error: 'Cannot POST /status, wanted GET' });
  assert.equal((await raw('GET', '/constructor')).status, 404);
});

function raw(method: string, path: string): Promise<{ readonly status: number | undefined; readonly error: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath: socket, method, path }, (response) => {
      let text = '';
      response
        .on('data', (chunk) => (text += chunk))
        .on('end', () => resolve({ status: response.statusCode, error: JSON.parse(text).error }));
    });
    sent.on('error', reject).end();
  });
}

async function until(condition: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 5000; !condition();) {
    assert.ok(Date.now() < deadline, `not within 5 s: ${String(condition)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
