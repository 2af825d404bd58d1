#!/usr/bin/env bash
# Folds of the training tracks by artist, each with all that training needs, for local/crossfit_posteriors.sh.
# Reads <data>/train; writes <data>/crossfitK/foldN/{train,test,train_tr,train_cv,cmvn}.
set -euo pipefail

num_folds=2                          # how many, or 0: nothing is made
transform_config=conf/transform.conf # as of make_training_data.sh
seed=777                             # of the folds and of their tr/cv splits
cmd=utils/run.py                     # job runner and its options

help_message="Usage: $0 [options] <data>
  e.g. $0 --num-folds 2 data/synth"

. ./path.sh
. utils/parse_options.sh
expect_arguments $# 1
data=$1
folds=$data/crossfit$num_folds
[ "$num_folds" -gt 0 ] || exit 0

outputs=()
for fold in $(seq "$num_folds"); do
  outputs+=(--out "$folds/fold$fold/train" --out "$folds/fold$fold/test")
done
utils/once.py --wait true --cmd "$cmd" --in "$data/train/feats.scp" --in "$data/train/utt2spk" \
  --in "$data/train/utt2genre" "${outputs[@]}" "$folds/.done/make_folds" -- "$folds/log/make_folds.log" \
  local/make_folds.py --folds "$num_folds" --fold-by spk --seed "$seed" "$data/train" "$folds/fold"
for fold in $(seq "$num_folds"); do
  local/make_training_data.sh --transform-config "$transform_config" --cmd "$cmd" --seed "$seed" "$folds/fold$fold"
done
