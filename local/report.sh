#!/usr/bin/env bash
# Results of all experiments: results.txt of each, Tables 2 and 4, figures, and the report page.
# Reads <data> and <dir>_<model>[_seedN]; writes <dir>_<model>/results.txt, <dir>_summary, <dir>_report/index.html;
# prints the two tables on stdout. What an experiment must hold stands in local/report/experiments.py.
set -euo pipefail

num_seeds=1                            # trainings of each model
test_sets="test"                       # test sets of <data>, the first is that of the tables
svm_config=conf/svm.conf               # options of the SVMs
scattering_config=conf/scattering.conf # options of the features
nj=1                                   # figures drawn side by side, at most 4
cmd=utils/run.py                       # job runner and its options

help_message="Usage: $0 [options] <data> <dir> <models>
  e.g. $0 data/synth exp/synth \"dnn1 dnn2 lstm_512 sc\""

. ./path.sh
. utils/parse_options.sh
expect_arguments $# 3
[ "$nj" -le 4 ] || nj=4
data=$1
dir=$2
read -ra models <<<"$3"

experiments=() # every training of every model
summary=${dir}_summary
for model in "${models[@]}"; do
  experiments+=("${dir}_$model")
  for number in $(seq 2 "$num_seeds"); do
    [ ! -d "${dir}_${model}_seed$number" ] || experiments+=("${dir}_${model}_seed$number")
  done
done
inputs=(--in "$svm_config" --in "$scattering_config")
for x in train $test_sets; do
  for file in feats.scp utt2genre utt2spk utt2dur genre2name; do
    [ ! -e "$data/$x/$file" ] || inputs+=(--in "$data/$x/$file")
  done
done
for file in "$data"/{overlap.txt,tables.json}; do
  [ ! -e "$file" ] || inputs+=(--in "$file")
done
outputs=(--out "$summary/results.txt" --out "$summary/tables.txt" --out "$summary/results.json")
for experiment in "${experiments[@]}"; do
  outputs+=(--out "$experiment/results.txt" --out "$experiment/results.json")
  for file in "$experiment"/{training.json,tables.json,score_train} "$experiment"/*/score_train; do
    [ ! -e "$file" ] || inputs+=(--in "$file")
  done
  for x in $test_sets; do
    for file in "$experiment/score_$x" "$experiment"/*/"score_$x"; do
      [ ! -e "$file" ] || inputs+=(--in "$file")
    done
  done
done
options=(--num-seeds "$num_seeds" --test-sets "$test_sets")
utils/once.py --cmd "$cmd" "${inputs[@]}" "${outputs[@]}" "$summary/.done/results" -- \
  "$summary/log/write_results.log" local/write_results.py --extra-conf "$svm_config,$scattering_config" \
  "${options[@]}" "$data" "$dir" "${models[@]}"
for experiment in "${experiments[@]}"; do
  for file in "$experiment"/{iters.tsv,sweep_k.tsv,svm_lstm/svm.npz,post_"${test_sets%% *}"/post.scp}; do
    [ ! -e "$file" ] || inputs+=(--in "$file")
  done
done
utils/once.py --cmd "$cmd --num-threads $nj" "${inputs[@]}" --out "$summary/figures" --out "${dir}_report/index.html" \
  "$summary/.done/report" -- "$summary/log/make_report.log" \
  local/make_report.py --nj "$nj" "${options[@]}" "$data" "$dir" "${models[@]}"
[ "${RECIPE_DRY_RUN:-false}" = true ] || cat "$summary/tables.txt"
