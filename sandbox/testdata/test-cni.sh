#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The smallest CNI plugin that gives a pod a working IPv4 address on its own node. It writes down each call, and refuses
# the first ADD on a node so that the kubelet has to ask again.
set -eu
log=/run/test-cni.log
input=$(cat)
echo "$CNI_COMMAND $CNI_IFNAME $CNI_NETNS $CNI_ARGS $input" >>"$log"
netns=${CNI_NETNS##*/}
case $CNI_COMMAND in
ADD)
  number=$(grep -c '^ADD' "$log")
  if [ "$number" = 1 ]; then
    echo '{"cniVersion":"1.0.0","code":11,"msg":"try again later","details":"first call"}'
    exit 1
  fi
  address=10.244.99.$number
  ip link add "test$number" type veth peer name "$CNI_IFNAME" netns "$netns"
  ip link set "test$number" up
  ip addr add 169.254.1.1/32 dev "test$number"
  ip route add "$address" dev "test$number"
  ip -n "$netns" addr add "$address/32" dev "$CNI_IFNAME"
  ip -n "$netns" link set "$CNI_IFNAME" up
  ip -n "$netns" route add 169.254.1.1 dev "$CNI_IFNAME"
  ip -n "$netns" route add default via 169.254.1.1
  echo "{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":\"$address/32\"}]}"
  ;;
DEL) ip -n "$netns" link del "$CNI_IFNAME" 2>/dev/null || true ;;
esac
