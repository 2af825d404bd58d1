#!/usr/bin/env bash
# Kaldi's names for checking (validate_data_dir.sh) and repairing (fix_data_dir.sh) a data directory.
# Arguments and options: see validate_data_dir.py and fix_data_dir.py with --help, which do the work.
set -euo pipefail

[[ ! -f path.sh ]] || . ./path.sh
exec "${0%.sh}.py" "$@"
