# shellcheck shell=bash
# Sourced by run.sh: a Grid Engine of one host on loopback, with all its files in $work.
# Defines install_cluster, start_cluster, stop_cluster, restart_controller, restart_node.

: "${work:?}"

install_cluster() {
  command -v sge_qmaster sge_execd qsub >/dev/null \
    || apt-get install -y --no-install-recommends gridengine-master gridengine-exec gridengine-client iproute2
}

# The host's own configuration is Debian's, with what a test needs changed.
write_cell() {
  local common=$SGE_ROOT/$SGE_CELL/common
  mkdir -p "$common" "$work/qmaster/job_scripts" "$work/execd" "$work/spooldb"
  ln -sfn /var/lib/gridengine/{bin,lib,util,utilbin} "$SGE_ROOT/"
  hostname >"$common/act_qmaster"
  printf '%s localhost\n' "$(hostname)" >"$common/host_aliases"
  sed -e "s:^spooling_params .*:spooling_params $work/spooldb:" \
    -e "s:^qmaster_spool_dir .*:qmaster_spool_dir $work/qmaster:" \
    /usr/share/gridengine/default-bootstrap >"$common/bootstrap"
  sed -e "s:^execd_spool_dir .*:execd_spool_dir $work/execd:" \
    -e 's:^min_uid .*:min_uid 0:' -e 's:^min_gid .*:min_gid 0:' \
    -e 's:^load_report_time .*:load_report_time 00\:00\:02:' \
    -e 's:^max_unheard .*:max_unheard 00\:00\:30:' \
    -e 's:^max_aj_tasks .*:max_aj_tasks 6:' \
    -e 's:^reporting_params .*:reporting_params accounting=true reporting=false flush_time=00\:00\:01 accounting_flush_time=00\:00\:00 joblog=false sharelog=00\:00\:00:' \
    /usr/share/gridengine/default-configuration >"$work/configuration"
  chown -R sgeadmin: "$work/root" "$work/qmaster" "$work/execd" "$work/spooldb" "$work/configuration"
}

as_sgeadmin() {
  setpriv --reuid sgeadmin --regid sgeadmin --clear-groups "$@"
}

write_queue() {
  cat >"$work/queue" <<QUEUE
qname all.q
hostlist $(hostname)
seq_no 0
load_thresholds NONE
suspend_thresholds NONE
nsuspend 1
suspend_interval 00:05:00
priority 0
min_cpu_interval 00:05:00
processors UNDEFINED
qtype BATCH
ckpt_list NONE
pe_list NONE
rerun FALSE
slots 4
tmpdir /tmp
shell /bin/bash
prolog NONE
epilog NONE
shell_start_mode unix_behavior
starter_method NONE
suspend_method NONE
resume_method NONE
terminate_method NONE
notify 00:00:05
owner_list NONE
user_lists NONE
xuser_lists NONE
subordinate_list NONE
complex_values NONE
projects NONE
xprojects NONE
calendar NONE
initial_state default
s_rt INFINITY
h_rt INFINITY
s_cpu INFINITY
h_cpu INFINITY
s_fsize INFINITY
h_fsize INFINITY
s_data INFINITY
h_data INFINITY
s_stack INFINITY
h_stack INFINITY
s_core INFINITY
h_core INFINITY
s_rss INFINITY
h_rss INFINITY
s_vmem INFINITY
h_vmem INFINITY
QUEUE
}

start_cluster() {
  chmod 755 "$work"
  export SGE_ROOT=$work/root SGE_CELL=default SGE_QMASTER_PORT=16444 SGE_EXECD_PORT=16445
  unset SGE_CLUSTER_NAME
  write_cell
  as_sgeadmin /usr/lib/gridengine/spoolinit berkeleydb libspoolb "$work/spooldb" init
  as_sgeadmin /usr/lib/gridengine/spooldefaults configuration "$work/configuration"
  as_sgeadmin /usr/lib/gridengine/spooldefaults complexes /usr/share/gridengine/util/resources/centry
  as_sgeadmin /usr/lib/gridengine/spooldefaults usersets /usr/share/gridengine/util/resources/usersets
  as_sgeadmin /usr/lib/gridengine/spooldefaults managers sgeadmin root
  sge_qmaster
  until_true qconf -sh
  qconf -ah "$(hostname)" || true
  qconf -as "$(hostname)"
  sge_execd
  write_queue
  qconf -Aq "$work/queue"
  fast_scheduler
  until_true node_is_up
}

fast_scheduler() {
  qconf -ssconf | sed 's/^schedule_interval .*/schedule_interval 0:0:1/' >"$work/scheduler"
  qconf -Msconf "$work/scheduler"
}

node_is_up() {
  qstat -f | grep -q 'all\.q@.* lx-'
}

until_true() {
  for _ in $(seq 120); do
    ! "$@" >/dev/null 2>&1 || return 0
    sleep 0.5
  done
  echo "Grid Engine: '$*' does not come true" >&2
  tail -n 20 "$work"/qmaster/messages "$work"/execd/*/messages /tmp/qmaster_messages* >&2 || true
  return 1
}

restart_controller() {
  kill "-${2:-KILL}" "$(cat "$work/qmaster/qmaster.pid")"
  sleep "${1:-3}"
  sge_qmaster
  until_true qconf -sh
}

restart_node() {
  kill -KILL "$(cat "$work"/execd/*/execd.pid)"
  sleep "${1:-3}"
  sge_execd
}

stop_cluster() {
  qdel -u root >/dev/null 2>&1 || true
  local pid_file pid pids=()
  for pid_file in "$work"/execd/*/execd.pid "$work/qmaster/qmaster.pid"; do
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
