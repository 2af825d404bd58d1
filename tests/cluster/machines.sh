# shellcheck shell=bash
# Sourced by run.sh: what the cluster's machine is made of, whichever scheduler runs on it.
# Expects show_logs. Defines make_network, until_true, stop_daemons.

: "${work:?}"

export address=127.0.0.1 root=$PWD node
node=$(hostname)

# Gives this script's own network namespace addresses; names resolve only where there is another than 127.0.0.1.
make_network() {
  ip link set lo up
  ip addr add 127.0.0.2/8 dev lo
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
