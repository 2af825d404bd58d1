#!/usr/bin/env bash
# Repair a data directory: sorts its tables, keeps common utterances, old files go to .backup
# (Kaldi: utils/fix_data_dir.sh).
# Arguments and options: see fix_data_dir.py --help, which does the work.
set -euo pipefail

[[ ! -f path.sh ]] || . ./path.sh
exec "$(dirname "$0")/fix_data_dir.py" "$@"
