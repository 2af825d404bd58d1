#!/usr/bin/env bash
# Segment features and linear SVMs of one model: f_lstm, f_fusion, and their accuracy against k.
# With <sc-dir> alone: the SVM on the mean input frame, which no network is needed for.
#
# Reads  <data>/{train,<set>}; <exp-dir>/post_{train,<set>}/post.scp and, where they exist, the out-of-fold
#        posteriors <exp-dir>/post_train_crossfit/post.scp.
# Writes <exp-dir>/svm_{lstm,fusion}[_crossfit], <exp-dir>/sweep_k.tsv; <sc-dir>/svm_sc. What was made from the same
#        inputs with the same options is not made again.
set -euo pipefail

k=0.9                    # threshold of the share of frames (equation 14)
svm_config=conf/svm.conf # grid, folds and seed of the SVM
test_sets="test"         # test sets of <data>
cmd=utils/run.py         # job runner and its options

help_message="Usage: $0 [options] <data> <sc-dir> [<exp-dir>]
  e.g. $0 data/synth exp/synth_sc
       $0 --k 0.9 data/synth exp/synth_sc exp/synth_lstm_512"

. ./path.sh
. utils/parse_options.sh
expect_arguments $# 2 3
data=$1
sc=$2
exp=${3:-$sc}
first=${test_sets%% *}
calls=() inputs=(--in "$svm_config" --in "$data/train/utt2spk") outputs=()
for x in train $test_sets; do
  inputs+=(--in "$data/$x/feats.scp" --in "$data/$x/utt2genre")
done

# <name of the accuracy> <type> <folder> [<folder of the training tracks' posteriors>]: vectors, training, scores.
add_svm() {
  local name=$1 type=$2 dir=$exp/$3 train_post=${4:-} x post
  for x in train $test_sets; do
    post=$exp/post_$x/post.scp
    [ "$x" != train ] || post=$exp/$train_post/post.scp
    [ "$type" = sc ] || inputs+=(--in "$post")
    calls+=(local/segment_features.py --type "$type" --k "$k" "scp:$data/$x/feats.scp" "scp:$post"
      "ark,scp:$dir/$x.ark,$dir/$x.scp" ::)
    outputs+=(--out "$dir/$x.scp")
  done
  calls+=(local/train_svm.py --config "$svm_config" --type "$type" --k "$k" "$data/train" "scp:$dir/train.scp" "$dir/svm.npz" ::)
  outputs+=(--out "$dir/svm.npz")
  for x in $test_sets; do
    calls+=(local/score_svm.py --name "$name" "$data/$x" "$dir/svm.npz" "scp:$dir/$x.scp" "$dir/score_$x" ::)
    outputs+=(--out "$dir/score_$x")
  done
}

if [ $# -eq 2 ]; then
  add_svm ScSeg_acc sc svm_sc
else
  add_svm LSeg_acc lstm svm_lstm post_train
  add_svm FSeg_acc fusion svm_fusion post_train
  if [ -f "$exp/post_train_crossfit/post.scp" ]; then
    add_svm LSeg_cf_acc lstm svm_lstm_crossfit post_train_crossfit
    add_svm FSeg_cf_acc fusion svm_fusion_crossfit post_train_crossfit
  elif [ "${RECIPE_DRY_RUN:-false}" != true ]; then
    rm -rf "$exp"/svm_{lstm,fusion}_crossfit # of an earlier run
  fi
  calls+=(local/sweep_k.py --test-set "$first" "$data" "$sc/svm_sc" "$exp")
  inputs+=(--in "$sc/svm_sc/train.scp" --in "$sc/svm_sc/$first.scp")
  outputs+=(--out "$exp/sweep_k.tsv")
fi
utils/once.py --cmd "$cmd" "${inputs[@]}" "${outputs[@]}" "$exp/.done/segments" -- "$exp/log/segments.log" \
  utils/in_turn.py "${calls[@]}"
