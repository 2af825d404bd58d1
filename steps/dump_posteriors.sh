#!/usr/bin/env bash
# Frame posteriors of a trained network, which is read once, for one or more data directories.
# Reads <data-dir>/feats.scp, <nnet>, <feature-transform>; writes <out>_<last part of data-dir>/post.{ark,scp}.
# Kaldi counterpart: nnet-forward inside steps/nnet/make_bn_feats.sh.
set -euo pipefail

cmd=utils/run.py # job runner and its options
use_gpu=no       # yes, no or optional

help_message="Usage: $0 [options] \"<data-dir> …\" <nnet> <feature-transform> <out>
  e.g. $0 \"data/synth/train data/synth/test\" exp/synth_lstm_512/final_test.nnet \\
         data/synth/cmvn/feature_transform.nnet exp/synth_lstm_512/post"

. ./path.sh
. utils/parse_options.sh
expect_arguments $# 4
nnet=$2
transform=$3
out=$4
files=(--in "$nnet" --in "$transform") calls=()
for data in $1; do
  dir=${out}_${data##*/}
  files+=(--in "$data/feats.scp" --out "$dir/post.scp" --out "$dir/post.ark")
  calls+=(:: steps/nnet1/nnet_forward.py --use-gpu "$use_gpu" --feature-transform "$transform" "$nnet"
    "scp:$data/feats.scp" "ark,scp:$dir/post.ark,$dir/post.scp")
done
utils/once.py --cmd "$cmd" "${files[@]}" "${out%/*}/.done/${out##*/}" -- "${out%/*}/log/${out##*/}.log" \
  utils/in_turn.py "${calls[@]}"
