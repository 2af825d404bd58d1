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
sweep=true               # whether to sweep k for Figure 3
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

# <name of the accuracy> <type> <folder> [<folder of the training tracks' posteriors>]
make_svm() {
  local name=$1 type=$2 dir=$exp/$3 train_post=${4:-} x file
  local inputs=(--in "$svm_config" --in "$data/train/utt2spk") outputs=(--out "$dir/svm.npz" --out "$dir/train.scp")
  for x in $test_sets; do
    outputs+=(--out "$dir/$x.scp" --out "$dir/score_$x")
    [ -z "$train_post" ] || inputs+=(--in "$exp/post_$x/post.scp")
  done
  [ -z "$train_post" ] || inputs+=(--in "$exp/$train_post/post.scp")
  for x in train $test_sets; do
    for file in "$data/$x"/{feats.scp,utt2genre}; do
      inputs+=(--in "$file")
    done
  done
  utils/once.py --cmd "$cmd" "${inputs[@]}" "${outputs[@]}" "$exp/.done/${dir##*/}" -- "$exp/log/${dir##*/}.log" \
    local/segment_svm.sh --type "$type" --name "$name" --k "$k" --svm-config "$svm_config" \
    --test-sets "$test_sets" --train-post "${train_post:-none}" "$data" "$dir" "$exp"
}

if [ $# -eq 2 ]; then
  make_svm ScSeg_acc sc svm_sc
  exit 0
fi

first=${test_sets%% *}
make_svm LSeg_acc lstm svm_lstm post_train
make_svm FSeg_acc fusion svm_fusion post_train
if [ -f "$exp/post_train_crossfit/post.scp" ]; then
  make_svm LSeg_cf_acc lstm svm_lstm_crossfit post_train_crossfit
  make_svm FSeg_cf_acc fusion svm_fusion_crossfit post_train_crossfit
elif [ "${RECIPE_DRY_RUN:-false}" != true ]; then
  rm -rf "$exp"/svm_{lstm,fusion}_crossfit "$exp"/.done/svm_{lstm,fusion}_crossfit # of an earlier run
fi
if $sweep; then
  utils/once.py --cmd "$cmd" --in "$svm_config" --in "$exp/post_train/post.scp" --in "$exp/post_$first/post.scp" \
    --in "$sc/svm_sc/train.scp" --in "$sc/svm_sc/$first.scp" --in "$exp/svm_lstm/svm.npz" \
    --in "$exp/svm_fusion/svm.npz" --out "$exp/sweep_k.tsv" "$exp/.done/sweep_k" -- "$exp/log/sweep_k.log" \
    local/sweep_k.py --config "$svm_config" --test-set "$first" "$data" "$sc/svm_sc" "$exp"
fi
