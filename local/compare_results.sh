#!/usr/bin/env bash
# One table of any set of result directories, with differences from the first and McNemar's p; see
# local/compare_results.py --help. Kaldi's counterpart: local/chain/compare_wer.sh.
exec "$(dirname "${BASH_SOURCE[0]}")/../utils/run_anywhere.sh" local/compare_results.py "$@"
