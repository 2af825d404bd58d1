#!/usr/bin/env bash
# One file with everything that a trained system needs; see local/export_system.py --help.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
here=$PWD
cd "$root"
utils/setup_env.sh
. ./path.sh
cd "$here"
exec python3 "$root/local/export_system.py" "$@"
