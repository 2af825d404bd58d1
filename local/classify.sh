#!/usr/bin/env bash
# Genres of new recordings from a trained system: local/classify.py in the recipe's environment.
set -euo pipefail
. ./path.sh
exec local/classify.py "$@"
