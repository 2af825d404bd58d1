#!/usr/bin/env bash
# One linear SVM on one kind of segment feature: vectors of train and of the test sets, training, scores.
#
# Reads  <data>/{train,<set>}: feats.scp utt2genre utt2spk genres.txt; <exp-dir>/post_{train,<set>}/post.scp (not for
#        --type sc).
# Writes <svm-dir>/{train,<set>}.{ark,scp} (vectors), svm.npz, score_<set>/{accuracy.json,predictions_<name>.tsv}.
# Kaldi has no counterpart; nearest are the speaker vectors and backends of its sre recipes.
set -euo pipefail

type=lstm                # sc: mean frame, lstm: statistics of the posteriors, fusion: both
k=0.9                    # threshold of the share of frames (equation 14)
name=Svm_acc             # what the accuracy is called
svm_config=conf/svm.conf # grid, folds and seed of the SVM
test_sets="test"         # sets of <data> to score
train_post=post_train    # folder of the training tracks' posteriors in <exp-dir>

help_message="Usage: $0 [options] <data> <svm-dir> <exp-dir>
  e.g. $0 --type lstm --name LSeg_acc data/synth exp/synth_lstm_512/svm_lstm exp/synth_lstm_512"

. ./path.sh
. utils/parse_options.sh
expect_arguments $# 3
data=$1
dir=$2
exp=$3
for x in train $test_sets; do
  feats=scp:$data/$x/feats.scp
  post=scp:$exp/post_$x/post.scp
  [ "$x" != train ] || post=scp:$exp/$train_post/post.scp
  [ "$type" != lstm ] || feats=
  [ "$type" != sc ] || post=
  local/segment_features.py --type "$type" --k "$k" "$feats" "$post" "ark,scp:$dir/$x.ark,$dir/$x.scp"
done
local/train_svm.py --config "$svm_config" --type "$type" --k "$k" "$data/train" "scp:$dir/train.scp" "$dir/svm.npz"
for x in $test_sets; do
  local/score_svm.py --name "$name" "$data/$x" "$dir/svm.npz" "scp:$dir/$x.scp" "$dir/score_$x"
done
