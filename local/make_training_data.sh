#!/usr/bin/env bash
# What the trainers need: train split into train_tr and train_cv by artist, a label for each frame, and
# the feature transform of train_tr's frames.
# Reads <data>/train; writes <data>/{train_tr,train_cv} and <data>/cmvn/feature_transform.nnet.
set -euo pipefail

cmd=utils/run.py                     # job runner and its options
transform_config=conf/transform.conf # of the feature transform: cmvn or whiten
seed=777                             # of the choice of artists

help_message="Usage: $0 [options] <data>
  e.g. $0 data/synth"

. ./path.sh
. utils/parse_options.sh
expect_arguments $# 1
data=$1
utils/once.py --wait true --cmd "$cmd" --in "$data/train/feats.scp" --in "$data/train/utt2spk" \
  --in "$data/train/utt2genre" --out "$data/train_tr/labels.scp" --out "$data/train_cv/labels.scp" \
  --out "$data/cmvn/feature_transform.nnet" "$data/.done/training_data" -- "$data/log/training_data.log" \
  utils/in_turn.py utils/validate_data_dir.py --no-wav "$data/train" :: local/make_training_data.py \
  --config "$transform_config" --seed "$seed" "$data/train" "$data/train_tr" "$data/train_cv" "$data/cmvn"
