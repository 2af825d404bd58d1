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

help_message="Usage: $0 [options] <data> <dir>
  e.g. $0 --dnns dnn1 --lstms lstm_512 data/synth exp/synth"

. ./path.sh
. utils/parse_options.sh
expect_arguments $# 2
data=$1
dir=$2
control=$data/test_shuffled

transform=$data/cmvn/feature_transform.nnet
calls=(local/shuffle_frames.py --seed "$seed" "$data/test" "$control")
inputs=(--in "$data/test/feats.scp" --in "$data/test/utt2genre" --in "$transform" --in "${dir}_sc/svm_sc/score_test")
outputs=(--out "$data/tables.json")
for model in $lstms; do
  exp=${dir}_$model
  post=$exp/post_test_shuffled/post
  calls+=(:: steps/nnet1/nnet_forward.py --use-gpu "$use_gpu" --feature-transform "$transform" "$exp/final_test.nnet"
    "scp:$control/feats.scp" "ark,scp:$post.ark,$post.scp"
    :: local/majority_vote.py "$control" "scp:$post.scp" "$exp/score_test_shuffled")
  inputs+=(--in "$exp/final_test.nnet" --in "$exp/svm_lstm/score_test" --in "$exp/svm_fusion/score_test")
  outputs+=(--out "$exp/score_test_shuffled")
done
for model in $dnns $lstms; do
  inputs+=(--in "${dir}_$model/score_test")
done
utils/once.py --cmd "$cmd" "${inputs[@]}" "${outputs[@]}" "$data/.done/show" -- "$data/log/show.log" \
  utils/in_turn.py "${calls[@]}" :: local/show_synth.py --dnns "$dnns" --lstms "$lstms" "$data" "$dir"
