#!/usr/bin/env bash
# What the trainers need: train split into train_tr and train_cv by artist, a label for each frame, and
# the mean and variance of train_tr's frames as a feature transform.
# Reads <data>/train; writes <data>/{train_tr,train_cv} and <data>/cmvn/{cmvn.stats,feature_transform.nnet}.
# Kaldi counterparts: subset_data_dir_tr_cv.sh, ali-to-post, compute-cmvn-stats, cmvn-to-nnet.
set -euo pipefail

cmd=utils/run.py # job runner and its options
cv_percent=10    # tracks held out for cross-validation, in percent
transform=cmvn   # cmvn, or whiten: by the covariance within classes
seed=777         # of the choice of artists

help_message="Usage: $0 [options] <data>
  e.g. $0 data/synth"

. ./path.sh
. utils/parse_options.sh
. utils/once.sh
expect_arguments $# 1
data=$1
once --wait true --in "$data/train/feats.scp" --in "$data/train/utt2spk" --in "$data/train/utt2genre" \
  --out "$data/train_tr/labels.scp" --out "$data/train_cv/labels.scp" --out "$data/cmvn/feature_transform.nnet" \
  "$data/.done/training_data"

read -ra runner <<<"$cmd"
utils/validate_data_dir.sh --no-wav "$data/train" # features may have come from elsewhere
calls=(local/split_tr_cv.py --cv-percent "$cv_percent" --seed "$seed" "$data/train" "$data/train_tr" "$data/train_cv"
  :: local/make_frame_labels.py "$data/train_tr" :: local/make_frame_labels.py "$data/train_cv" ::)
case $transform in
  cmvn)
    calls+=(steps/nnet1/compute_cmvn_stats.py "scp:$data/train_tr/feats.scp" "$data/cmvn/cmvn.stats"
      :: steps/nnet1/cmvn_to_nnet.py "$data/cmvn/cmvn.stats" "$data/cmvn/feature_transform.nnet")
    ;;
  whiten)
    calls+=(steps/nnet1/whitening_to_nnet.py
      "scp:$data/train_tr/feats.scp" "$data/train_tr/utt2genre" "$data/cmvn/feature_transform.nnet")
    ;;
  *)
    echo "ERROR (${0##*/}) --transform: expected cmvn or whiten, got '$transform'" >&2
    exit 2
    ;;
esac
mkdir -p "$data/cmvn"
"${runner[@]}" "$data/log/training_data.log" utils/in_turn.py "${calls[@]}"
