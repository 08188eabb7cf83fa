# SPDX-License-Identifier: Apache-2.0
# Becomes a node: runs in the node's network namespace and in mount and UTS namespaces of its own, makes the file
# system look like that of a machine, says so, and stays for as long as the node lives.
#   node.sh HOSTNAME CGROUP SCRATCH HOSTS
# Whatever the node writes to /etc, /opt, /run or /var/lib goes to a tmpfs at SCRATCH that only the node sees.
set -eu
hostname=$1 cgroup=$2 scratch=$3 hosts=$4

echo 0 >"$cgroup/system/cgroup.procs"
hostname "$hostname"

mount -t tmpfs -o mode=755,size=256m tmpfs "$scratch"
for directory in etc opt run var/lib; do
  upper=$scratch/$directory/upper work=$scratch/$directory/work
  mkdir -p "$upper" "$work"
  mount -t overlay -o "lowerdir=/$directory,upperdir=$upper,workdir=$work" overlay "/$directory"
done

# The view of this network namespace, with the node's own cgroup as the root of all cgroups and a bpffs of its own.
mkdir "$scratch/cgroup"
mount --bind "$cgroup" "$scratch/cgroup"
mount -t sysfs sysfs /sys
mount --move "$scratch/cgroup" /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf

# Pods' network namespaces are named here; containers started earlier see those that come later.
mkdir -p /run/netns /run/cilium /run/secrets/kubernetes.io/serviceaccount /etc/cni/net.d /opt/cni/bin
mount -t tmpfs -o mode=755 tmpfs /run/netns
mount --make-shared /run/netns

rm -f /etc/resolv.conf /etc/hosts
echo 'nameserver 192.168.0.1' >/etc/resolv.conf
printf '%s\n' "$hosts" >/etc/hosts

echo ready
exec sleep infinity
