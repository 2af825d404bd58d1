#!/usr/bin/env bash
# Check a data directory; reads only (Kaldi: utils/validate_data_dir.sh).
# Arguments and options: see validate_data_dir.py --help, which does the work.
set -euo pipefail

[[ ! -f path.sh ]] || . ./path.sh
exec "$(dirname "$0")/validate_data_dir.py" "$@"
