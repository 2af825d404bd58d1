#!/usr/bin/env bash
# Segment features and linear SVMs of one model: f_lstm and f_fusion, and the sweep over k.
#
# Reads  <data-dir>/{train,test}: feats.scp utt2genre utt2spk; <exp-dir>/post_{train,test}/post.scp and,
#        where they exist, the out-of-fold posteriors <exp-dir>/post_train_crossfit/post.scp.
# Writes <exp-dir>/svm_{lstm,fusion}[_crossfit]: vectors, svm.npz, predictions.tsv, accuracy.json;
#        <exp-dir>/sweep_k.tsv. With <sc-dir> alone: the SVM on the mean input frame, <sc-dir>/svm_sc.
# Kaldi has no counterpart; the nearest are ivector-mean and the LDA/PLDA scoring of the sre recipes.
set -euo pipefail

# Options.
k=0.9                       # threshold of the share of frames (equation 14)
svm_config=conf/svm.conf    # grid, folds and seed of the SVM
sweep=true                  # whether to draw accuracy against k

help_message="Usage: $0 [options] <data-dir> <sc-dir> [<exp-dir>]
e.g.:  $0 data/synth exp/synth_sc                         # the baseline on mean frames, first
       $0 --k 0.9 data/synth exp/synth_sc exp/synth_lstm_512
Options:
  --k K                threshold of the share of frames ($k)
  --svm-config FILE    options of the SVM ($svm_config)
  --sweep true|false   whether to sweep k for Figure 3 ($sweep)"

echo "$0 $*" >&2
. ./path.sh
. utils/parse_options.sh

if [ $# -lt 2 ] || [ $# -gt 3 ]; then
  echo "$help_message" >&2
  exit 2
fi
data=$1
sc=$2
exp=${3:-}

for file in "$svm_config" "$data"/{train,test}/{feats.scp,utt2genre} "$data/train/utt2spk"; do
  [ -f "$file" ] || { echo "ERROR ($0) $file: no such file" >&2; exit 1; }
done

# One SVM: <name of the accuracy> <type> <folder> <posteriors to train on, or ''> <to test on, or ''>
make_svm() {
  local name=$1 type=$2 dir=$3 part post feats
  mkdir -p "$dir"
  for part in train test; do
    post=$4
    if [ "$part" = test ]; then post=$5; fi
    feats=scp:$data/$part/feats.scp
    if [ "$type" = lstm ]; then feats=''; fi
    local/segment_features.py --type "$type" --k "$k" "$feats" "${post:+scp:$post}" \
      "ark,scp:$dir/$part.ark,$dir/$part.scp"
  done
  local/train_svm.py --config "$svm_config" --type "$type" --k "$k" "$data/train" "scp:$dir/train.scp" "$dir/svm.npz"
  local/score_svm.py --name "$name" "$data/test" "$dir/svm.npz" "scp:$dir/test.scp" "$dir"
}

if [ -z "$exp" ]; then
  make_svm ScSeg_acc sc "$sc/svm_sc" '' ''
  exit 0
fi

train=$exp/post_train/post.scp
crossfit=$exp/post_train_crossfit/post.scp
test=$exp/post_test/post.scp
for file in "$train" "$test"; do
  [ -f "$file" ] || { echo "ERROR ($0) $file: no such file; dump the posteriors first (stage 6)" >&2; exit 1; }
done

make_svm LSeg_acc lstm "$exp/svm_lstm" "$train" "$test"
make_svm FSeg_acc fusion "$exp/svm_fusion" "$train" "$test"
if [ -f "$crossfit" ]; then
  make_svm LSeg_cf_acc lstm "$exp/svm_lstm_crossfit" "$crossfit" "$test"
  make_svm FSeg_cf_acc fusion "$exp/svm_fusion_crossfit" "$crossfit" "$test"
else
  rm -rf "$exp/svm_lstm_crossfit" "$exp/svm_fusion_crossfit" # of an earlier run, no longer true
fi
if $sweep; then
  local/sweep_k.py --config "$svm_config" "$data" "$sc/svm_sc" "$exp"
fi
