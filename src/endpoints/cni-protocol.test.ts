// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cniRequest } from './cni-protocol.ts';
import { CNI_VERSIONS } from './cni-reply.ts';

const CONTAINER = 'a3f1';
const ENVIRONMENT: Readonly<Record<string, string>> = {
  CNI_COMMAND: 'ADD',
  CNI_CONTAINERID: CONTAINER,
  CNI_NETNS: '/var/run/netns/cni-1',
  CNI_IFNAME: 'eth0',
  CNI_PATH: '/opt/cni/bin',
  CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart-0;K8S_POD_INFRA_CONTAINER_ID=a3f1;K8S_POD_UID=0d6f-1',
};
const CONFIG = { cniVersion: '1.0.0', name: 'cilium', type: 'cilium-cni' };

type Change = Readonly<Record<string, string | undefined>>;
function message(change: Change = {}, stdin: string | Uint8Array | object = CONFIG): Buffer {
  const variables = Object.entries({ ...ENVIRONMENT, ...change }).filter(([, value]) => value !== undefined);
  const environment = variables.map(([name, value]) => `${name}=${value}\0`).join('');
  const body = typeof stdin === 'string' || stdin instanceof Uint8Array ? stdin : JSON.stringify(stdin);
  return Buffer.concat([Buffer.from(`${environment}\0`), Buffer.from(body)]);
}

test('an ADD as a runtime sends it', () => {
  assert.deepEqual(cniRequest(message()), {
    kind: 'add',
    cniVersion: '1.0.0',
    containerId: CONTAINER,
    netns: '/var/run/netns/cni-1',
    ifName: 'eth0',
    namespace: 'shop',
    pod: 'cart-0',
    uid: '0d6f-1',
    network: 'cilium',
  });
});

test('a DEL needs neither a network namespace nor the name of a pod, and may carry the earlier result', () => {
  const request = cniRequest(
    message({ CNI_COMMAND: 'DEL', CNI_NETNS: '', CNI_ARGS: undefined }, { ...CONFIG, prevResult: { cniVersion: '1.0.0' } }),
  );
  const args = { namespace: undefined, pod: undefined, uid: undefined };
  assert.deepEqual(request, { kind: 'del', cniVersion: '1.0.0', containerId: CONTAINER, ifName: 'eth0', netns: undefined, args });
});

for (const version of CNI_VERSIONS)
  test(`cniVersion ${version} is read`, () => {
    assert.equal(cniRequest(message({}, { ...CONFIG, cniVersion: version })).cniVersion, version);
  });

test('VERSION is answered whatever version is asked, with and without a configuration', () => {
  for (const stdin of ['', '{"cniVersion":"9.9.9"}', '{"cniVersion":"0.4.0"}']) {
    const request = cniRequest(message({ CNI_COMMAND: 'VERSION', CNI_CONTAINERID: undefined }, stdin));
    assert.equal(request.kind, 'version');
  }
});

const RESULT = {
  cniVersion: '1.0.0',
  interfaces: [{ name: 'lxc1' }, { name: 'eth0', sandbox: '/var/run/netns/cni-1' }, { name: 'net1', sandbox: '/var/run/netns/cni-1' }],
  ips: [
    { address: '10.244.1.5/32', interface: 1 },
    { address: 'fd00:1::5/128', interface: 1 },
    { address: '192.0.2.9/24', interface: 2 },
  ],
};

test('a CHECK takes from the earlier result the addresses of its interface', () => {
  assert.deepEqual(cniRequest(message({ CNI_COMMAND: 'CHECK' }, { ...CONFIG, prevResult: RESULT })), {
    kind: 'check',
    cniVersion: '1.0.0',
    containerId: CONTAINER,
    ifName: 'eth0',
    netns: '/var/run/netns/cni-1',
    addresses: ['10.244.1.5', 'fd00:1::5'],
  });
});

test('a CHECK also knows an address that names no interface, as 0.4.0 may have it', () => {
  const prevResult = { ips: [{ version: '4', address: '10.244.1.5/32' }] };
  const request = cniRequest(message({ CNI_COMMAND: 'CHECK' }, { ...CONFIG, cniVersion: '0.4.0', prevResult }));
  assert.deepEqual(request.kind === 'check' && request.addresses, ['10.244.1.5']);
});

test('STATUS needs nothing but a configuration', () => {
  const status = message({ CNI_COMMAND: 'STATUS', CNI_CONTAINERID: undefined, CNI_NETNS: undefined }, { ...CONFIG, cniVersion: '1.1.0' });
  assert.deepEqual(cniRequest(status), { kind: 'status', cniVersion: '1.1.0' });
});

const NEW = { ...CONFIG, cniVersion: '1.1.0' };
const attachments = [{ containerID: 'a3f1', ifname: 'eth0' }];
for (const key of ['cni.dev/valid-attachments', 'cni.dev/attachments'])
  test(`GC reads what is valid from ${key}`, () => {
    assert.deepEqual(cniRequest(message({ CNI_COMMAND: 'GC' }, { ...NEW, [key]: attachments })), {
      kind: 'gc',
      cniVersion: '1.1.0',
      valid: [{ containerId: 'a3f1', ifName: 'eth0' }],
    });
  });

const refusals: readonly [name: string, request: Uint8Array, code: number, says: RegExp][] = [
  ['no bytes', Buffer.alloc(0), 6, /environment has no end/],
  ['an environment without an end', Buffer.from('CNI_COMMAND=ADD\0CNI_X'), 6, /environment has no end/],
  ['a variable without a value sign', Buffer.from('CNI_COMMAND\0\0{}'), 4, /"CNI_COMMAND"/],
  ['a variable that is not UTF-8', Buffer.concat([Buffer.from('CNI_X='), Buffer.from([0xff, 0, 0])]), 4, /UTF-8/],
  ['a variable given twice', Buffer.from('CNI_COMMAND=ADD\0CNI_COMMAND=DEL\0\0{}'), 4, /CNI_COMMAND="DEL", wanted it once/],
  ['no command', message({ CNI_COMMAND: undefined }), 4, /CNI_COMMAND=\(not set\)/],
  ['an unknown command', message({ CNI_COMMAND: 'REMOVE' }), 4, /CNI_COMMAND="REMOVE"/],
  ['no configuration', message({}, ''), 6, /wanted a JSON object/],
  ['no JSON', message({}, 'hello'), 6, /"hello"/],
  ['JSON that is a list', message({}, '[]'), 6, /wanted a JSON object/],
  ['JSON that is null', message({}, 'null'), 6, /wanted a JSON object/],
  ['JSON with a NUL byte', message({}, '{"cniVersion":"1.0.0",\0"name":"x"}'), 6, /wanted a JSON object/],
  ['a configuration that is not UTF-8', message({}, Buffer.from([0x7b, 0xff, 0x7d])), 6, /UTF-8/],
  ['a megabyte of brackets', message({}, '['.repeat(1 << 20)), 6, /1048578 characters/],
  ['no cniVersion', message({}, { name: 'cilium' }), 1, /cniVersion \(not set\)/],
  ['an old cniVersion', message({}, { ...CONFIG, cniVersion: '0.2.0' }), 1, /"0.2.0", wanted 0.3.0/],
  ['a cniVersion that is a number', message({}, { ...CONFIG, cniVersion: 1 }), 1, /cniVersion 1,/],
  ['no network name', message({}, { cniVersion: '1.0.0' }), 7, /network name \(not set\)/],
  ['a network name that is a path', message({}, { ...CONFIG, name: '../etc' }), 7, /"..\/etc"/],
  ['a network name with NUL', message({}, { ...CONFIG, name: 'a\0b' }), 7, /"a\\u0000b"/],
  [
    'CHECK in 0.3.1',
    message({ CNI_COMMAND: 'CHECK' }, { ...CONFIG, cniVersion: '0.3.1', prevResult: RESULT }),
    1,
    /wanted 0\.4\.0 or later/,
  ],
  ['STATUS in 1.0.0', message({ CNI_COMMAND: 'STATUS' }), 1, /wanted 1\.1\.0 or later/],
  ['GC in 1.0.0', message({ CNI_COMMAND: 'GC' }, { ...CONFIG, 'cni.dev/valid-attachments': [] }), 1, /wanted 1\.1\.0 or later/],
  ['CHECK without an earlier result', message({ CNI_COMMAND: 'CHECK' }), 7, /prevResult is \(not set\), wanted the result of ADD/],
  ['CHECK with a result that is none', message({ CNI_COMMAND: 'CHECK' }, { ...CONFIG, prevResult: [] }), 7, /prevResult is \[\]/],
  [
    'CHECK with an address that is none',
    message({ CNI_COMMAND: 'CHECK' }, { ...CONFIG, prevResult: { ips: [{}] } }),
    7,
    /an address with its length/,
  ],
  ['CHECK without a namespace', message({ CNI_COMMAND: 'CHECK', CNI_NETNS: '' }, { ...CONFIG, prevResult: RESULT }), 4, /CNI_NETNS/],
  ['GC without a list', message({ CNI_COMMAND: 'GC' }, NEW), 7, /valid-attachments is \(not set\), wanted the list/],
  [
    'GC with a list that is none',
    message({ CNI_COMMAND: 'GC' }, { ...NEW, 'cni.dev/valid-attachments': {} }),
    7,
    /is \{\}, wanted the list/,
  ],
  [
    'GC with one attachment that is not understood',
    message({ CNI_COMMAND: 'GC' }, { ...NEW, 'cni.dev/valid-attachments': [...attachments, { containerID: 'b' }] }),
    7,
    /containerID and ifname in each/,
  ],
  ['ADD behind another plugin', message({}, { ...CONFIG, prevResult: {} }), 7, /prevResult/],
  ['no container id', message({ CNI_CONTAINERID: undefined }), 4, /CNI_CONTAINERID=\(not set\)/],
  ['a container id that is a path', message({ CNI_CONTAINERID: '../../etc/passwd' }), 4, /"..\/..\/etc\/passwd"/],
  ['a container id that begins with a dot', message({ CNI_CONTAINERID: '.a' }), 4, /CNI_CONTAINERID="\.a"/],
  ['a container id without end', message({ CNI_CONTAINERID: 'a'.repeat(5000) }), 4, /5002 characters/],
  ['no interface name', message({ CNI_IFNAME: '' }), 4, /CNI_IFNAME=""/],
  ['an interface name that is a path', message({ CNI_IFNAME: '../all' }), 4, /"..\/all"/],
  ['an interface name of dots', message({ CNI_IFNAME: '..' }), 4, /CNI_IFNAME="\.\."/],
  ['an interface name of 16 bytes', message({ CNI_IFNAME: 'a'.repeat(16) }), 4, /CNI_IFNAME/],
  ['an interface name with a space', message({ CNI_IFNAME: 'eth 0' }), 4, /CNI_IFNAME/],
  ['an interface name with a colon', message({ CNI_IFNAME: 'eth0:1' }), 4, /CNI_IFNAME/],
  ['an interface name that is not ASCII', message({ CNI_IFNAME: 'éth0' }), 4, /CNI_IFNAME/],
  ['no network namespace', message({ CNI_NETNS: undefined }), 4, /CNI_NETNS=\(not set\)/],
  ['a relative network namespace', message({ CNI_NETNS: 'netns/a' }), 4, /CNI_NETNS="netns\/a"/],
  ['a network namespace that climbs', message({ CNI_NETNS: '/var/run/netns/../../x' }), 4, /CNI_NETNS/],
  ['arguments without values', message({ CNI_ARGS: 'K8S_POD_NAME' }), 4, /CNI_ARGS="K8S_POD_NAME"/],
  ['no namespace', message({ CNI_ARGS: 'K8S_POD_NAME=a' }), 4, /wanted K8S_POD_NAMESPACE/],
  ['no pod name', message({ CNI_ARGS: 'K8S_POD_NAMESPACE=a' }), 4, /wanted K8S_POD_NAME in/],
  ['a pod name that is a path', message({ CNI_ARGS: 'K8S_POD_NAMESPACE=a;K8S_POD_NAME=../b' }), 4, /K8S_POD_NAME="..\/b"/],
  ['a namespace of capitals', message({ CNI_ARGS: 'K8S_POD_NAMESPACE=A;K8S_POD_NAME=b' }), 4, /K8S_POD_NAMESPACE="A"/],
  ['a uid with a newline', message({ CNI_ARGS: 'K8S_POD_NAMESPACE=a;K8S_POD_NAME=b;K8S_POD_UID=c\nd' }), 4, /K8S_POD_UID="c\\nd"/],
];

for (const [name, request, code, says] of refusals)
  test(`${name} is refused with code ${code}`, () => {
    const parsed = cniRequest(request);
    assert.ok(parsed.kind === 'refused', `got ${parsed.kind}`);
    assert.equal(parsed.failure.code, code);
    assert.match(parsed.failure.message, says);
    assert.ok(parsed.failure.message.length < 600);
  });

test('mutated requests never throw and never give an unsafe name', (t) => {
  const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 1e9);
  let state = seed;
  const random = (limit: number) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return Math.floor((state / 2147483648) * limit);
  };
  t.diagnostic(`FUZZ_SEED=${seed}`);
  const whole = message();
  for (let round = 0; round < 5000; round++) {
    const bytes = Buffer.from(whole.subarray(0, random(8) === 0 ? random(whole.length) : whole.length));
    for (let i = random(6); i >= 0 && bytes.length > 0; i--) bytes[random(bytes.length)] = random(256);
    const request = cniRequest(bytes);
    if (request.kind !== 'add') continue;
    assert.match(request.ifName, /^[^/:\s\0]{1,15}$/, `seed ${seed}`);
    assert.match(request.containerId, /^[a-zA-Z0-9][\w.-]*$/, `seed ${seed}`);
  }
});
