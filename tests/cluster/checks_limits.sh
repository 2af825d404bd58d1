# shellcheck shell=bash
# Sourced by checks.sh, whose functions it uses: jobs without time, GPUs, and nodes that die.

: "${root:?}" "${engine:?}" "${first_node:?}" "${second_node:?}" "${runner:?}"

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

# Two GPUs are on the first node: five jobs, one a GPU, two side by side.
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
  submit --gpu 3 JOB=1:2 log/many.JOB.log true
  expect_status 1
  expect_words 'cannot submit many: '
}

# The tasks are all there at once, two on each host.
tasks_on_two_hosts() {
  submit_in_background "$@" JOB=1:4 log/h.JOB.log touch up.JOB ';' \
    while test '!' -e go ';' 'do' sleep 0.2 ';' 'done' ';' hostname '>' host.JOB
  until_there up.1 up.2 up.3 up.4
}

check_two_hosts() {
  tasks_on_two_hosts
  touch go
  reap
  expect_status 0
  [[ $(cat host.? | sort | uniq -c | tr -s ' \n' ' ') == " 2 $second_node 2 $first_node " ]] \
    || fail "wrong hosts: $(cat host.?)"
  for n in 1 2 3 4; do
    expect_words "^# Running on $(cat "host.$n")\$" "log/h.$n.log"
  done
}

check_node_dies() {
  RUNNER_UNREACHABLE_SECONDS=10 tasks_on_two_hosts
  kill_second_node
  touch go
  reap
  revive_second_node >/dev/null 2>&1
  expect_status 1
  if [[ $engine == slurm ]]; then
    expect_words 'job . ended with .*Slurm says NODE_FAIL.*, log is in log/h...log'
  else
    expect_words "job . ended with state .*$second_node is not heard of.*, log is in log/h...log"
  fi
  expect_words '2 / 4 failed'
  [[ $(cat host.? | sort -u) == "$first_node" ]] || fail "wrong hosts: $(cat host.?)"
  until_queue_is_empty
}

# A site, or a user, may want that the scheduler itself starts such tasks again elsewhere.
check_node_dies_and_tasks_run_again() {
  sed 's/--no-requeue/--requeue/; s/-r n/-r y/' "$root/${runner[2]}" >again.conf
  tasks_on_two_hosts --config again.conf
  kill_second_node
  touch go
  reap
  revive_second_node >/dev/null 2>&1
  expect_status 0
  [[ $(cat host.? | tr '\n' ' ') == "$first_node $first_node $first_node $first_node " ]] \
    || fail "wrong hosts: $(cat host.?)"
}
