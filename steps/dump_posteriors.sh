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
. utils/once.sh
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
  utils/split_scp.py --at-most "$nj" "$data/feats.scp" "$dir/split$nj/feats.JOB.scp" >/dev/null
  calls+=(:: steps/nnet1/nnet_forward.py --use-gpu "$use_gpu" --feature-transform "$transform" "$nnet"
    "scp:$dir/split$nj/feats.JOB.scp" "ark,scp:$dir/post.JOB.ark,$dir/post.JOB.scp")
  arks="$arks $dir/post.JOB.scp $dir/post.JOB.ark"
done
read -ra runner <<<"$cmd"
RUNNER_OUTPUTS=$arks "${runner[@]}" JOB=1:"$nj" "${out%/*}/log/${out##*/}.JOB.log" utils/in_turn.py "${calls[@]}"

for data in $1; do
  dir=${out}_${data##*/}
  for job in $(seq "$nj"); do
    cat "$dir/post.$job.scp"
  done >"$dir/.post.scp.tmp"
  if ! cmp -s <(cut -d' ' -f1 "$data/feats.scp") <(cut -d' ' -f1 "$dir/.post.scp.tmp"); then
    echo "ERROR (${0##*/}) not every utterance of $data/feats.scp has posteriors; missing:" >&2
    cut -d' ' -f1 "$dir/.post.scp.tmp" | comm -23 <(cut -d' ' -f1 "$data/feats.scp") - | head >&2
    exit 1
  fi
  mv "$dir/.post.scp.tmp" "$dir/post.scp"
done
