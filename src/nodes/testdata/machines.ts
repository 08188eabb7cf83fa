// SPDX-License-Identifier: Apache-2.0
// Machines as the kernel tells of them, and what is to be said of each of their interfaces.
//
//   eth0 1500 192.168.0.21/24 default       name, MTU, addresses, and that a default route of the main table leads through it
//   kind=bond in=bond0 nomac down           as the kernel says; physical ones have no kind
//   10.0.0.2/32@link route=10.0.0.0/16      an address of another scope; a prefix that is reached without a gateway
//   hop                                     one of several next hops of a default route
//   | chosen because … | as 192.168.0.21    the reason, and whose address pods leave with

export type Machine = {
  readonly name: string;
  /** Addresses of the Node object; none: it is not known yet. */
  readonly node: readonly string[];
  /** `devices` of the values. */
  readonly devices?: readonly string[];
  readonly links: string;
  /** Of new pods, with its reason. */
  readonly mtu: string;
};

const lo = 'lo 65536 127.0.0.1/8@host ::1/128@host | ignored because it is the loopback';
const none = 'ignored because it has no default route and no address of Node n';
const way = 'chosen because it has a default route';
const down = 'ignored because it is down';
const plugin = 'ignored because a CNI plugin made it';
const dummy = 'ignored because it is a dummy: it leads nowhere';
const own = (address: string) => `chosen because it has ${address}, an address of Node n`;
const member = (what: string) => `ignored because it is a member of the ${what}`;
const bypass = "so the host's stack alone carries what pods send through it, without masquerade";
const least = (...uplinks: readonly string[]) => `the least of the uplinks: ${uplinks.join(', ')}`;

/** Node addresses of the examples that stand in a home. */
const HOME = ['192.168.0.21', 'fd00:192:168::21'];
const home = '192.168.0.21/24 fd00:192:168::21/64 fe80::21/64@link';
const asHome = 'as 192.168.0.21 fd00:192:168::21';

export const machines: readonly Machine[] = [
  {
    name: 'k3s on a Raspberry Pi, after flannel',
    node: HOME,
    links: `${lo}
      eth0 1500 ${home} default | ${own('192.168.0.21')} | ${asHome}
      flannel.1 1450 kind=vxlan 10.42.0.0/32 | ${none}
      cni0 1450 kind=bridge 10.42.0.1/24 | ${none}
      veth12ab34cd 1450 kind=veth in=cni0 | ${member('bridge cni0')}`,
    mtu: `1500 ${least('eth0 1500')}`,
  },
  {
    name: 'a Raspberry Pi by cable and by Wi-Fi on one LAN',
    node: HOME,
    links: `${lo}
      eth0 1500 ${home} default | ${own('192.168.0.21')} | ${asHome}
      wlan0 1500 192.168.0.121/24 fe80::121/64@link default | ${way} | as 192.168.0.121 fd00:192:168::21`,
    mtu: `1500 ${least('eth0 1500', 'wlan0 1500')}`,
  },
  {
    name: 'a Raspberry Pi by Wi-Fi alone, its socket empty',
    node: HOME,
    links: `${lo}
      eth0 1500 | ${none}
      wlan0 1492 ${home} default | ${own('192.168.0.21')} | ${asHome}`,
    mtu: `1492 ${least('wlan0 1492')}`,
  },
  {
    name: 'Talos on one cable',
    node: HOME,
    links: `${lo}
      bond0 1500 kind=bond down | ${down}
      dummy0 1500 kind=dummy down | ${down}
      teql0 1500 nomac down | ${down}
      tunl0 1480 kind=ipip nomac down | ${down}
      sit0 1480 kind=sit nomac down | ${down}
      ip6tnl0 1452 kind=ip6tnl nomac down | ${down}
      enx001122334455 1500 ${home} default | ${own('192.168.0.21')} | ${asHome}`,
    mtu: `1500 ${least('enx001122334455 1500')}`,
  },
  {
    name: 'Talos with KubeSpan and SideroLink',
    node: HOME,
    links: `${lo}
      eth0 1500 ${home} default | ${own('192.168.0.21')} | ${asHome}
      siderolink 1280 kind=wireguard nomac fdae:41e4:649b:9303::2/64 | ignored because it has no MAC address: it is WireGuard
      kubespan 1420 kind=wireguard nomac fd83:b1f7:fcb5:2802::2/128 | ignored because it has no MAC address: it is WireGuard`,
    mtu: `1500 ${least('eth0 1500')}`,
  },
  {
    name: 'a control plane of Talos that holds the shared address, and has it first',
    node: HOME,
    links: `${lo}
      eth0 1500 192.168.0.20/32 ${home} default | ${own('192.168.0.21')} | ${asHome}`,
    mtu: `1500 ${least('eth0 1500')}`,
  },
  {
    name: 'a control plane of kubeadm whose kube-vip keeps its address on the loopback',
    node: HOME,
    links: `lo 65536 127.0.0.1/8@host 192.168.0.20/32 | ignored because it is the loopback
      ens18 1500 ${home} default | ${own('192.168.0.21')} | ${asHome}`,
    mtu: `1500 ${least('ens18 1500')}`,
  },
  {
    name: 'kubeadm beside Docker and its containers',
    node: HOME,
    links: `${lo}
      ens18 1500 ${home} default | ${own('192.168.0.21')} | ${asHome}
      docker0 1500 kind=bridge 172.17.0.1/16 | ${none}
      br-0a1b2c3d4e5f 1500 kind=bridge 172.18.0.1/16 | ${none}
      veth0badc0d 1500 kind=veth in=br-0a1b2c3d4e5f | ${member('bridge br-0a1b2c3d4e5f')}`,
    mtu: `1500 ${least('ens18 1500')}`,
  },
  {
    name: 'a Proxmox host that is a node itself',
    node: HOME,
    links: `${lo}
      eno1 1500 in=vmbr0 | ${member('bridge vmbr0')}
      vmbr0 1500 kind=bridge ${home} default | ${own('192.168.0.21')} | ${asHome}
      tap100i0 1500 kind=tun in=vmbr0 | ${member('bridge vmbr0')}
      fwbr101i0 1500 kind=bridge | ${none}
      fwpr101p0 1500 kind=veth in=vmbr0 | ${member('bridge vmbr0')}
      fwln101i0 1500 kind=veth in=fwbr101i0 | ${member('bridge fwbr101i0')}`,
    mtu: `1500 ${least('vmbr0 1500')}`,
  },
  {
    name: 'a host of libvirt',
    node: HOME,
    links: `${lo}
      enp3s0 1500 ${home} default | ${own('192.168.0.21')} | ${asHome}
      virbr0 1500 kind=bridge 192.168.122.1/24 | ${none}
      vnet0 1500 kind=tun in=virbr0 | ${member('bridge virbr0')}`,
    mtu: `1500 ${least('enp3s0 1500')}`,
  },
  {
    name: 'a server with a bond of two',
    node: ['10.20.0.11'],
    links: `${lo}
      eno1 9000 in=bond0 | ${member('bond bond0')}
      eno2 9000 in=bond0 | ${member('bond bond0')}
      bond0 9000 kind=bond 10.20.0.11/24 default | ${own('10.20.0.11')} | as 10.20.0.11 -`,
    mtu: `9000 ${least('bond0 9000')}`,
  },
  {
    name: 'VLANs on a bond: one for the cluster, one for storage, one for the way out',
    node: ['10.20.0.11'],
    links: `${lo}
      eno1 9000 in=bond0 | ${member('bond bond0')}
      eno2 9000 in=bond0 | ${member('bond bond0')}
      bond0 9000 kind=bond | ${none}
      bond0.20 1500 kind=vlan 10.20.0.11/24 | ${own('10.20.0.11')} | as 10.20.0.11 -
      bond0.30 9000 kind=vlan 10.30.0.11/24 | ${none}
      bond0.99 1500 kind=vlan 198.51.100.11/24 default | ${way} | as 198.51.100.11 -`,
    mtu: `1500 ${least('bond0.20 1500', 'bond0.99 1500')}`,
  },
  {
    name: 'a team of two',
    node: ['10.20.0.11'],
    links: `${lo}
      em1 1500 in=team0 | ${member('team team0')}
      em2 1500 in=team0 down | ${down}
      team0 1500 kind=team 10.20.0.11/24 default | ${own('10.20.0.11')} | as 10.20.0.11 -`,
    mtu: `1500 ${least('team0 1500')}`,
  },
  {
    name: 'a cable with the management untagged and the cluster in a VLAN',
    node: ['10.30.0.11'],
    links: `${lo}
      eth0 1500 192.168.1.11/24 default | ${way} | as 192.168.1.11 -
      eth0.30 1496 kind=vlan 10.30.0.11/24 | ${own('10.30.0.11')} | as 10.30.0.11 -`,
    mtu: `1496 ${least('eth0 1500', 'eth0.30 1496')}`,
  },
  {
    name: 'a bridge on a VLAN of a bond',
    node: ['10.30.0.11'],
    links: `${lo}
      eno1 1500 in=bond0 | ${member('bond bond0')}
      eno2 1500 in=bond0 | ${member('bond bond0')}
      bond0 1500 kind=bond | ${none}
      bond0.30 1500 kind=vlan in=br30 | ${member('bridge br30')}
      br30 1500 kind=bridge 10.30.0.11/24 default | ${own('10.30.0.11')} | as 10.30.0.11 -`,
    mtu: `1500 ${least('br30 1500')}`,
  },
  {
    name: 'WireGuard to another site beside the LAN',
    node: HOME,
    links: `${lo}
      eth0 1500 ${home} default | ${own('192.168.0.21')} | ${asHome}
      wg0 1420 kind=wireguard nomac 10.8.0.2/24 route=192.168.9.0/24 | ignored because it has no MAC address: it is WireGuard`,
    mtu: `1500 ${least('eth0 1500')}`,
  },
  {
    name: 'nodes that meet by WireGuard',
    node: ['10.8.0.2'],
    links: `${lo}
      eth0 1500 198.51.100.11/24 default | ${way} | as 198.51.100.11 -
      wg0 1420 kind=wireguard nomac 10.8.0.2/24 | ignored because it has no MAC address: it is WireGuard; it has 10.8.0.2, an address of Node n, ${bypass}`,
    mtu: `1500 ${least('eth0 1500')}`,
  },
  {
    name: 'Tailscale beside the LAN',
    node: HOME,
    links: `${lo}
      eth0 1500 ${home} default | ${own('192.168.0.21')} | ${asHome}
      tailscale0 1280 kind=tun nomac 100.64.0.7/32 fd7a:115c:a1e0::7/128 | ignored because it has no MAC address: it is a tunnel`,
    mtu: `1500 ${least('eth0 1500')}`,
  },
  {
    name: 'k3s with --node-ip of Tailscale',
    node: ['100.64.0.7'],
    links: `${lo}
      eth0 1500 192.168.0.21/24 default | ${way} | as 192.168.0.21 -
      tailscale0 1280 kind=tun nomac 100.64.0.7/32 | ignored because it has no MAC address: it is a tunnel; it has 100.64.0.7, an address of Node n, ${bypass}`,
    mtu: `1500 ${least('eth0 1500')}`,
  },
  {
    name: 'nodes that meet by ZeroTier, which is an Ethernet',
    node: ['10.147.17.11'],
    links: `${lo}
      eth0 1500 192.168.0.21/24 default | ${way} | as 192.168.0.21 -
      ztabcdefgh 2800 kind=tun 10.147.17.11/24 | ${own('10.147.17.11')} | as 10.147.17.11 -`,
    mtu: `1500 ${least('eth0 1500', 'ztabcdefgh 2800')}`,
  },
  {
    name: 'a node that dials in by PPPoE',
    node: HOME,
    links: `${lo}
      eth0 1500 ${home} | ${own('192.168.0.21')} | ${asHome}
      ppp0 1492 kind=ppp nomac 203.0.113.40/32 default | ignored because it has no MAC address: it is PPP; it has a default route, ${bypass}`,
    mtu: `1500 ${least('eth0 1500')}`,
  },
  {
    name: 'a modem without Ethernet as the way out',
    node: HOME,
    links: `${lo}
      eth0 1500 ${home} | ${own('192.168.0.21')} | ${asHome}
      wwan0 1428 kind=wwan nomac 10.64.1.2/30 default | ignored because it has no MAC address: it is a modem; it has a default route, ${bypass}`,
    mtu: `1500 ${least('eth0 1500')}`,
  },
  {
    name: 'a modem that is an Ethernet as the second way out',
    node: HOME,
    links: `${lo}
      eth0 1500 ${home} default | ${own('192.168.0.21')} | ${asHome}
      usb0 1428 192.168.8.100/24 default | ${way} | as 192.168.8.100 fd00:192:168::21`,
    mtu: `1428 ${least('eth0 1500', 'usb0 1428')}`,
  },
  {
    name: 'dummies of kube-proxy and of a DNS cache',
    node: HOME,
    links: `${lo}
      eth0 1500 ${home} default | ${own('192.168.0.21')} | ${asHome}
      kube-ipvs0 1500 kind=dummy 10.96.0.1/32 10.96.0.10/32 | ${dummy}
      nodelocaldns 1500 kind=dummy 169.254.20.10/32 | ${dummy}`,
    mtu: `1500 ${least('eth0 1500')}`,
  },
  {
    name: 'BGP to the host: its address on the loopback, two cables without any',
    node: ['10.0.0.11', 'fd00::11'],
    links: `lo 65536 127.0.0.1/8@host 10.0.0.11/32 fd00::11/128 | ignored because it is the loopback
      swp1 9216 fe80::1/64@link hop | ${way} | as 10.0.0.11 fd00::11
      swp2 9216 fe80::2/64@link hop | ${way} | as 10.0.0.11 fd00::11`,
    mtu: `9216 ${least('swp1 9216', 'swp2 9216')}`,
  },
  {
    name: 'BGP to the host: its address on a dummy, two cables on two segments',
    node: ['10.0.0.11'],
    links: `${lo}
      dummy0 1500 kind=dummy 10.0.0.11/32 | ${dummy}
      eno1 1500 10.1.0.2/31 hop | ${way} | as 10.1.0.2 -
      eno2 1500 10.1.1.2/31 hop | ${way} | as 10.1.1.2 -`,
    mtu: `1500 ${least('eno1 1500', 'eno2 1500')}`,
  },
  {
    name: 'a macvlan by which the host talks to its own containers',
    node: HOME,
    links: `${lo}
      enp3s0 1500 ${home} default | ${own('192.168.0.21')} | ${asHome}
      shim 1500 kind=macvlan 192.168.0.240/32 route=192.168.0.241/32 | ${none}`,
    mtu: `1500 ${least('enp3s0 1500')}`,
  },
  {
    name: 'a container whose one interface is a macvlan',
    node: HOME,
    links: `${lo}
      eth0 1500 kind=macvlan ${home} default | ${own('192.168.0.21')} | ${asHome}`,
    mtu: `1500 ${least('eth0 1500')}`,
  },
  {
    name: 'a container whose one interface is a veth (LXC, Kubernetes in Docker)',
    node: ['172.18.0.3', 'fc00:f853:ccd:e793::3'],
    links: `${lo}
      eth0 1500 kind=veth 172.18.0.3/16 fc00:f853:ccd:e793::3/64 default | ${own('172.18.0.3')} | as 172.18.0.3 fc00:f853:ccd:e793::3`,
    mtu: `1500 ${least('eth0 1500')}`,
  },
  {
    name: 'a second segment that the Node does not know',
    node: ['192.168.0.21'],
    links: `${lo}
      eth0 1500 192.168.0.21/24 default | ${own('192.168.0.21')} | as 192.168.0.21 -
      eth1 9000 10.9.0.21/24 | ${none}`,
    mtu: `1500 ${least('eth0 1500')}`,
  },
  {
    name: 'a second segment that the values name',
    node: ['192.168.0.21'],
    devices: ['eth+'],
    links: `${lo}
      eth0 1500 192.168.0.21/24 default | chosen because devices in the values names it | as 192.168.0.21 -
      eth1 9000 10.9.0.21/24 | chosen because devices in the values names it | as 10.9.0.21 -
      wlan0 1500 192.168.0.121/24 default | ignored because devices in the values has eth+`,
    mtu: `1500 ${least('eth0 1500', 'eth1 9000')}`,
  },
  {
    name: 'a second segment whose address the Node has too',
    node: ['192.168.0.21', '10.9.0.21'],
    links: `${lo}
      eth0 1500 192.168.0.21/24 default | ${own('192.168.0.21')} | as 192.168.0.21 -
      eth1 1500 10.9.0.21/24 | ${own('10.9.0.21')} | as 10.9.0.21 -`,
    mtu: `1500 ${least('eth0 1500', 'eth1 1500')}`,
  },
  {
    name: 'Wi-Fi that the values rule out',
    node: HOME,
    devices: ['!wlan+'],
    links: `${lo}
      eth0 1500 ${home} default | ${own('192.168.0.21')} | ${asHome}
      wlan0 1500 192.168.0.121/24 default | ignored because devices in the values has !wlan+`,
    mtu: `1500 ${least('eth0 1500')}`,
  },
  {
    name: 'a server with IPv6 alone',
    node: ['2001:db8:20::11'],
    links: `${lo}
      ens3 1500 2001:db8:20::11/64 fe80::11/64@link default6 | ${own('2001:db8:20::11')} | as - 2001:db8:20::11`,
    mtu: `1500 ${least('ens3 1500')}`,
  },
  {
    name: 'a server with IPv6 alone that translates for IPv4 (464XLAT)',
    node: ['2001:db8:20::11'],
    links: `${lo}
      ens3 1500 2001:db8:20::11/64 2001:db8:20:0:a:b:c:d/64 default6 | ${own('2001:db8:20::11')} | as - 2001:db8:20::11
      clat 1260 kind=tun nomac 192.0.0.1/32 default | ignored because it has no MAC address: it is a tunnel; it has a default route, ${bypass}`,
    mtu: `1500 ${least('ens3 1500')}`,
  },
  {
    name: 'virtual functions of one card',
    node: ['10.20.0.11'],
    links: `${lo}
      enp1s0f0 1500 10.20.0.11/24 default | ${own('10.20.0.11')} | as 10.20.0.11 -
      enp1s0f0v0 1500 | ${none}
      enp1s0f0v1 1500 down | ${down}`,
    mtu: `1500 ${least('enp1s0f0 1500')}`,
  },
  {
    name: 'a VRF for management, and one with the node itself',
    node: ['10.20.0.11'],
    links: `${lo}
      mgmt 65575 kind=vrf 127.0.0.1/8@host | ignored because it is a VRF: packets come and go by its members
      eth0 1500 in=mgmt 192.168.1.11/24 | ${none}
      blue 65575 kind=vrf | ignored because it is a VRF: packets come and go by its members
      eth1 1500 in=blue 10.20.0.11/24 | ${own('10.20.0.11')} | as 10.20.0.11 -`,
    mtu: `1500 ${least('eth1 1500')}`,
  },
  {
    name: 'a hoster with /32 addresses and a private network',
    node: ['10.0.0.2'],
    links: `${lo}
      eth0 1500 203.0.113.40/32 2001:db8:40::1/64 route=172.31.1.1/32 default | ${way} | as 203.0.113.40 2001:db8:40::1
      enp7s0 1450 10.0.0.2/32 route=10.0.0.1/32 | ${own('10.0.0.2')} | as 10.0.0.2 -`,
    mtu: `1450 ${least('enp7s0 1450', 'eth0 1500')}`,
  },
  {
    name: 'a machine of a cloud with jumbo frames and a second card',
    node: ['172.31.16.20'],
    links: `${lo}
      ens5 9001 172.31.16.20/20 default | ${own('172.31.16.20')} | as 172.31.16.20 -
      ens6 9001 172.31.32.20/20 | ${none}`,
    mtu: `9001 ${least('ens5 9001')}`,
  },
  {
    name: 'what Cilium left behind',
    node: HOME,
    links: `${lo}
      eth0 1500 ${home} default | ${own('192.168.0.21')} | ${asHome}
      cilium_net 1500 kind=veth | ${plugin}
      cilium_host 1500 kind=veth 10.244.1.1/32 | ${plugin}
      cilium_vxlan 1500 kind=vxlan | ${plugin}
      lxc_health 1500 kind=veth | ${plugin}
      lxc0123456789ab 1500 kind=veth | ${plugin}`,
    mtu: `1500 ${least('eth0 1500')}`,
  },
  {
    name: 'what Calico left behind',
    node: HOME,
    links: `${lo}
      eth0 1500 ${home} default | ${own('192.168.0.21')} | ${asHome}
      tunl0 1480 kind=ipip nomac 10.244.1.0/32 | ignored because it has no MAC address: it is a tunnel
      vxlan.calico 1450 kind=vxlan 10.244.1.1/32 | ${none}
      cali0123456789a 1480 kind=veth route=10.244.1.5/32 | ${none}`,
    mtu: `1500 ${least('eth0 1500')}`,
  },
  {
    name: 'bridges of LXC, Incus and Podman',
    node: HOME,
    links: `${lo}
      eth0 1500 ${home} default | ${own('192.168.0.21')} | ${asHome}
      lxcbr0 1500 kind=bridge 10.0.3.1/24 | ${none}
      incusbr0 1500 kind=bridge 10.50.1.1/24 | ${none}
      podman0 1500 kind=bridge 10.88.0.1/16 | ${none}
      veth0 1500 kind=veth in=podman0 | ${member('bridge podman0')}`,
    mtu: `1500 ${least('eth0 1500')}`,
  },
  {
    name: 'InfiniBand between the nodes',
    node: ['10.55.0.11'],
    links: `${lo}
      eno1 1500 192.168.1.11/24 default | ${way} | as 192.168.1.11 -
      ib0 2044 kind=ipoib nomac 10.55.0.11/24 | ignored because it has no MAC address: it is InfiniBand; it has 10.55.0.11, an address of Node n, ${bypass}`,
    mtu: `1500 ${least('eno1 1500')}`,
  },
  {
    name: 'GRE with and without Ethernet',
    node: HOME,
    links: `${lo}
      eth0 1500 ${home} default | ${own('192.168.0.21')} | ${asHome}
      gre0 1476 kind=gre nomac down | ${down}
      gretap0 1462 kind=gretap down | ${down}
      gre1 1476 kind=gre nomac 10.70.0.1/30 | ignored because it has no MAC address: it is a tunnel`,
    mtu: `1500 ${least('eth0 1500')}`,
  },
  {
    name: 'Open vSwitch',
    node: ['10.20.0.11'],
    links: `${lo}
      eno1 1500 in=ovs-system | ${member('openvswitch ovs-system')}
      ovs-system 1500 kind=openvswitch down | ${down}
      br-ex 1500 kind=openvswitch 10.20.0.11/24 default | ${own('10.20.0.11')} | as 10.20.0.11 -
      br-int 1500 kind=openvswitch down | ${down}`,
    mtu: `1500 ${least('br-ex 1500')}`,
  },
  {
    name: 'a mesh of Wi-Fi',
    node: HOME,
    links: `${lo}
      wlan0 1532 in=bat0 | ${member('batadv bat0')}
      bat0 1500 kind=batadv ${home} default | ${own('192.168.0.21')} | ${asHome}`,
    mtu: `1500 ${least('bat0 1500')}`,
  },
  {
    name: 'a node whose object is not known yet',
    node: [],
    links: `${lo}
      eth0 1500 ${home} default | ${way} | ${asHome}
      eth1 1500 10.9.0.21/24 | ignored because it has no default route and no address of the Node, which is not known`,
    mtu: `1500 ${least('eth0 1500')}`,
  },
  {
    name: 'a machine without a cable',
    node: HOME,
    links: `${lo}
      eth0 1500 down | ${down}
      wlan0 1500 down | ${down}`,
    mtu: '1500 there is no uplink to take it from',
  },
];
