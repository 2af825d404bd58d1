#!/usr/bin/env bash
# Train one model of run.sh.
# Reads  <data>/{train_tr,train_cv}, <data>/cmvn/feature_transform.nnet, <conf>/<model>.conf;
# writes <dir>_<name>/{final.nnet,final_test.nnet,iters.tsv,nnet/,log/train.log}.
# <name> is <model>, or <model>_seedN for its Nth training, whose seed is N - 1 above the first's.
set -euo pipefail

conf=conf/paper  # folder with <model>.conf
dnns="dnn1 dnn2" # the models that are DNNs, the others are LSTMs
seed=777         # seed of the first training
use_gpu=no       # yes, no or optional
cmd=utils/run.py # job runner and its options

help_message="Usage: $0 [options] <data> <dir> <name>
  e.g. $0 --conf conf/synth data/synth exp/synth dnn1"

. ./path.sh
. utils/parse_options.sh
expect_arguments $# 3
data=$1
model=$3
dir=$2_$3
if [[ $3 =~ ^(.+)_seed([2-9]|[1-9][0-9]+)$ && ! -f $conf/$3.conf ]]; then
  model=${BASH_REMATCH[1]}
  seed=$((seed + BASH_REMATCH[2] - 1))
fi
trainer=local/train_lstm.py
[[ " $dnns " != *" $model "* ]] || trainer=local/train_dnn.py

utils/once.py --cmd "$cmd" --in "$data/train_tr/feats.scp" --in "$data/train_cv/feats.scp" \
  --in "$data/train_tr/labels.scp" --in "$data/train_cv/labels.scp" --in "$data/cmvn/feature_transform.nnet" \
  --out "$dir/final.nnet" --out "$dir/final_test.nnet" --out "$dir/iters.tsv" "$dir/.done/train" -- \
  "$dir/log/train.log" "$trainer" --key ONCE_KEY --config "$conf/$model.conf" --seed "$seed" --use-gpu "$use_gpu" \
  "$data/train_tr" "$data/train_cv" "$data/cmvn/feature_transform.nnet" "$dir"
