#!/usr/bin/env bash
# K folds of the tracks of a corpus, each with a train and a test.
# Reads  <data>/{train,test}; of ismir04 train and evaluation, whose artists are known by the same names
#        (development, its test, is anonymised).
# Writes <data>_fold<k>/{train,test} and <data>_folds/test: all tracks.
set -euo pipefail

folds=5          # how many
fold_by=spk      # what a fold never divides: spk (an artist) or utt (a track)
cmd=utils/run.py # job runner and its options

help_message="Usage: $0 [options] <corpus> <data>
  e.g. $0 --folds 5 synth data/synth"

. ./path.sh
. utils/parse_options.sh
expect_arguments $# 2
data=$2

sources=("$data/train" "$data/test")
[ "$1" != ismir04 ] || sources=("$data/train" "$data/evaluation")
outputs=("${data}_folds/test")
for fold in $(seq "$folds"); do outputs+=("${data}_fold$fold"/{train,test}); done
utils/once.py --cmd "$cmd" "${sources[@]/#/--in=}" "${outputs[@]/#/--out=}" "$data/.done/folds" -- \
  "$data/log/make_folds.log" local/make_folds.py --folds "$folds" --fold-by "$fold_by" \
  "${sources[@]}" "${data}_fold"
