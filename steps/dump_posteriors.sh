#!/usr/bin/env bash
# Frame posteriors of a trained network for a data directory, in nj jobs.
# Reads  <data-dir>/feats.scp, <nnet>, <feature-transform>; writes <out-dir>/post.JOB.ark and post.scp.
# Kaldi counterpart: nnet-forward inside steps/nnet/make_bn_feats.sh.
set -euo pipefail

nj=2             # number of jobs
cmd=utils/run.py # job runner and its options
use_gpu=no       # yes, no or optional

help_message="Usage: $0 [options] <data-dir> <nnet> <feature-transform> <out-dir>
  e.g. $0 --nj 4 data/synth/test exp/synth_lstm_512/final_test.nnet \\
         data/synth/cmvn/feature_transform.nnet exp/synth_lstm_512/post_test"

. ./path.sh
. utils/parse_options.sh
. utils/once.sh
expect_arguments $# 4
data=$1
nnet=$2
transform=$3
dir=$4
once --in "$data/feats.scp" --in "$nnet" --in "$transform" --out "$dir/post.scp" "$dir/.done/dump_posteriors"

num_utts=$(wc -l <"$data/feats.scp")
[ "$nj" -le "$num_utts" ] || nj=$num_utts
splits=()
for job in $(seq "$nj"); do
  splits+=("$dir/split$nj/feats.$job.scp")
done
mkdir -p "$dir/log" "$dir/split$nj"
utils/split_scp.py "$data/feats.scp" "${splits[@]}"

read -ra runner <<<"$cmd"
RUNNER_OUTPUTS="$dir/post.JOB.scp $dir/post.JOB.ark" "${runner[@]}" JOB=1:"$nj" "$dir/log/dump_posteriors.JOB.log" \
  steps/nnet1/nnet_forward.py --use-gpu "$use_gpu" --feature-transform "$transform" "$nnet" \
  "scp:$dir/split$nj/feats.JOB.scp" "ark,scp:$dir/post.JOB.ark,$dir/post.JOB.scp"

for job in $(seq "$nj"); do
  cat "$dir/post.$job.scp"
done >"$dir/.post.scp.tmp"
num_post=$(wc -l <"$dir/.post.scp.tmp")
if [ "$num_post" -ne "$num_utts" ]; then
  echo "ERROR (${0##*/}) $data/feats.scp has $num_utts utterances, but there are posteriors of $num_post; missing:" >&2
  cut -d' ' -f1 "$dir/.post.scp.tmp" | comm -23 <(cut -d' ' -f1 "$data/feats.scp") - | head >&2
  exit 1
fi
mv "$dir/.post.scp.tmp" "$dir/post.scp"
