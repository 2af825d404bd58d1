# shellcheck shell=bash
# Sourced by run.sh: what must hold on a real scheduler. Each check_* runs in a folder of its own and fails
# with a message; run_checks runs them all.

: "${work:?}" "${root:?}" "${engine:?}" "${recipe:?}" "${only?}" "${recipe_options?}"

runner=(utils/slurm.py --config conf/slurm.conf)
[[ $engine == slurm ]] || runner=(utils/sge.py --config conf/queue.conf)
export RUNNER_POLL_SECONDS=0.5 RUNNER_LATE_SECONDS=15

# Runs the runner in the check's folder; leaves its exit status in $status, its words in err.
submit() {
  status=0
  "$root/${runner[0]}" --config "$root/${runner[2]}" "$@" 2>err || status=$?
}

# The same in the background, with SIGINT as in a terminal; its process is $pid.
submit_in_background() {
  env --default-signal=INT "$root/${runner[0]}" --config "$root/${runner[2]}" "$@" 2>err &
  pid=$!
}

# Waits for the runner in the background; its exit status is $status.
reap() {
  status=0
  wait "$pid" || status=$?
}

fail() {
  echo "    $*"
  sed 's/^/    /' err 2>/dev/null || true
  return 1
}

expect_status() {
  [[ $status == "$1" ]] || fail "expected exit status $1, got $status"
}

expect_words() {
  grep -q -- "$1" "${2:-err}" || fail "expected '$1' in ${2:-err}"
}

until_there() {
  local name
  for name in "$@"; do
    for _ in $(seq 600); do
      [[ ! -e $name ]] || continue 2
      sleep 0.1
    done
    fail "'$name' did not appear"
  done
}

until_queue_is_empty() {
  for _ in $(seq 300); do
    [[ -n $(jobs_in_queue) ]] || return 0
    sleep 0.2
  done
  fail "jobs are left in the queue: $(jobs_in_queue)"
}

# Prints the id of the array whose jobs are called $1.
submitted_id() {
  python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["id"])' "log/q/$1".*/submitted
}

jobs_in_queue() {
  if [[ $engine == slurm ]]; then squeue -h; else qstat; fi
}

check_array() {
  submit JOB=1:4 log/a.JOB.log echo 'number JOB' '|' cat
  expect_status 0
  for n in 1 2 3 4; do
    expect_words "^number $n\$" "log/a.$n.log"
    expect_words '^# Started at ' "log/a.$n.log"
    expect_words '^# Accounting: time=[0-9]* threads=1$' "log/a.$n.log"
    expect_words '^# Peak memory: [0-9]* MB$' "log/a.$n.log"
    expect_words '^# Finished at .* with status 0$' "log/a.$n.log"
  done
  [[ ! -e log/q ]] || fail "log/q was left behind"
}

check_failed_task_is_named() {
  submit JOB=2:5 log/f.JOB.log test JOB -ne 3
  expect_status 1
  expect_words 'job 3 ended with code 1.*, log is in log/f.3.log'
  expect_words '1 / 4 failed, log is in log/f.\*.log'
}

check_refused_submission() {
  local words=(-p no_such_partition)
  [[ $engine == slurm ]] || words=(-q no_such_queue)
  submit "${words[@]}" JOB=1:2 log/r.JOB.log true
  expect_status 1
  expect_words 'cannot submit r'
}

check_killed_task() {
  submit_in_background JOB=1:2 log/k.JOB.log echo '$$' '>' up.JOB ';' \
    test JOB = 2 '||' sleep 300
  until_there up.1
  sleep 0.5
  kill -KILL -- "-$(ps -o pgid= -p "$(cat up.1)" | tr -d ' ')"
  reap
  expect_status 1
  expect_words 'job 1 ended with no word of its own, it is gone from the queue: .* says'
  expect_words '1 / 2 failed'
}

check_cancelled_task() {
  submit_in_background JOB=1:2 log/c.JOB.log touch up.JOB ';' test JOB = 2 '||' sleep 300
  until_there up.1
  local id
  id=$(submitted_id c)
  if [[ $engine == slurm ]]; then scancel "${id}_1"; else qdel "$id" -t 1; fi
  reap
  expect_status 1
  expect_words 'job 1 ended with .*says '
  expect_words '1 / 2 failed'
  until_queue_is_empty
}

check_out_of_memory() {
  local words=(--mem 100M)
  [[ $engine == slurm ]] || words=(-l h_vmem=200M)
  submit "${words[@]}" JOB=1:2 log/oom.JOB.log \
    python3 -c 'import time; x = b"x" * (400_000_000 if JOB == 2 else 1); time.sleep(5 * (JOB == 2))'
  expect_status 1
  expect_words 'job 2 ended with '
  expect_words '1 / 2 failed'
}

check_interrupt_cancels() {
  submit_in_background JOB=1:3 log/i.JOB.log touch up.JOB ';' sleep 300
  until_there up.1
  kill -INT "$pid"
  reap
  expect_status 130
  until_queue_is_empty
}

# The recipe's process is killed, and the runner finds it among its parents no more.
check_recipe_gone_cancels() {
  bash -c "echo \$\$ >recipe; RECIPE_PID=\$\$ \"\$0\" \"\$@\" 2>err; true" "$root/${runner[0]}" --config \
    "$root/${runner[2]}" JOB=1:3 log/i.JOB.log touch up.JOB ';' sleep 300 &
  pid=$!
  until_there up.1
  kill -KILL "$(cat recipe)"
  reap
  until_queue_is_empty
  until_true grep -q 'is gone; stopped the jobs that ran' err
}

# As when a job of more importance takes its place.
check_requeued_task() {
  sed 's/--no-requeue/--requeue/; s/-r n/-r y/' "$root/${runner[2]}" >again.conf
  submit_in_background --config again.conf JOB=1:2 log/q.JOB.log echo x '>>' ran.JOB ';' \
    test JOB = 2 '||' test "\$(cat ran.JOB | wc -l)" = 2 '||' sleep 300
  until_there ran.1
  sleep 0.5
  local id
  id=$(submitted_id q)
  if [[ $engine == slurm ]]; then scontrol requeue "${id}_1"; else qmod -rj "$id.1"; fi
  reap
  expect_status 0
  [[ $(cat ran.1 | wc -l) == 2 ]] || fail "the task did not run a second time"
  [[ ! -e log/q ]] || fail "log/q was left behind"
}

# A path.sh that does not work on the node: what it says is in the scheduler's file.
check_task_without_log() {
  echo 'echo "no python here" >&2; exit 3' >path.sh
  submit JOB=1:2 log/w.JOB.log true
  expect_status 1
  expect_words 'before it had a log: see .*/log/q/w\..*/out\.2, log is in log/w.2.log'
  expect_words 'no python here' log/q/w.*/out.2
}

# Slurm's controller writes down what it knows every few seconds; what it had not written is lost with it
# (and rightly reported as failed), so the kill waits.
check_killed_controller() {
  submit_in_background JOB=1:6 log/d.JOB.log sleep 9 ';' echo JOB '>' out.JOB
  sleep 7
  restart_controller 3 >/dev/null 2>&1
  reap
  expect_status 0
  [[ $(cat out.* | wc -l) == 6 ]] || fail "output is missing"
}

check_killed_node_daemon() {
  submit_in_background JOB=1:6 log/d.JOB.log sleep 4 ';' echo JOB '>' out.JOB
  sleep 2
  restart_node 2 >/dev/null 2>&1
  reap
  expect_status 0
  [[ $(cat out.* | wc -l) == 6 ]] || fail "output is missing"
}

# Stages 0 to 5 on a small corpus: the controller is down for a while, and nothing may be different.
check_recipe() {
  local signal=TERM words
  [[ $engine == slurm ]] || signal=KILL # its master writes everything down at once
  read -ra words <<<"$recipe_options"
  python3 "$root/tests/cluster/recipe.py" "$engine" "$PWD" "${words[@]}" >err 2>&1 &
  pid=$!
  while [[ ! -e middle ]] && kill -0 "$pid" 2>/dev/null; do
    sleep 0.1
  done
  [[ ! -e middle ]] || restart_controller 3 "$signal" >/dev/null 2>&1
  reap
  expect_status 0
  cat err
}

# Slurm counts a job's time in minutes and looks at it every half minute.
check_out_of_time() {
  local limit=0:01:00
  [[ $engine == slurm ]] || limit=0:00:05
  submit --time "$limit" JOB=1:2 log/t.JOB.log test JOB = 1 '||' sleep 300
  expect_status 1
  if [[ $engine == slurm ]]; then
    expect_words 'job 2 ended with .*Slurm says TIMEOUT, .*TimeLimit.*, log is in log/t.2.log'
  else
    expect_words 'job 2 ended with .*Grid Engine says failed 37 .*enforced h_rt.*, log is in log/t.2.log'
  fi
  expect_words '1 / 2 failed'
}

# There are two GPUs: five jobs, one a GPU, two side by side.
check_gpus() {
  mkdir bin
  printf '#!/bin/sh\necho "GPU 0: none"\necho "GPU 1: none"\n' >bin/nvidia-smi # Grid Engine's jobs ask it
  chmod +x bin/nvidia-smi
  PATH=$PWD/bin:$PATH submit --gpu 1 JOB=1:5 log/g.JOB.log set -e ';' mkdir "held.\$CUDA_VISIBLE_DEVICES" ';' \
    echo "\$CUDA_VISIBLE_DEVICES" '>' gpu.JOB ';' sleep 2 ';' rmdir "held.\$CUDA_VISIBLE_DEVICES"
  expect_status 0
  [[ $(cat gpu.? | sort -u | tr '\n' ' ') == "0 1 " && $(cat gpu.? | wc -l) == 5 ]] \
    || fail "wrong GPUs: $(cat gpu.?)"
  submit --gpu 2 log/two.log echo "\$CUDA_VISIBLE_DEVICES" '>' two
  [[ $engine == slurm ]] || return 0 # Grid Engine takes what no node will ever have
  submit --gpu 3 JOB=1:2 log/many.JOB.log true
  expect_status 1
  expect_words 'cannot submit many: '
}

run_checks() {
  local name failed=0 began status
  local names=(array failed_task_is_named refused_submission killed_task cancelled_task out_of_memory
    out_of_time gpus interrupt_cancels recipe_gone_cancels requeued_task task_without_log killed_controller
    killed_node_daemon)
  [[ $recipe == false ]] || names+=(recipe)
  [[ -z $only ]] || read -ra names <<<"$only"
  for name in "${names[@]}"; do
    began=$SECONDS
    mkdir -p "$work/check_$name"
    set +e # "if (…)" would switch set -e off inside
    (
      set -e
      cd "$work/check_$name"
      "check_$name"
    )
    status=$?
    set -e
    if [[ $status == 0 ]]; then
      echo "ok    $name ($((SECONDS - began)) s)"
    else
      echo "FAIL  $name ($((SECONDS - began)) s)"
      failed=$((failed + 1))
    fi
  done
  echo "$engine: $((${#names[@]} - failed)) / ${#names[@]} checks passed"
  [[ $failed == 0 ]]
}
