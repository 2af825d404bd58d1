#!/usr/bin/env bash
# Train one model of run.sh, unless it was trained on the same data with the same configuration and code.
# Reads  <data>/{train_tr,train_cv}, <data>/cmvn/feature_transform.nnet, <conf>/<model>.conf;
# writes <dir>_<name>/{final.nnet,final_test.nnet,iters.tsv,nnet/,log/train.log}.
# A model whose configuration has --cell-dim is an LSTM, one with --hid-dim a DNN.
# <name> is <model>, or <model>_seedN for its Nth training, whose seed is N - 1 above the first's.
set -euo pipefail

conf=conf/paper
seed=777
use_gpu=no
cmd=utils/run.py

help_message="Usage: $0 [options] <data> <dir> <name>
  e.g. $0 --conf conf/synth data/synth exp/synth dnn1
Options:
  --conf DIR          folder with <model>.conf ($conf)
  --seed S            seed of the first training ($seed)
  --use-gpu WHETHER   yes, no or optional ($use_gpu)
  --cmd RUNNER        job runner and its options ($cmd)"

echo "$0 $*" >&2
. ./path.sh
. utils/parse_options.sh
if [ $# -ne 3 ]; then
  echo "$help_message" >&2
  exit 2
fi
data=$1
name=$3
dir=$2_$name
model=${name%_seed*}
[ "$model" = "$name" ] || seed=$((seed + ${name##*_seed} - 1))

case $(grep -oE '^--(cell|hid)-dim' "$conf/$model.conf") in
  --cell-dim) trainer=local/train_lstm.py ;;
  --hid-dim) trainer=local/train_dnn.py ;;
  *)
    echo "ERROR (${0##*/}) $conf/$model.conf: expected --cell-dim (of an LSTM) or --hid-dim (of a DNN), and not both" >&2
    exit 1
    ;;
esac

utils/once.py --cmd "$cmd" --in "$conf/$model.conf" --in "$data/train_tr/feats.scp" --in "$data/train_cv/feats.scp" \
  --in "$data/train_tr/labels.scp" --in "$data/train_cv/labels.scp" --in "$data/cmvn/feature_transform.nnet" \
  --out "$dir/final.nnet" --out "$dir/final_test.nnet" --out "$dir/iters.tsv" "$dir/.done/train" -- \
  "$dir/log/train.log" "$trainer" --config "$conf/$model.conf" --seed "$seed" --use-gpu "$use_gpu" \
  "$data/train_tr" "$data/train_cv" "$data/cmvn/feature_transform.nnet" "$dir"
