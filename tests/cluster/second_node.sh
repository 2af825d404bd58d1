#!/usr/bin/env bash
# Be the second node of a cluster: the first process in its namespaces, which machines.sh has made. Waits for
# its end of the cable and becomes the scheduler's daemon, which must stay in the foreground.
#   second_node.sh <host name> <address> <daemon…>
set -euo pipefail

hostname "$1"
ip link set lo up
until ip link show node2 >/dev/null 2>&1; do
  sleep 0.1
done
ip addr add "$2/24" dev node2
ip link set node2 up
shift 2
exec "$@"
