#!/usr/bin/env bash
# Frame posteriors of a trained network for one or more data directories, in nj jobs that each load it once.
# Reads  <data-dir>/feats.scp, <nnet>, <feature-transform>; writes <out>_<name>/post.JOB.ark and post.scp for
# each data directory, <name> being the last part of its path.
# Kaldi counterpart: nnet-forward inside steps/nnet/make_bn_feats.sh.
set -euo pipefail

nj=2             # number of jobs
cmd=utils/run.py # job runner and its options
use_gpu=no       # yes, no or optional

help_message="Usage: $0 [options] \"<data-dir> …\" <nnet> <feature-transform> <out>
  e.g. $0 --nj 4 \"data/synth/train data/synth/test\" exp/synth_lstm_512/final_test.nnet \\
         data/synth/cmvn/feature_transform.nnet exp/synth_lstm_512/post"

. ./path.sh
. utils/parse_options.sh
. utils/jobs.sh
expect_arguments $# 4
nnet=$2
transform=$3
out=$4
files=(--in "$nnet" --in "$transform")
for data in $1; do
  files+=(--in "$data/feats.scp" --out "${out}_${data##*/}/post.scp")
done
once "${files[@]}" "${out%/*}/.done/${out##*/}"

for data in $1; do
  num_utts=$(wc -l <"$data/feats.scp")
  [ "$nj" -le "$num_utts" ] || nj=$num_utts
done
calls=() arks=
for data in $1; do
  dir=${out}_${data##*/}
  utils/split_scp.py "$nj" "$data/feats.scp" "$dir/split$nj/feats.JOB.scp" >/dev/null
  calls+=(:: steps/nnet1/nnet_forward.py --use-gpu "$use_gpu" --feature-transform "$transform" "$nnet"
    "scp:$dir/split$nj/feats.JOB.scp" "ark,scp:$dir/post.JOB.ark,$dir/post.JOB.scp")
  arks="$arks $dir/post.JOB.scp $dir/post.JOB.ark"
done
RUNNER_OUTPUTS=$arks run_jobs "${out%/*}/log/${out##*/}.JOB.log" utils/in_turn.py "${calls[@]}"
for data in $1; do
  dir=${out}_${data##*/}
  join_parts "$nj" "$dir/post.JOB.scp" "$data/feats.scp" "$dir/post.scp"
done
