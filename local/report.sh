#!/usr/bin/env bash
# Results of all experiments: results.txt of each, Tables 2 and 4, figures, and the report page.
# Reads <data> and <dir>_<model>[_seedN]; writes <dir>_<model>/results.txt, <dir>_summary, <dir>_report/index.html;
# prints the two tables on stdout. What an experiment must hold stands in local/report/README.md.
set -euo pipefail

num_seeds=1      # trainings of each model
test_sets="test" # test sets of <data>, the first is that of the tables
cmd=utils/run.py # job runner and its options

help_message="Usage: $0 [options] <data> <dir> <models>
  e.g. $0 data/synth exp/synth \"dnn1 dnn2 lstm_512 sc\""

. ./path.sh
. utils/parse_options.sh
expect_arguments $# 3
data=$1
dir=$2
read -ra models <<<"$3"
summary=${dir}_summary

read_if_there=("$data/tables.json")
for x in train $test_sets; do
  read_if_there+=("$data/$x"/{scattering.conf,feats.scp,utt2genre,utt2spk,utt2dur,utt2hash,genre2name,artists_unknown})
done
outputs=(--out "$summary/results.txt" --out "$summary/tables.txt" --out "${dir}_report/index.html")
for model in "${models[@]}"; do
  for experiment in "${dir}_$model" $(seq -f "${dir}_${model}_seed%g" 2 "$num_seeds"); do
    [ -d "$experiment" ] || [ "$experiment" = "${dir}_$model" ] || continue # seeds only of what is random
    outputs+=(--out "$experiment/results.txt")
    read_if_there+=("$experiment"/{training.json,tables.json,iters.tsv,sweep_k.tsv,svm_*/svm.{conf,npz}})
    read_if_there+=("$experiment/post_${test_sets%% *}/post.scp")
    for x in train $test_sets; do read_if_there+=("$experiment/score_$x" "$experiment"/*/"score_$x"); done
  done
done
inputs=()
for file in "${read_if_there[@]}"; do [ ! -e "$file" ] || inputs+=(--in "$file"); done
utils/once.py --cmd "$cmd" "${inputs[@]}" "${outputs[@]}" "$summary/.done/report" -- \
  "$summary/log/make_report.log" local/make_report.py --num-seeds "$num_seeds" --test-sets "$test_sets" \
  "$data" "$dir" "${models[@]}"
[ "${RECIPE_DRY_RUN:-false}" = true ] || cat "$summary/tables.txt"
