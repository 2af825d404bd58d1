# shellcheck shell=bash
# Sourced by run.sh: a Slurm of one node on loopback, with all its files in $work.
# Defines install_cluster, start_cluster, stop_cluster, restart_controller, restart_node.

: "${work:?}"

install_cluster() {
  command -v slurmctld munged >/dev/null \
    || apt-get install -y --no-install-recommends slurm-wlm munge iproute2
}

write_slurm_conf() {
  cat >"$work/slurm.conf" <<CONF
ClusterName=recipe
SlurmctldHost=$(hostname)(127.0.0.1)
SlurmUser=root
SlurmctldPort=16817
SlurmdPort=16818
AuthType=auth/munge
AuthInfo=socket=$work/munge/socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
SlurmdParameters=config_overrides
SlurmdTimeout=10
KillWait=2
MinJobAge=60
DefMemPerCPU=200
MaxArraySize=7
ReturnToService=2
SchedulerParameters=sched_interval=2,bf_interval=5
NodeName=$(hostname) NodeAddr=127.0.0.1 CPUs=4 RealMemory=4000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
}

start_munge() {
  mkdir -p "$work/munge"
  dd if=/dev/urandom of="$work/munge/key" bs=128 count=1 status=none
  chown -R munge: "$work/munge"
  chmod 700 "$work/munge/key"
  chmod 755 "$work/munge"
  setpriv --reuid munge --regid munge --clear-groups munged --force \
    --key-file="$work/munge/key" --socket="$work/munge/socket" --pid-file="$work/munge/pid" \
    --log-file="$work/munge/log" --seed-file="$work/munge/seed"
}

start_cluster() {
  chmod 755 "$work"
  mkdir -p "$work/state" "$work/spool"
  export SLURM_CONF=$work/slurm.conf
  write_slurm_conf
  start_munge
  slurmctld || return 1
  slurmd || return 1
  wait_for_node
}

wait_for_node() {
  for _ in $(seq 20); do
    [[ $(timeout 3 sinfo -h -o %T 2>/dev/null) != idle* ]] || return 0
    sleep 0.5
  done
  echo "Slurm's node does not come up:" >&2
  sinfo >&2 || true
  tail -n 20 "$work"/slurm*.log >&2
  return 1
}

restart_controller() {
  kill "-${2:-KILL}" "$(cat "$work/slurmctld.pid")"
  sleep "${1:-3}"
  slurmctld || return 1
}

restart_node() {
  kill -KILL "$(cat "$work/slurmd.pid")"
  sleep "${1:-3}"
  slurmd || return 1
}

stop_cluster() {
  scancel --user=root 2>/dev/null || true
  local pid_file pid pids=()
  for pid_file in "$work/slurmd.pid" "$work/slurmctld.pid" "$work/munge/pid"; do
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
