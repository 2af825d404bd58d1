#!/usr/bin/env bash
# One linear SVM on one kind of segment feature: vectors of train and test, training, scores.
#
# Reads  <data>/{train,test}: feats.scp utt2genre utt2spk genres.txt; posteriors of both as script files
#        (none for --type sc).
# Writes <dir>/{train,test}.{ark,scp} (vectors), svm.npz, predictions.tsv, accuracy.json, confusion.csv.
# Kaldi has no counterpart; nearest are the speaker vectors and backends of its sre recipes.
set -euo pipefail

type=lstm                # sc: mean frame, lstm: statistics of the posteriors, fusion: both
k=0.9                    # threshold of the share of frames (equation 14)
name=Svm_acc             # what the accuracy is called
svm_config=conf/svm.conf # grid, folds and seed of the SVM

help_message="Usage: $0 [options] <data> <dir> [<train-post.scp> <test-post.scp>]
  e.g. $0 --type lstm --name LSeg_acc data/synth exp/synth_lstm_512/svm_lstm \\
         exp/synth_lstm_512/post_train/post.scp exp/synth_lstm_512/post_test/post.scp
Options:
  --type TYPE          sc, lstm or fusion ($type)
  --k K                threshold of the share of frames ($k)
  --name NAME          name of the accuracy ($name)
  --svm-config FILE    options of the SVM ($svm_config)"

echo "$0 $*" >&2
. ./path.sh
. utils/parse_options.sh
if [ $# -ne 2 ] && [ $# -ne 4 ]; then
  echo "$help_message" >&2
  exit 2
fi
data=$1
dir=$2
declare -A post=([train]=${3:-} [test]=${4:-})

for file in "$svm_config" "$data"/{train,test}/{feats.scp,utt2genre} "$data/train/utt2spk" "${@:3}"; do
  [ -f "$file" ] || {
    echo "ERROR ($0) $file: no such file; run the stages before" >&2
    exit 1
  }
done

for part in train test; do
  feats=scp:$data/$part/feats.scp
  [ "$type" != lstm ] || feats=
  local/segment_features.py --type "$type" --k "$k" "$feats" "${post[$part]:+scp:${post[$part]}}" \
    "ark,scp:$dir/$part.ark,$dir/$part.scp"
done
local/train_svm.py --config "$svm_config" --type "$type" --k "$k" "$data/train" "scp:$dir/train.scp" "$dir/svm.npz"
local/score_svm.py --name "$name" "$data/test" "$dir/svm.npz" "scp:$dir/test.scp" "$dir"
