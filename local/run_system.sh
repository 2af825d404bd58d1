#!/usr/bin/env bash
# One of the systems that the paper compares with: its features, its training, its decisions.
# Reads  <data>/{train,test,…}: wav22k.scp utt2genre utt2spk genres.txt; <conf>/<name>.conf.
# Writes <dir>_<name>/{feats_X/<kind>.scp,model.npz,training.json,score_X} (sig2014 also network.npz).
# <name> is <system> or <system>_<variant>, the name of its configuration, or one of these with _seedN for
# its Nth training, whose seed is N - 1 above the first's. The systems: lee2009 son2008 hol2008 leo2012 sig2014.
set -euo pipefail

conf=conf/systems # folder with <name>.conf
nj=4              # jobs side by side for the features
seed=777          # seed of the first training
use_gpu=no        # yes, no or optional: the network of sig2014
cmd=utils/run.py  # job runner and its options
train_cmd=        # the same for what may use a GPU (as --cmd)

help_message="Usage: $0 [options] <data> <dir> <name> <test-sets>
  e.g. $0 --nj 8 data/synth exp/synth lee2009 test"

. ./path.sh
. utils/parse_options.sh
expect_arguments $# 4
data=$1
exp=$2_$3
name=$3
sets=$4
train_cmd=${train_cmd:-$cmd}
if [[ $name =~ ^(.+)_seed([2-9]|[1-9][0-9]+)$ && ! -f $conf/$name.conf ]]; then
  name=${BASH_REMATCH[1]}
  seed=$((seed + BASH_REMATCH[2] - 1))
fi
config=$conf/$name.conf
system=${name%%_*}
features=(steps/make_track_features.sh --nj "$nj" --cmd "$cmd")
train=(local/systems/system.py --system "$system" --config "$config" --seed "$seed" --use-gpu "$use_gpu")

if [ "$system" = sig2014 ]; then # its network, from frames of the training tracks
  "${features[@]}" "$system" "$config" "$data/train/wav22k.scp" "$exp/feats_network"
  utils/once.py --cmd "$train_cmd" --in "$exp/feats_network/frames.scp" --in "$data/train/utt2genre" \
    --in "$data/train/utt2spk" --out "$exp/network.npz" "$exp/.done/network" -- "$exp/log/network.log" \
    "${train[@]}" --network "$exp/network.npz" "$data/train" "$exp/feats_network" "$exp"
  features=(steps/make_track_features.sh --nj "$nj" --cmd "$train_cmd" --use-gpu "$use_gpu"
    --network "$exp/network.npz")
fi
for x in train $sets; do
  "${features[@]}" "$system" "$config" "$data/$x/wav22k.scp" "$exp/feats_$x"
done
utils/once.py --cmd "$cmd" --in "$exp/feats_train" --in "$data/train/utt2genre" --in "$data/train/utt2spk" \
  --out "$exp/model.npz" --out "$exp/training.json" "$exp/.done/train" -- "$exp/log/train.log" \
  "${train[@]}" "$data/train" "$exp/feats_train" "$exp"
for x in $sets; do
  utils/once.py --cmd "$cmd" --in "$exp/model.npz" --in "$exp/feats_$x" --in="$data/$x"/utt2{genre,spk} \
    --out "$exp/score_$x/accuracy.json" "$exp/.done/score_$x" -- "$exp/log/score_$x.log" \
    local/systems/system.py --system "$system" --score "$exp/score_$x" "$data/$x" "$exp/feats_$x" "$exp"
done
