#!/usr/bin/env bash
# Which tracks there are, of which genre and artist, in train and in test; of synth, also the music itself.
# Reads  <corpus-root>, conf/prepare_<corpus>.conf and the tables that this names;
# writes <data>/{train,test}: wav.scp utt2genre utt2spk spk2utt genres.txt.
set -euo pipefail

nj=2                  # jobs that compose the music of synth
feat_cmd=utils/run.py # their job runner and its options
cmd=utils/run.py      # job runner of the preparation

help_message="Usage: $0 [options] <corpus> <corpus-root> <data>
  e.g. $0 folder ~/music data/folder"

. ./path.sh
. utils/parse_options.sh
expect_arguments $# 3
corpus=$1
root=$2
data=$3

if [ "$corpus" = synth ]; then
  # Its stamp lies beside the music, which data directories of several names share.
  utils/once.py --wait true --cmd "$feat_cmd" --out "$root" "$(dirname "$root")/.done/$(basename "$root")" -- \
    JOB=1:"$nj" "$data/log/make_corpus.JOB.log" \
    local/make_synth_corpus.py --config conf/synth_corpus.conf --job JOB --num-jobs "$nj" "$root"
fi
outputs=()
for table in {train,test}/{genres.txt,wav.scp,utt2genre,utt2spk}; do outputs+=(--out "$data/$table"); done
utils/once.py --wait true --cmd "$cmd" --in "$root" "${outputs[@]}" "$data/.done/prepare" -- "$data/log/prepare.log" \
  "local/prepare_$corpus.py" --config "conf/prepare_$corpus.conf" "$root" "$data"
