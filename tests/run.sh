#!/usr/bin/env bash
# All tests, in three processes, since many wait; makes the environment first. Words given are
# passed to pytest, e.g. tests/run.sh tests/unit -k wilson, or tests/own_size, which is not among all
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
RECIPE_CALLER=tests/run.sh utils/setup_env.sh requirements-dev.txt
. ./path.sh
exec python3 -m pytest -n 3 --dist loadgroup "$@"
