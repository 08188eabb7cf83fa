# SPDX-License-Identifier: Apache-2.0
# Becomes a container's main process, in mount (and UTS) namespaces of its own that start as the node's.
#   container.sh HOSTNAME DIRECTORY [SOURCE TARGET rw|ro]... -- COMMAND...
# HOSTNAME is empty for pods in the node's network: they keep the node's name and its view of /sys.
set -eu
hostname=$1 directory=$2
shift 2

if [ -n "$hostname" ]; then
  hostname "$hostname"
  mount -t sysfs sysfs /sys
fi

while [ "$1" != -- ]; do
  source=$1 target=$2 mode=$3
  shift 3
  if [ -d "$source" ]; then
    [ -d "$target" ] || mkdir -p "$target"
  elif [ ! -e "$target" ]; then
    mkdir -p "${target%/*}"
    : >"$target"
  fi
  mount --bind "$source" "$target"
  [ "$mode" = rw ] || mount -o remount,bind,ro "$target"
done
shift

cd "$directory"
exec "$@"
