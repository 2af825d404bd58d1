#!/usr/bin/env bash
# What the embedded corpus was made to show, and whether it does (local/synth.py, local/show_synth.py).
# Reads  <data>/test, <dir>_<model>/{final_test.nnet,score_test,svm_*}, <dir>_sc; writes <data>/tables.json.
set -euo pipefail

dnns=            # models that see one frame at a time
lstms=           # models that see the order of the frames
seed=777         # of the random order of the frames, a control
cmd=utils/run.py # job runner and its options

help_message="Usage: $0 [options] <data> <dir>
  e.g. $0 --dnns dnn1 --lstms lstm_512 data/synth exp/synth"

. ./path.sh
. utils/parse_options.sh
expect_arguments $# 2
data=$1
dir=$2
inputs=("$data"/test/{feats.scp,utt2genre,genres.txt} "$data/cmvn/feature_transform.nnet" "${dir}_sc/svm_sc/score_test")
for model in $dnns $lstms; do inputs+=("${dir}_$model/score_test"); done
for model in $lstms; do inputs+=("${dir}_$model"/{final_test.nnet,svm_lstm/score_test,svm_fusion/score_test}); done
utils/once.py --cmd "$cmd" "${inputs[@]/#/--in=}" --out "$data/tables.json" "$data/.done/show" -- \
  "$data/log/show.log" local/show_synth.py --dnns "$dnns" --lstms "$lstms" --seed "$seed" "$data" "$dir"
