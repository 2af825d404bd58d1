# shellcheck shell=bash
# Sourced by run.sh: what the cluster's machines are made of, whichever scheduler runs on them. The second
# machine is a set of Linux namespaces with a host name, a network card and processes of its own, so that
# it can die as a machine does: all at once, without a word.
# Expects show_logs. Defines make_network, start_second_node, kill_second_node, until_true, stop_daemons.

: "${work:?}"

root=$PWD
first_node=$(hostname)
second_node=recipe-node2
export address=127.0.0.1 # of the first node
second_address=10.77.0.2
two_nodes=false

# Gives this script's own network namespace addresses, and names to them where there can be a second node.
make_network() {
  ip link set lo up
  ip addr add 127.0.0.2/8 dev lo # names resolve only where there is another address than 127.0.0.1
  ip addr add 10.77.0.1/32 dev lo
  printf '127.0.0.1 localhost\n10.77.0.1 %s\n%s %s\n' "$first_node" "$second_address" "$second_node" >"$work/hosts"
  if unshare --uts --net --pid --fork --mount-proc hostname "$second_node" && make_cable \
    && mount --bind "$work/hosts" /etc/hosts; then
    two_nodes=true
    address=10.77.0.1
  else
    echo "No second node: this machine does not let us make one"
  fi
}

# The first node's address is not the cable's: it stays when the second node dies, and the cable with it.
make_cable() {
  ip link add node1 type veth peer name node2 && ip link set node1 up \
    && ip route add "$second_address" dev node1 src 10.77.0.1
}

# Runs a daemon, which must stay in the foreground, as the first process of the second node.
start_second_node() {
  [[ $two_nodes == true ]] || return 0
  ip link show node1 >/dev/null 2>&1 || until_true make_cable
  unshare --uts --net --pid --fork --mount-proc "$root/tests/cluster/second_node.sh" "$second_node" "$second_address" "$@" \
    >>"$work/node2.log" 2>&1 </dev/null &
  local parent=$!
  until_true pgrep -P "$parent"
  pgrep -P "$parent" >"$work/node2.pid"
  ip link set node2 netns "$(cat "$work/node2.pid")"
}

kill_second_node() {
  [[ ! -e $work/node2.pid ]] || kill -KILL "$(cat "$work/node2.pid")"
  rm -f "$work/node2.pid"
}

until_true() {
  for _ in $(seq 240); do
    ! "$@" >/dev/null 2>&1 || return 0
    sleep 0.5
  done
  echo "'$*' does not come true; the ends of the scheduler's logs:" >&2
  show_logs >&2
  return 1
}

# Ends the daemons of these files of process ids, gently and then not.
stop_daemons() {
  local pid_file pid pids=()
  for pid_file in "$@"; do
    [[ ! -s $pid_file ]] || pids+=("$(cat "$pid_file")")
  done
  for pid in "${pids[@]}"; do
    kill "$pid" 2>/dev/null || true
  done
  for pid in "${pids[@]}"; do
    for _ in $(seq 100); do
      [[ $(ps -o stat= -p "$pid") == [!Z]* ]] || continue 2
      sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
  done
}
