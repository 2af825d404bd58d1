#!/usr/bin/env bash
# Results of all models: results.txt of each, Tables 2 and 4, figures, and the report page.
# Reads <data> and <dir>_<model>; writes <dir>_<model>/results.txt, <dir>_summary, <dir>_report/index.html;
# prints the two tables on stdout.
set -euo pipefail

conf=conf/paper
num_seeds=1
cmd=utils/run.py

help_message="Usage: $0 [options] <data> <dir> <models>
  e.g. $0 --conf conf/synth data/synth exp/synth \"dnn1 dnn2 lstm_512\"
Options:
  --conf DIR       folder of the models' configurations ($conf)
  --num-seeds N    trainings of each model ($num_seeds)
  --cmd RUNNER     job runner and its options ($cmd)"

echo "$0 $*" >&2
. ./path.sh
. utils/parse_options.sh
if [ $# -ne 3 ]; then
  echo "$help_message" >&2
  exit 2
fi
data=$1
dir=$2
read -ra models <<<"$3"
read -ra runner <<<"$cmd"

first=() # the first training of each model
all=()   # and the others
for model in "${models[@]}"; do
  first+=("${dir}_$model")
  all+=("${dir}_$model")
  for number in $(seq 2 "$num_seeds"); do
    all+=("${dir}_${model}_seed$number")
  done
done

"${runner[@]}" "${dir}_summary/log/write_results.log" \
  local/write_results.py --conf-dir "$conf" --extra-conf conf/svm.conf,conf/scattering.conf \
  "$data" "${dir}_sc" "${all[@]}"
"${runner[@]}" "${dir}_summary/log/make_tables.log" \
  local/make_tables.py --num-seeds "$num_seeds" "$data" "${dir}_summary" "${first[@]}" "${dir}_sc" \
  ">${dir}_summary/.tables.txt"
"${runner[@]}" "${dir}_summary/log/plot_figures.log" \
  local/plot_figures.py "$data" "${dir}_summary/figures" "${first[@]}"
"${runner[@]}" "${dir}_summary/log/make_report.log" \
  local/make_report.py "$data" "${dir}_summary" "${dir}_report" "${first[@]}"
cat "${dir}_summary/.tables.txt"
