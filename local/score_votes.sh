#!/usr/bin/env bash
# Frame accuracy of a model, and segment accuracy by majority vote, on each test set.
# Reads  <exp-dir>/post_X/post.scp, <data>/X/utt2genre; writes <exp-dir>/score_X.
set -euo pipefail

cmd=utils/run.py # job runner and its options

help_message="Usage: $0 [options] <data> <exp-dir> <test-sets>
  e.g. $0 data/synth exp/synth_lstm_512 \"test\""

. ./path.sh
. utils/parse_options.sh
expect_arguments $# 3
data=$1
exp=$2
for x in $3; do
  utils/once.py --cmd "$cmd" --in "$exp/post_$x/post.scp" --in "$data/$x/utt2genre" \
    --out "$exp/score_$x" "$exp/.done/vote_$x" -- "$exp/log/vote_$x.log" \
    local/majority_vote.py "$data/$x" "scp:$exp/post_$x/post.scp" "$exp/score_$x"
done
