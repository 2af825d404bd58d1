#!/usr/bin/env bash
# Results of all models: results.txt of each, Tables 2 and 4, figures, and the report page.
# Reads <data> and <dir>_<model>; writes <dir>_<model>/results.txt, <dir>_summary, <dir>_report/index.html;
# prints the two tables on stdout.
set -euo pipefail

conf=conf/paper
num_seeds=1
extra_sets=
cmd=utils/run.py

help_message="Usage: $0 [options] <data> <dir> <models>
  e.g. $0 --conf conf/synth data/synth exp/synth \"dnn1 dnn2 lstm_512\"
Options:
  --conf DIR       folder of the models' configurations ($conf)
  --num-seeds N    trainings of each model ($num_seeds)
  --extra-sets \"A B\"  test sets of <data> beside test
  --cmd RUNNER     job runner and its options ($cmd)"

. ./path.sh
. utils/parse_options.sh
if [ $# -ne 3 ]; then
  echo "$help_message" >&2
  exit 2
fi
data=$1
dir=$2
read -ra models <<<"$3"

first=()                          # the first training of each model
all=("${dir}_sc")                 # and the others, and the SVM on the input alone
summary=${dir}_summary
for model in "${models[@]}"; do
  first+=("${dir}_$model")
  all+=("${dir}_$model")
  for number in $(seq 2 "$num_seeds"); do
    all+=("${dir}_${model}_seed$number")
  done
done
inputs=(--in "$data/train/utt2spk" --in "$data/test/utt2spk" --in conf/svm.conf --in conf/scattering.conf)
scored=(score_test)
for x in $extra_sets; do
  scored+=("score_$x")
  inputs+=(--in "$data/$x/utt2spk")
done
for experiment in "${all[@]}"; do
  for name in "${scored[@]}" svm_sc svm_lstm svm_fusion svm_lstm_crossfit svm_fusion_crossfit iters.tsv sweep_k.tsv; do
    [ ! -e "$experiment/$name" ] || inputs+=(--in "$experiment/$name")
  done
done
for model in "${models[@]}"; do
  inputs+=(--in "$conf/$model.conf" --in "${dir}_$model/post_test/post.scp")
done

extra=()
[ -z "$extra_sets" ] || extra=(--extra-sets "$extra_sets")
outputs=()
for experiment in "${all[@]}"; do
  outputs+=(--out "$experiment/results.txt" --out "$experiment/results.json")
done
utils/once.py --cmd "$cmd" "${inputs[@]}" "${outputs[@]}" "$summary/.done/results" -- \
  "$summary/log/write_results.log" \
  local/write_results.py --conf-dir "$conf" --extra-conf conf/svm.conf,conf/scattering.conf \
  "${extra[@]}" "$data" "${all[@]}"
utils/once.py --cmd "$cmd" "${inputs[@]}" "${outputs[@]/#--out/--in}" --out "$summary/results.txt" \
  --out "$summary/tables.txt" "$summary/.done/tables" -- "$summary/log/make_tables.log" \
  local/make_tables.py --num-seeds "$num_seeds" "${extra[@]}" "$data" "$summary" "${first[@]}" "${dir}_sc"
utils/once.py --cmd "$cmd" "${inputs[@]}" --out "$summary/figures" "$summary/.done/figures" -- \
  "$summary/log/plot_figures.log" local/plot_figures.py "$data" "$summary/figures" "${first[@]}" "${dir}_sc"
utils/once.py --cmd "$cmd" "${inputs[@]}" --in "$summary/results.txt" --in "$summary/figures" \
  --out "${dir}_report/index.html" "$summary/.done/report" -- "$summary/log/make_report.log" \
  local/make_report.py --num-seeds "$num_seeds" "${extra[@]}" "$data" "$summary" "${dir}_report" "${first[@]}" "${dir}_sc"
cat "$summary/tables.txt"
