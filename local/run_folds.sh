#!/usr/bin/env bash
# Cross-validation: the recipe once for each of K folds of a corpus, and the results of all folds pooled.
# ./run.sh --folds K calls it.
#
# Reads  data/<name>/{train,test}, which stages 0 to 2 of ./run.sh make; of ismir04 train and evaluation,
#        whose artists are known by the same names (development, its test, is anonymised).
# Writes data/<name>_fold<k>/{train,test}, all that ./run.sh writes for a corpus of that name,
#        data/<name>_folds, exp/<name>_folds_<model>, _summary and _report: pooled, as of one division; prints the
#        pooled tables.
set -euo pipefail

folds=5                                # how many
fold_by=spk                            # what a fold never divides: spk (an artist) or utt (a track)
corpus=synth                           # the corpus
name=synth                             # which data/<name>
conf=conf/synth                        # folder of the models' configurations
models="dnn1 lstm_512"                 # whose results are pooled
scattering_config=conf/scattering.conf # options of the features
num_seeds=1                            # trainings of each model
strict=false                           # whether the same recording in two folds is an error
stage=0                                # first stage of ./run.sh to run
stop_stage=10                          # last stage to run
cmd=utils/run.py                       # job runner and its options

help_message="Usage: $0 [options] -- <options of ./run.sh>
  e.g. $0 --folds 5 --corpus synth --conf conf/synth --models \"dnn1 lstm_512\" -- --dnns dnn1 --lstms lstm_512"

. ./path.sh
. utils/parse_options.sh
options=()
for word in "$@"; do
  [ "$word" = -- ] || options+=("$word") # what follows -- would be no option
done
options+=(--folds 0)
data=data/$name
exp=exp/$name

if [ "$stage" -le 2 ]; then
  ./run.sh "${options[@]}" --corpus "$corpus" --stage "$stage" --stop-stage "$((stop_stage < 2 ? stop_stage : 2))"
fi
[ "$stop_stage" -ge 3 ] || exit 0

sources=("$data/train" "$data/test")
[ "$corpus" != ismir04 ] || sources=("$data/train" "$data/evaluation")
division=(--folds "$folds" --fold-by "$fold_by")
inputs=()
if [ -f "$data/utt2fold" ]; then # the preparation has dealt them, and knows what belongs together
  dealt=$(cut -d ' ' -f 2 "$data/utt2fold" | sort -u | wc -l)
  if [ "$dealt" -ne "$folds" ] || [ "$fold_by" != spk ]; then
    echo "ERROR (${0##*/}) $data/utt2fold has $dealt folds by spk (conf/prepare_$corpus.conf), but --folds $folds" \
      "--fold-by $fold_by was asked for; make them agree" >&2
    exit 1
  fi
  division=(--utt2fold "$data/utt2fold")
  inputs+=(--in "$data/utt2fold")
fi
for source in "${sources[@]}"; do
  inputs+=(--in "$source")
done
outputs=()
for fold in $(seq "$folds"); do
  outputs+=(--out "${data}_fold$fold/train" --out "${data}_fold$fold/test")
done
outputs+=(--out "${data}_folds/test")
utils/once.py --cmd "$cmd" "${inputs[@]}" "${outputs[@]}" "$data/.done/folds" -- "$data/log/make_folds.log" \
  local/make_folds.py "${division[@]}" --strict "$strict" "${sources[@]}" "${data}_fold"

if [ "${RECIPE_DRY_RUN:-false}" = true ] && [ ! -f "${data}_fold1/train/feats.scp" ]; then
  echo "The folds are not divided yet; a dry run tells more of them when that is done" >&2
  exit 0
fi

# One fold after the other on this machine, whose cores each fold fills; all at once on a cluster.
first=$((stage > 3 ? stage : 3))
at_once=1
[ "${cmd_backend:-local}" = local ] || at_once=$folds
utils/for_each.py --max-jobs-run "$at_once" "$(seq -s ' ' "$folds")" ./run.sh "${options[@]}" \
  --corpus "${name}_fold{}" --name "${name}_fold{}" --corpus-root "" --test-sets test --conf "$conf" \
  --stage "$first" --stop-stage "$stop_stage" >&2
[ "$stop_stage" -ge 10 ] || exit 0

read -ra names <<<"$models"
names+=(sc) # the SVM on the input alone
inputs=()
outputs=(--out "${data}_folds/tables.json")
for model in "${names[@]}"; do
  outputs+=(--out "${exp}_folds_$model/score_test")
  for fold in $(seq "$folds"); do
    inputs+=(--in "${data}_fold$fold/train/utt2spk" --in "${data}_fold$fold/test/utt2spk")
    for experiment in "${exp}_fold${fold}_$model"{,_seed*}; do
      for file in "$experiment"/{training.json,score_test} "$experiment"/*/score_test; do
        [ ! -e "$file" ] || inputs+=(--in "$file")
      done
    done
  done
done
utils/once.py --cmd "$cmd" "${inputs[@]}" "${outputs[@]}" "${exp}_folds_summary/.done/pool" -- \
  "${exp}_folds_summary/log/pool_folds.log" \
  local/pool_folds.py --folds "$folds" --fold-by "$fold_by" --num-seeds "$num_seeds" "$data" "$exp" "${names[@]}"
local/report.sh --num-seeds "$num_seeds" --scattering-config "$scattering_config" --cmd "$cmd" "${data}_folds" "${exp}_folds" "${names[*]}"
