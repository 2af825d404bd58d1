#!/usr/bin/env bash
# Genres of recordings from a trained system; see local/classify.py --help.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
here=$PWD
cd "$root"
utils/setup_env.sh
. ./path.sh
cd "$here"
exec python3 "$root/local/classify.py" "$@"
