#!/usr/bin/env bash
# Test the cluster runners and the recipe's feature and training stages on a real scheduler that this
# script installs, starts on this machine and stops again.
#   tests/cluster/run.sh slurm|sge
# Reads nothing, writes a temporary folder only (and installs Debian's packages where it may). Exits with
# 0 if all went well or if the machine does not allow it (which it says), else with 1.
set -euo pipefail

recipe=true      # run stages of the recipe as well as small jobs
recipe_options=  # more options for run.sh
only=            # names of checks, default: all
keep=false       # keep the temporary folder
isolated=false   # set by this script itself: we are in a network of our own

help_message="Usage: $0 [--recipe false] [--only \"check check\"] [--keep true] slurm|sge"

cd "$(dirname "$0")/../.."
. utils/parse_options.sh
. ./path.sh
if [[ $# -ne 1 || ! $1 =~ ^(slurm|sge)$ ]]; then
  echo "$help_message" >&2
  exit 2
fi
engine=$1

skip() {
  echo "SKIPPED: tests/cluster/run.sh $engine: $1"
  exit 0
}

work=$(mktemp -d "${TMPDIR:-/tmp}/recipe_cluster.XXXXXX")
export address=127.0.0.1 root=$PWD node
node=$(hostname)

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

case $engine in
  slurm) . tests/cluster/slurm.sh ;;
  sge) . tests/cluster/sge.sh ;;
esac

if [[ $isolated == false ]]; then
  [[ $(id -u) == 0 ]] || skip "needs root, to install and to start daemons"
  command -v apt-get >/dev/null || skip "needs Debian's apt-get"
  echo "Installing $engine (log: $work/install.log)"
  DEBIAN_FRONTEND=noninteractive install_cluster >"$work/install.log" 2>&1 \
    || skip "cannot install the packages: $(tail -n 1 "$work/install.log")"
  rm -r "$work"
  options=(--isolated true --recipe "$recipe" --recipe-options "$recipe_options" --only "$only" --keep "$keep")
  command -v ip >/dev/null || skip "needs iproute2's ip"
  unshare --net --mount true 2>/dev/null || skip "needs a network of its own (unshare --net --mount)"
  exec unshare --net --mount "$0" "${options[@]}" "$engine"
fi

ip link set lo up
ip addr add 127.0.0.2/8 dev lo # names resolve only where there is another address than 127.0.0.1

finish() {
  local status=$?
  trap '' INT TERM
  stop_cluster || true
  if [[ $keep == true || $status != 0 ]]; then
    echo "The scheduler's files are in $work"
  else
    rm -rf "$work"
  fi
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

echo "Starting $engine"
start_cluster >"$work/start.log" 2>&1 || {
  cat "$work/start.log" >&2
  exit 1
}
. tests/cluster/checks.sh
run_checks
