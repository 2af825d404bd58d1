#!/usr/bin/env bash
# One linear SVM on one kind of segment feature: vectors of train and test, training, scores. With --test-set X:
# scores of a further test set by the SVM that is there.
#
# Reads  <data>/{train,test}: feats.scp utt2genre utt2spk genres.txt; posteriors of both as script files
#        (none for --type sc).
# Writes <dir>/{train,test}.{ark,scp} (vectors), svm.npz, predictions.tsv, accuracy.json, confusion.csv; of a
#        further test set X: <dir>/X.{ark,scp}, <dir>/score_X/{predictions.tsv,accuracy.json,confusion.csv}.
# Kaldi has no counterpart; nearest are the speaker vectors and backends of its sre recipes.
set -euo pipefail

type=lstm                # sc: mean frame, lstm: statistics of the posteriors, fusion: both
k=0.9                    # threshold of the share of frames (equation 14)
name=Svm_acc             # what the accuracy is called
svm_config=conf/svm.conf # grid, folds and seed of the SVM
test_set=                # score this set of <data> only, with <dir>/svm.npz

help_message="Usage: $0 [options] <data> <dir> [<train-post.scp> <test-post.scp>]
       $0 [options] --test-set X <data> <dir> [<X-post.scp>]
  e.g. $0 --type lstm --name LSeg_acc data/synth exp/synth_lstm_512/svm_lstm \\
         exp/synth_lstm_512/post_train/post.scp exp/synth_lstm_512/post_test/post.scp
Options:
  --type TYPE          sc, lstm or fusion ($type)
  --k K                threshold of the share of frames ($k)
  --name NAME          name of the accuracy ($name)
  --svm-config FILE    options of the SVM ($svm_config)
  --test-set X         score the set X only, with the SVM that <dir> has"

. ./path.sh
. utils/parse_options.sh
sets=(train test)
[ -z "$test_set" ] || sets=("$test_set")
if [ $# -ne 2 ] && [ $# -ne $((2 + ${#sets[@]})) ]; then
  echo "$help_message" >&2
  exit 2
fi
data=$1
dir=$2
posts=("${@:3}")
out=$dir
needed=("$svm_config" "$data/train/utt2spk")
[ -z "$test_set" ] || { out=$dir/score_$test_set && needed=("$dir/svm.npz"); }
for x in "${sets[@]}"; do
  needed+=("$data/$x"/{feats.scp,utt2genre})
done
for file in "${needed[@]}" "${posts[@]}"; do
  [ -f "$file" ] || {
    echo "ERROR (${0##*/}) $file: no such file; run the stages before" >&2
    exit 1
  }
done

for number in "${!sets[@]}"; do
  x=${sets[number]}
  feats=scp:$data/$x/feats.scp
  [ "$type" != lstm ] || feats=
  local/segment_features.py --type "$type" --k "$k" "$feats" "${posts[number]:+scp:${posts[number]}}" \
    "ark,scp:$dir/$x.ark,$dir/$x.scp"
done
[ -n "$test_set" ] || local/train_svm.py --config "$svm_config" --type "$type" --k "$k" "$data/train" \
  "scp:$dir/train.scp" "$dir/svm.npz"
x=${test_set:-test}
local/score_svm.py --name "$name" "$data/$x" "$dir/svm.npz" "scp:$dir/$x.scp" "$out"
