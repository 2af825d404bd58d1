#!/usr/bin/env bash
# Recordings and artists that train shares with the test sets.
# Reads  utt2hash and utt2spk of <data>/{train,test,…}; writes <data>/overlap.txt.
set -euo pipefail

strict=false     # whether the same recording in train and in test is an error
cmd=utils/run.py # job runner and its options

help_message="Usage: $0 [options] <data> <test-sets>
  e.g. $0 data/ismir04 \"test evaluation\""

. ./path.sh
. utils/parse_options.sh
expect_arguments $# 2
data=$1
inputs=()
for x in train $2; do inputs+=("$data/$x"/{utt2hash,utt2spk}); done
utils/once.py --wait true --cmd "$cmd" "${inputs[@]/#/--in=}" --out "$data/overlap.txt" "$data/.done/overlap" -- \
  "$data/log/report_overlap.log" local/report_overlap.py --strict "$strict" "$data" "$2"
