// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filterOptions, filtersOf, rawFilterText } from './filters.ts';
import type { Option } from './filters.ts';

/** '--pod a --not -A' as options in order; words in single quotes may have spaces. */
function options(line: string): readonly Option[] {
  const words = [...line.matchAll(/'([^']*)'|(\S+)/g)].map((match) => match[1] ?? match[2] ?? '');
  const found: Option[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? '';
    const name = word.startsWith('--') ? word.slice(2) : (filterOptions.find(({ short }) => `-${short}` === word)?.name ?? word);
    const boolean = name === 'not' || filterOptions.find((option) => option.name === name)?.boolean;
    found.push({ name, value: boolean ? undefined : words[++i] });
  }
  return found;
}

const cases: readonly (readonly [line: string, allow: readonly string[], deny?: readonly string[]])[] = [
  ['', []],
  ['--pod cart', ['{"source_pod":["cart"]}', '{"destination_pod":["cart"]}']],
  ['--from-pod shop/cart', ['{"source_pod":["shop/cart"]}']],
  ['--from-pod a --to-pod b', ['{"source_pod":["a"],"destination_pod":["b"]}']],
  ['--from-pod a --from-pod b', ['{"source_pod":["a","b"]}']],
  ['-n shop', ['{"source_pod":["shop/"]}', '{"destination_pod":["shop/"]}']],
  ['--namespace networking', ['{"source_pod":["networking/"]}', '{"destination_pod":["networking/"]}']],
  ['-n a -n b', ['{"source_pod":["a/","b/"]}', '{"destination_pod":["a/","b/"]}']],
  ['--from-namespace a --to-namespace b', ['{"source_pod":["a/"],"destination_pod":["b/"]}']],
  ['-n shop --pod cart', ['{"source_pod":["shop/cart"]}', '{"destination_pod":["shop/cart"]}']],
  ['-n shop --pod shop/cart', ['{"source_pod":["shop/cart"]}', '{"destination_pod":["shop/cart"]}']],
  ['-n shop --from-pod cart', ['{"source_pod":["shop/cart"]}']],
  ['-n shop --service cart', ['{"source_service":["shop/cart"]}', '{"destination_service":["shop/cart"]}']],
  ['-A', ['{"source_pod":["/"]}', '{"destination_pod":["/"]}']],
  ['-A --pod cart', ['{"source_pod":["/cart"]}', '{"destination_pod":["/cart"]}']],
  ['--ip 10.0.0.0/8', ['{"source_ip":["10.0.0.0/8"]}', '{"destination_ip":["10.0.0.0/8"]}']],
  ['--to-ip fd00::1 --from-ip 10.0.0.1', ['{"source_ip":["10.0.0.1"],"destination_ip":["fd00::1"]}']],
  ['--snat-ip 192.168.0.1', ['{"source_ip_xlated":["192.168.0.1"]}']],
  ['--fqdn *.example.com', ['{"source_fqdn":["*.example.com"]}', '{"destination_fqdn":["*.example.com"]}']],
  ["-l 'app in (a,b)'", ['{"source_label":["app in (a,b)"]}', '{"destination_label":["app in (a,b)"]}']],
  ['--identity host', ['{"source_identity":[1]}', '{"destination_identity":[1]}']],
  ['--to-identity reserved:world,12345', ['{"destination_identity":[2,12345]}']],
  ['--port 80', ['{"source_port":["80"]}', '{"destination_port":["80"]}']],
  ['--from-pod a --port 80', ['{"source_pod":["a"],"source_port":["80"]}', '{"source_pod":["a"],"destination_port":["80"]}']],
  ['--to-port 80,443 --protocol TCP', ['{"protocol":["tcp"],"destination_port":["80","443"]}']],
  [
    '--workload Deployment/cart',
    ['{"source_workload":[{"name":"cart","kind":"Deployment"}]}', '{"destination_workload":[{"name":"cart","kind":"Deployment"}]}'],
  ],
  ['--to-workload DaemonSet/', ['{"destination_workload":[{"kind":"DaemonSet"}]}']],
  ['--to-workload cart', ['{"destination_workload":[{"name":"cart"}]}']],
  ['--from-cluster east', ['{"source_cluster_name":["east"]}']],
  ['-t drop', ['{"event_type":[{"type":1}]}']],
  ['-t trace:to-endpoint', ['{"event_type":[{"type":4,"match_sub_type":true}]}']],
  ['-t trace:from-network,l7', ['{"event_type":[{"type":4,"match_sub_type":true,"sub_type":10},{"type":129}]}']],
  ['-t drop:policy-denied', ['{"event_type":[{"type":1,"match_sub_type":true,"sub_type":133}]}']],
  ['-t drop:181', ['{"event_type":[{"type":1,"match_sub_type":true,"sub_type":181}]}']],
  ['-t trace-sock:post-xlate-fwd', ['{"event_type":[{"type":7,"match_sub_type":true,"sub_type":2}]}']],
  ['-t capture:from-lb', ['{"event_type":[{"type":3,"match_sub_type":true,"sub_type":5}]}']],
  ['-t agent:policy-updated', ['{"event_type":[{"type":130,"match_sub_type":true,"sub_type":5}]}']],
  ['-t policy-verdict', ['{"event_type":[{"type":5}]}']],
  ['--verdict dropped --verdict ERROR', ['{"verdict":["DROPPED","ERROR"]}']],
  ['--drop-reason-desc policy_denied', ['{"drop_reason_desc":["POLICY_DENIED"]}']],
  ['--protocol dns', ['{"protocol":["dns"]}']],
  ['--tcp-flags syn,ack --tcp-flags rst', ['{"tcp_flags":[{"SYN":true,"ACK":true},{"RST":true}]}']],
  ['--traffic-direction egress', ['{"traffic_direction":["EGRESS"]}']],
  ['-4', ['{"ip_version":["IPv4"]}']],
  ['-6 --ip-version none', ['{"ip_version":["IPv6","IP_NOT_USED"]}']],
  ['--node-name k8s* --node-label disk=ssd', ['{"node_name":["k8s*"],"node_labels":["disk=ssd"]}']],
  ['--interface eth0', ['{"interface":[{"name":"eth0"}]}']],
  ['--uuid u --trace-id t --ip-trace-id 7', ['{"uuid":["u"],"trace_id":["t"],"ip_trace_id":["7"]}']],
  ['--encrypted', ['{"encrypted":[true]}']],
  ['--unencrypted', ['{"encrypted":[false]}']],
  ['--http-status 404 --http-status 5+', ['{"http_status_code":["404","5+"]}']],
  ['--http-method get --http-path /v1 --http-url example', ['{"http_method":["GET"],"http_path":["/v1"],"http_url":["example"]}']],
  ["--http-header 'host: example.com:80'", ['{"http_header":[{"key":"host","value":"example.com:80"}]}']],
  ["--cel-expression '_flow.verdict == 2'", ['{"experimental":{"cel_expression":["_flow.verdict == 2"]}}']],
  ['--not --verdict FORWARDED', [], ['{"verdict":["FORWARDED"]}']],
  ['--not --verdict FORWARDED --pod a', ['{"source_pod":["a"]}', '{"destination_pod":["a"]}'], ['{"verdict":["FORWARDED"]}']],
  [
    '--not --pod a --not --port 80',
    [],
    ['{"source_pod":["a"],"source_port":["80"]}', '{"destination_pod":["a"],"destination_port":["80"]}'],
  ],
  [
    `--allowlist '{"source_pod":["a/"]}{"verdict":["DROPPED"]}' --denylist '[{"reply":[true]}]'`,
    ['{"source_pod":["a/"]}', '{"verdict":["DROPPED"]}'],
    ['{"reply":[true]}'],
  ],
  [`--verdict DROPPED --allowlist '{"http_url":["a\\"}"]}'`, ['{"verdict":["DROPPED"]}', '{"http_url":["a\\"}"]}']],
];

for (const [line, allow, deny = []] of cases)
  test(`hubble observe ${line}`, () => {
    const filters = filtersOf(options(line));
    assert.deepEqual(
      filters.allow.map((filter) => JSON.stringify(filter)),
      allow,
    );
    assert.deepEqual(
      filters.deny.map((filter) => JSON.stringify(filter)),
      deny,
    );
  });

const refused: readonly (readonly [line: string, says: RegExp])[] = [
  ['--pod a --from-pod b', /Cannot combine --pod and --from-pod/],
  ['--ip 10.0.0.1 --pod a', /Cannot combine --ip and --pod/],
  ['--from-ip 10.0.0.1 --from-fqdn a', /Cannot combine --from-ip and --from-fqdn/],
  ['--from-ip 10.0.0.1 --fqdn a', /Cannot combine --from-ip and --fqdn/],
  ['--cluster a --to-cluster b', /Cannot combine --cluster and --to-cluster/],
  ['-n shop -A', /Cannot combine --namespace and --all-namespaces/],
  ['-n shop --pod other/cart', /Cannot combine 'other\/cart' and the namespace shop/],
  ['-n Shop/', /Cannot filter by namespace 'Shop\/'/],
  ['--ip 10.0.0', /Cannot filter by address '10\.0\.0'/],
  ['--port 65536', /Cannot filter by port '65536'/],
  ['--identity everybody', /Cannot filter by identity 'everybody'/],
  ['--identity constructor', /Cannot filter by identity/],
  ['--verdict FORWARD', /wanted one of VERDICT_UNKNOWN, FORWARDED/],
  ['--protocol quic', /Cannot filter by protocol 'quic'/],
  ['--tcp-flags syn,syk', /Cannot filter by TCP flag 'syk'/],
  ['-t tracing', /Cannot filter by type 'tracing'/],
  ['-t trace:to-nowhere', /Cannot filter by type 'trace:to-nowhere', wanted trace:N, trace:to-proxy/],
  ['-t toString', /Cannot filter by type/],
  ['--http-status 99', /Cannot filter by status '99'/],
  ['--http-header host', /Cannot filter by header 'host'/],
  ['--workload a/b/c', /Cannot filter by workload/],
  ['--not', /Cannot understand --not at the end/],
  ['--not --not --pod a', /Cannot say --not twice/],
  ["--allowlist '{'", /Cannot read --allowlist/],
  ["--allowlist '7'", /Cannot read --allowlist/],
  ["--denylist ''", /Cannot read --denylist/],
];
for (const [line, says] of refused)
  test(`hubble observe ${line} is refused`, () => assert.throws(() => filtersOf(options(line)), { name: 'UsageError', message: says }));

test('raw filters are YAML that an exporter reads', () => {
  assert.equal(
    rawFilterText(filtersOf(options("--verdict DROPPED --not --http-path it's"))),
    `allowlist:\n    - '{"verdict":["DROPPED"]}'\ndenylist:\n    - '{"http_path":["it''s"]}'\n`,
  );
  assert.equal(rawFilterText({ allow: [], deny: [] }), '');
});
