# shellcheck shell=bash
# Sourced by run.sh: a Grid Engine of one host, with all its files in $work.
# Defines install_cluster, start_cluster, stop_cluster, restart_controller, restart_node.

: "${work:?}" "${node:?}"

install_cluster() {
  type sge_qmaster sge_execd qsub ip >/dev/null 2>&1 \
    || apt-get install -y --no-install-recommends gridengine-master gridengine-exec gridengine-client iproute2
}

# The host's own configuration is Debian's, with what a test needs changed.
write_cell() {
  local common=$SGE_ROOT/$SGE_CELL/common
  mkdir -p "$common" "$work/qmaster/job_scripts" "$work/execd" "$work/spooldb"
  ln -sfn /var/lib/gridengine/{bin,lib,util,utilbin} "$SGE_ROOT/"
  echo "$node" >"$common/act_qmaster"
  echo "$node localhost" >"$common/host_aliases"
  sed -e "s:^spooling_params .*:spooling_params $work/spooldb:" \
    -e "s:^qmaster_spool_dir .*:qmaster_spool_dir $work/qmaster:" \
    /usr/share/gridengine/default-bootstrap >"$common/bootstrap"
  sed -e "s:^execd_spool_dir .*:execd_spool_dir $work/execd:" \
    -e 's:^min_uid .*:min_uid 0:' -e 's:^min_gid .*:min_gid 0:' \
    -e 's:^load_report_time .*:load_report_time 00\:00\:02:' \
    -e 's:^max_unheard .*:max_unheard 00\:00\:30:' \
    -e 's:^reschedule_unknown .*:reschedule_unknown 00\:00\:10:' \
    -e 's:^reporting_params .*:reporting_params accounting=true reporting=false flush_time=00\:00\:01 accounting_flush_time=00\:00\:00 joblog=false sharelog=00\:00\:00:' \
    /usr/share/gridengine/default-configuration >"$work/configuration"
  chown -R sgeadmin: "$work/root" "$work/qmaster" "$work/execd" "$work/spooldb" "$work/configuration"
}

as_sgeadmin() {
  setpriv --reuid sgeadmin --regid sgeadmin --clear-groups "$@"
}

# A queue as Grid Engine proposes it to an editor, with four slots, however busy the host is.
make_queue() {
  printf 's/^%s .*/%s %s/\n' hostlist hostlist "$node" slots slots 4 pe_list pe_list NONE \
    load_thresholds load_thresholds NONE >"$work/edits"
  printf '#!/bin/sh\nsleep 1\nexec sed -i -f %s/edits "%s"\n' "$work" "\$1" >"$work/editor"
  chmod +x "$work/editor"
  EDITOR=$work/editor qconf -aq all.q
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
  qconf -ah "$node" || true
  qconf -as "$node"
  sge_execd
  make_queue
  make_gpus
  fast_scheduler
  until_true nodes_are_up
}

# What conf/queue.conf asks for: a consumable "gpu"; the first host has two.
make_gpus() {
  { qconf -sc && echo "gpu gpu INT <= YES YES 0 0"; } >"$work/complexes"
  qconf -Mc "$work/complexes"
  qconf -aattr exechost complex_values gpu=2 "$node"
}

fast_scheduler() {
  qconf -ssconf | sed 's/^schedule_interval .*/schedule_interval 0:0:1/' >"$work/scheduler"
  qconf -Msconf "$work/scheduler"
}

show_logs() {
  tail -n 20 "$work"/qmaster/messages "$work"/execd/*/messages /tmp/qmaster_messages* || true
}

nodes_are_up() {
  [[ $(qstat -f | grep -c 'all\.q@.* lx-amd64 *$') == 1 ]]
}

restart_controller() {
  kill "-${2:-KILL}" "$(cat "$work/qmaster/qmaster.pid")"
  sleep "${1:-3}"
  sge_qmaster
  until_true qconf -sh
}

# The node may have called itself localhost.
execd() {
  find "$work/execd" -name execd.pid
}

restart_node() {
  kill -KILL "$(cat "$(execd)")"
  sleep "${1:-3}"
  sge_execd
}

stop_cluster() {
  qdel -u root >/dev/null 2>&1 || true
  stop_daemons "$(execd)" "$work/qmaster/qmaster.pid"
}
