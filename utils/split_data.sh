#!/usr/bin/env bash
# Split a data directory into <data-dir>/split<N>/{1,…,N} by utterances (Kaldi: utils/split_data.sh
# --per-utt).
# Arguments and options: see split_data.py --help, which does the work.
set -euo pipefail

[[ ! -f path.sh ]] || . ./path.sh
exec "$(dirname "$0")/split_data.py" "$@"
