# shellcheck shell=bash
# Which job runner starts each kind of job. One variable chooses, from the environment:
#   cmd_backend=local ./run.sh    this machine (the default)
#   cmd_backend=slurm ./run.sh    Slurm; conf/slurm.conf says how your site is called
#   cmd_backend=sge ./run.sh      Grid Engine (queue means the same); conf/queue.conf
# Kaldi's run.pl, slurm.pl and queue.pl can stand in place of ours. --mem (for one job) is above what
# the jobs were seen to need; the peak of each job is in its log.
cmd_backend=${cmd_backend:-local}
case $cmd_backend in
  local) runner=utils/run.py ;;
  slurm) runner="utils/slurm.py --config conf/slurm.conf" ;;
  sge | queue) runner="utils/sge.py --config conf/queue.conf" ;;
  *)
    echo "ERROR (cmd.sh) cmd_backend: expected local, slurm or sge, got '$cmd_backend'" >&2
    exit 2
    ;;
esac
# One job a GPU; a cluster's queue has to be asked for one, so "optional" goes without there.
case ${use_gpu:-no}-$cmd_backend in
  yes-* | optional-local) gpu=" --gpu 1" ;;
  *) gpu= ;;
esac
export feat_cmd="$runner --mem 1G"      # audio and features: one job a core
export train_cmd="$runner --mem 2G$gpu" # training
export cuda_cmd="$runner --mem 2G$gpu"  # forward passes
export score_cmd="$runner --mem 2G"     # everything small
unset runner gpu
