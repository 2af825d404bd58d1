# shellcheck shell=bash
# Sourced by run.sh: a Slurm of one node, with all its files in $work.
# Defines install_cluster, start_cluster, stop_cluster, restart_controller, restart_node.

: "${work:?}" "${node:?}" "${address:?}"

install_cluster() {
  type slurmctld munged ip >/dev/null 2>&1 \
    || apt-get install -y --no-install-recommends slurm-wlm munge iproute2
}

# The node has two GPUs, to which Slurm gives jobs exclusively; the device files are not opened.
write_slurm_conf() {
  ln -s /dev/null "$work/gpu0"
  ln -s /dev/null "$work/gpu1"
  echo "NodeName=$node Name=gpu File=$work/gpu[0-1]" >"$work/gres.conf"
  cat >"$work/slurm.conf" <<CONF
ClusterName=recipe
SlurmctldHost=$node($address)
SlurmUser=root
SlurmctldPort=16817
SlurmdPort=16818
AuthType=auth/munge
AuthInfo=socket=$work/munge/socket,cred_expire=5
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
SlurmdSpoolDir=$work/spool.%n
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.%n.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.%n.log
SlurmdParameters=config_overrides
SlurmdTimeout=10
KillWait=2
MinJobAge=60
DefMemPerCPU=200
ReturnToService=2
GresTypes=gpu
SchedulerParameters=sched_interval=2,bf_interval=5
NodeName=$node NodeAddr=$address CPUs=4 RealMemory=4000 Gres=gpu:2 State=UNKNOWN
CONF
  echo "PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP" >>"$work/slurm.conf"
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
  mkdir -p "$work/state"
  export SLURM_CONF=$work/slurm.conf
  write_slurm_conf
  start_munge
  slurmctld || return 1
  slurmd || return 1
  until_true nodes_are_up
}

show_logs() {
  tail -n 20 "$work"/slurm*.log || true
}

nodes_are_up() {
  [[ $(timeout 10 sinfo -h -N -o %T | sort -u) == idle ]]
}

restart_controller() {
  kill "-${2:-KILL}" "$(cat "$work/slurmctld.pid")"
  sleep "${1:-3}"
  slurmctld || return 1
}

restart_node() {
  kill -KILL "$(cat "$work/slurmd.$node.pid")"
  sleep "${1:-3}"
  slurmd || return 1
}

stop_cluster() {
  scancel --user=root 2>/dev/null || true
  stop_daemons "$work/slurmd.$node.pid" "$work/slurmctld.pid" "$work/munge/pid"
}
