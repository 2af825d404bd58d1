#!/usr/bin/env bash
# K folds of the tracks of a corpus, each with a train and a test.
# Reads  <data>/{train,test}; of ismir04 train and evaluation, whose artists are known by the same names
#        (development, its test, is anonymised); <data>/utt2fold if there is one.
# Writes <data>_fold<k>/{train,test} and <data>_folds/test: all tracks.
set -euo pipefail

folds=5          # how many
fold_by=spk      # what a fold never divides: spk (an artist) or utt (a track)
strict=false     # whether the same recording in two folds is an error
cmd=utils/run.py # job runner and its options

help_message="Usage: $0 [options] <corpus> <data>
  e.g. $0 --folds 5 synth data/synth"

. ./path.sh
. utils/parse_options.sh
expect_arguments $# 2
corpus=$1
data=$2

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
  inputs+=("$data/utt2fold")
fi
outputs=("${data}_folds/test")
for fold in $(seq "$folds"); do outputs+=("${data}_fold$fold"/{train,test}); done
utils/once.py --cmd "$cmd" "${inputs[@]/#/--in=}" "${sources[@]/#/--in=}" "${outputs[@]/#/--out=}" "$data/.done/folds" -- "$data/log/make_folds.log" \
  local/make_folds.py "${division[@]}" --strict "$strict" "${sources[@]}" "${data}_fold"
