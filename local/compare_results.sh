#!/usr/bin/env bash
# One table of any set of result directories, with differences from the first and McNemar's p.
#
# Reads  <exp-dir>/score_test and <exp-dir>/svm_*, or the pooled results of folds. Writes the table to stdout.
# Kaldi's counterpart: local/chain/compare_wer.sh.
set -euo pipefail

measures=       # accuracies to show, comma-separated; empty: all
test_set="test" # the set of the accuracies

help_message="Usage: $0 [options] <exp-dir> <exp-dir>...
  e.g. $0 exp/synth_lstm_512 exp/synth_lstm_1024
       $0 --measures Seg_acc,FSeg_acc exp/synth_*_512
       $0 exp/ismir04_folds_dnn1 exp/ismir04_folds_lstm_512"

. ./path.sh
. utils/parse_options.sh
expect_arguments $# 2 1000

local/compare_results.py --measures "$measures" --test-set "$test_set" "$@"
