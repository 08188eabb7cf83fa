// SPDX-License-Identifier: Apache-2.0
// What the Service tests of Kubernetes' sig-network ask of a service proxy, in our words, and what of it is not covered. A scenario (a test,
// or a check of the sandbox) names the rows that it proves in a comment above it: '// covers: node-port, udp'.

/** `not`: why no scenario has it. */
export type Behaviour = { readonly id: string; readonly group: string; readonly text: string; readonly not?: string };

const rows: Readonly<Record<string, readonly (readonly [id: string, text: string, not?: string])[]>> = {
  ClusterIP: [
    ['cluster-ip', 'Pods and nodes reach a ClusterIP by TCP and UDP, IPv4 and IPv6'],
    ['all-backends', 'Every ready endpoint gets some of the connections'],
    ['hairpin', 'A pod reaches itself through its own Service'],
    ['no-endpoints', 'A Service without endpoints refuses at once, for TCP and UDP'],
    ['closed-port', 'A port that a Service does not have is refused'],
    ['target-port', 'A port leads to the number, or to the name that each pod gives a number'],
    ['scale', 'Endpoints that come and go are followed'],
    ['unready', 'A pod that is not ready gets nothing, unless publishNotReadyAddresses is set'],
    ['headless', 'A headless Service and an ExternalName have no frontend'],
    ['proxy-name', 'A Service with the label service-proxy-name of another proxy is left alone'],
    ['api-server', 'Pods reach the API server through the Service kubernetes'],
    ['large', 'Requests of 20 MB and datagrams in fragments arrive'],
  ],
  'Sessions and endings': [
    ['affinity', 'sessionAffinity: ClientIP keeps a client at its endpoint'],
    ['affinity-timeout', 'It ends timeoutSeconds after the last connection, and when the endpoint goes'],
    ['terminating', 'Endpoints that terminate and serve get connections when there are no others'],
    ['draining', 'Connections of an endpoint that terminates go on, and new ones go elsewhere'],
    ['udp-stale', 'A UDP client whose endpoint is gone is not kept at it'],
  ],
  'Traffic policies and topology': [
    ['internal-local', "internalTrafficPolicy: Local: endpoints of the client's node alone, or nobody"],
    ['external-local', "externalTrafficPolicy: Local: endpoints of the node alone, which see the client's address"],
    ['external-local-inside', 'Clients inside the cluster have all endpoints all the same'],
    ['health-check', 'healthCheckNodePort says which nodes have an endpoint'],
    ['topology-zone', 'Hints lead to endpoints of the zone (PreferClose, PreferSameZone), and to all where they cannot'],
    ['topology-node', 'Hints lead to endpoints of the node (PreferSameNode), else of the zone'],
  ],
  'From outside': [
    ['node-port', 'A NodePort answers at every node, by TCP and UDP, IPv4 and IPv6'],
    ['node-port-inside', 'Pods and nodes reach it, too, at their own node and at others'],
    ['external-ip', 'An external IP is served'],
    ['load-balancer-ip', 'A load balancer IP is served by every node; with ipMode: Proxy by none'],
    ['balancer-class', 'Whoever looks after a loadBalancerClass gives addresses, and they are served'],
    ['no-node-ports', 'allocateLoadBalancerNodePorts: false: a balancer without node ports is served'],
    ['source-ranges', 'loadBalancerSourceRanges lets in the clients that it names'],
    ['source-ranges-inside', 'Clients inside the cluster are let in always'],
    ['cluster-ip-outside', 'A ClusterIP is not reached from outside'],
    ['port-kept', 'A process of the node does not take the place of a NodePort'],
  ],
  hostPort: [
    ['host-port', 'A hostPort is served at the node of its pod'],
    ['host-port-address', 'One number at two addresses or by two protocols is two pods'],
    ['host-port-taken', 'A hostPort that is a NodePort is told of'],
  ],
  'The proxy itself': [
    ['restart', 'Connections go on while the proxy is killed and begins again'],
    ['healthz', '/healthz and /livez answer as those of kube-proxy'],
    ['sctp', 'SCTP is served, also where the port of the pod is another one'],
  ],
};

export const behaviours: readonly Behaviour[] = Object.entries(rows).flatMap(([group, list]) =>
  list.map(([id, text, not]) => ({ id, group, text, ...(not !== undefined && { not }) })),
);
