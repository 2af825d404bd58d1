#!/usr/bin/env bash
# The system `best`: trained on the training tracks, scored on the test sets.
# Reads  <data>/<set>: utt2genre, utt2spk and the features that <config> names; with --networks their posteriors.
# Writes <exp>_best/{best.npz,training.json,tables.json} and score_<set>.
set -euo pipefail

best_config=conf/best/best.conf # parts and settings to choose from
feats="feats"                   # features that there are: names of script files without .scp
networks=                       # networks whose out-of-fold posteriors may take part
cmd=utils/run.py                # job runner and its options

help_message="Usage: $0 [options] <data> <exp> <test-sets>
  e.g. $0 --feats \"feats feats_t32768\" data/synth exp/synth test"

. ./path.sh
. utils/parse_options.sh
expect_arguments $# 3
data=$1
exp=$2
dir=${exp}_best

inputs=("$data/train/utt2genre" "$data/train/utt2spk")
for name in $feats; do inputs+=("$data/train/$name.scp"); done
for name in $networks; do inputs+=("${exp}_$name/post_train_crossfit/post.scp"); done
utils/once.py --cmd "$cmd" "${inputs[@]/#/--in=}" --out "$dir/best.npz" --out "$dir/training.json" \
  --out "$dir/score_train/accuracy.json" "$dir/.done/train" -- "$dir/log/train.log" \
  local/train_best.py --config "$best_config" --networks "$networks" "$data" "$exp"
for x in $3; do
  inputs=("$dir/best.npz" "$data/$x/utt2genre")
  for name in $feats; do inputs+=("$data/$x/$name.scp"); done
  for name in $networks; do inputs+=("${exp}_$name/post_$x/post.scp"); done
  utils/once.py --cmd "$cmd" "${inputs[@]/#/--in=}" --out "$dir/score_$x/accuracy.json" "$dir/.done/score_$x" -- \
    "$dir/log/score_$x.log" local/score_best.py "$data" "$exp" "$x"
done
