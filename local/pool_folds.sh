#!/usr/bin/env bash
# The results of all folds as of one test, and their tables, figures and page.
# Reads  <data>_fold<k>, <exp>_fold<k>_<model>[_seedN]; writes <data>_folds/tables.json, <exp>_folds_<model>, _summary
#        and _report; prints the tables on stdout.
set -euo pipefail

folds=5          # how many
fold_by=spk      # what a fold never divides: spk (an artist) or utt (a track)
num_seeds=1      # trainings of each model
cmd=utils/run.py # job runner and its options

help_message="Usage: $0 [options] <data> <exp> <models>
  e.g. $0 --folds 5 data/synth exp/synth \"dnn1 lstm_512 sc\""

. ./path.sh
. utils/parse_options.sh
expect_arguments $# 3
data=$1
exp=$2
read -ra names <<<"$3"
inputs=()
for fold in $(seq "$folds"); do
  inputs+=(--in="${data}_fold$fold"/{train,test}/utt2spk)
  for model in "${names[@]}"; do
    for file in "${exp}_fold${fold}_$model"{,_seed*}/{training.json,score_test,*/score_test}; do
      [ ! -e "$file" ] || inputs+=(--in "$file")
    done
  done
done
outputs=("${names[@]/#/--out=${exp}_folds_}")
utils/once.py --cmd "$cmd" "${inputs[@]}" --out "${data}_folds/tables.json" "${outputs[@]/%//score_test}" \
  "${exp}_folds_summary/.done/pool" -- "${exp}_folds_summary/log/pool_folds.log" \
  local/pool_folds.py --folds "$folds" --fold-by "$fold_by" --num-seeds "$num_seeds" "$data" "$exp" "${names[@]}"
local/report.sh --num-seeds "$num_seeds" --cmd "$cmd" \
  "${data}_folds" "${exp}_folds" "${names[*]}"
