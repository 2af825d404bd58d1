#!/usr/bin/env bash
# Out-of-fold posteriors of the training tracks, as uncertain as those of the test tracks: each by a network that
# was not trained on it nor on its artist. (The paper trains its SVM on posteriors of the network's own tracks.)
# Reads  <data>/train; writes <data>/crossfitK/foldN/{train,test,train_tr,train_cv,cmvn} (shared by all models),
#        <dir>_<name>/crossfit/foldN_<name> and <dir>_<name>/post_train_crossfit/post.scp.
set -euo pipefail

num_folds=2      # networks to train, each on all but one of K folds; 0: none
conf=conf/paper  # folder with <model>.conf
dnns=            # which of the models are DNNs
seed=777         # seed of the first training, and of the folds
use_gpu=no       # yes, no or optional
cmd=utils/run.py # job runner and its options
score_cmd=$cmd   # the same for the folds
transform_config=conf/transform.conf # as of make_training_data.sh

help_message="Usage: $0 [options] <data> <dir> <name>
  e.g. $0 --num-folds 2 --conf conf/synth data/synth exp/synth lstm_512"

. ./path.sh
. utils/parse_options.sh
. utils/jobs.sh
expect_arguments $# 3
data=$1
dir=$2
name=$3
folds=$data/crossfit$num_folds
out=${dir}_$name/post_train_crossfit

if [ "$num_folds" -eq 0 ]; then # those of an earlier run would become a column of this one's tables
  [ "${RECIPE_DRY_RUN:-false}" = true ] || rm -f "$out/post.scp"
  exit 0
fi
outputs=()
for fold in $(seq "$num_folds"); do outputs+=("$folds/fold$fold"/{train,test}); done
utils/once.py --wait true --cmd "$score_cmd" --in="$data"/train/{feats.scp,utt2spk,utt2genre} \
  "${outputs[@]/#/--out=}" "$folds/.done/make_folds" -- "$folds/log/make_folds.log" \
  local/make_folds.py --folds "$num_folds" --fold-by spk --seed "$seed" "$data/train" "$folds/fold"
for fold in $(seq "$num_folds"); do
  local/make_training_data.sh --transform-config "$transform_config" --cmd "$score_cmd" --seed "$seed" "$folds/fold$fold"
  local/train_model.sh --conf "$conf" --dnns "$dnns" --seed "$seed" --use-gpu "$use_gpu" --cmd "$cmd" \
    "$folds/fold$fold" "${dir}_$name/crossfit/fold$fold" "$name"
  steps/dump_posteriors.sh --use-gpu "$use_gpu" --cmd "$cmd" "$folds/fold$fold/test" \
    "${dir}_$name/crossfit/fold${fold}_$name/final_test.nnet" "$folds/fold$fold/cmvn/feature_transform.nnet" \
    "$out/fold$fold"
done
[ "${RECIPE_DRY_RUN:-false}" = false ] || exit 0
join_parts "$num_folds" "$out/foldJOB_test/post.scp" "$data/train/feats.scp" "$out/post.scp"
