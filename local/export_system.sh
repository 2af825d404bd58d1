#!/usr/bin/env bash
# A trained system as one zip: local/export_system.py in the recipe's environment.
set -euo pipefail
. ./path.sh
exec local/export_system.py "$@"
