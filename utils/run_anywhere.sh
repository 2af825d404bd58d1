#!/usr/bin/env bash
# Runs a program of the recipe in the recipe's environment, in the folder in which it is called.
# Usage: utils/run_anywhere.sh local/classify.py [<argument>…]
set -euo pipefail
here=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."
utils/setup_env.sh
. ./path.sh
program=$PWD/$1
cd "$here"
exec python3 "$program" "${@:2}"
