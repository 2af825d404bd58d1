#!/usr/bin/env bash
# What the embedded corpus was made to show, and whether it does (local/synth.py, local/show_synth.py), with its
# control: the LSTMs' votes on the test tracks when the frames of each are in a random order.
# Reads  <data>/test, <dir>_<model>/{final_test.nnet,score_test,svm_*}, <dir>_sc;
# writes <data>/test_shuffled, <dir>_<lstm>/{post,score}_test_shuffled, <data>/tables.json.
set -euo pipefail

dnns=            # models that see one frame at a time
lstms=           # models that see the order of the frames
seed=777         # of the random order
use_gpu=no       # yes, no or optional: posteriors
cmd=utils/run.py # job runner and its options
cuda_cmd=        # the same for what may use a GPU (as --cmd)

help_message="Usage: $0 [options] <data> <dir>
  e.g. $0 --dnns dnn1 --lstms lstm_512 data/synth exp/synth"

. ./path.sh
. utils/parse_options.sh
expect_arguments $# 2
data=$1
dir=$2
control=$data/test_shuffled

utils/once.py --cmd "$cmd" --in "$data/test/feats.scp" --out "$control/feats.scp" "$data/.done/shuffle" -- \
  "$data/log/shuffle.log" local/shuffle_frames.py --seed "$seed" "$data/test" "$control"
inputs=(--in "${dir}_sc/svm_sc/score_test")
for model in $lstms; do
  exp=${dir}_$model
  steps/dump_posteriors.sh --nj 1 --use-gpu "$use_gpu" --cmd "${cuda_cmd:-$cmd}" \
    "$control" "$exp/final_test.nnet" "$data/cmvn/feature_transform.nnet" "$exp/post_test_shuffled"
  local/score_votes.sh --cmd "$cmd" "$data" "$exp" test_shuffled
  inputs+=(--in "$exp/score_test_shuffled" --in "$exp/svm_lstm/score_test" --in "$exp/svm_fusion/score_test")
done
for model in $dnns $lstms; do
  inputs+=(--in "${dir}_$model/score_test")
done
utils/once.py --cmd "$cmd" "${inputs[@]}" --out "$data/tables.json" "$data/.done/show" -- \
  "$data/log/show.log" local/show_synth.py --dnns "$dnns" --lstms "$lstms" "$data" "$dir"
