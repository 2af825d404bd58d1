#!/usr/bin/env bash
# Recordings and artists that train shares with the test sets.
# Reads  utt2hash and utt2spk of <data>/{train,test,…}; writes <data>/overlap.txt.
set -euo pipefail

cmd=utils/run.py # job runner and its options

help_message="Usage: $0 [options] <data> <test-sets>
  e.g. $0 data/ismir04 \"test evaluation\""

. ./path.sh
. utils/parse_options.sh
expect_arguments $# 2
read -ra sets <<<"$2"
inputs=()
for x in train "${sets[@]}"; do inputs+=(--in="$1/$x"/utt2{hash,spk}); done
utils/once.py --wait true --cmd "$cmd" "${inputs[@]}" --out "$1/overlap.txt" "$1/.done/overlap" -- \
  "$1/log/report_overlap.log" local/corpus/overlap.py "$1" "${sets[@]}"
