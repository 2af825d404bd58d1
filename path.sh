# shellcheck shell=bash
# Environment of every job; silent, and safe to source any number of times.
# RECIPE_PYTHON=/path/to/python3 chooses one's own environment instead of .venv, and keeps one's PYTHONPATH;
# otherwise only .venv counts, whatever the site puts into PYTHONPATH.
if [ -n "${RECIPE_PYTHON:-}" ]; then
  RECIPE_BIN=${RECIPE_PYTHON%/*}
  case ":${PYTHONPATH:-}:" in
    *":$PWD:"*) ;;
    *) export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" ;;
  esac
else
  RECIPE_BIN=$PWD/.venv/bin
  export PYTHONPATH="$PWD"
fi
case "$PATH:" in
  "$RECIPE_BIN:"*) ;;
  *) export PATH="$RECIPE_BIN:$PATH" ;;
esac
export LC_ALL=C
export PYTHONUTF8=1
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
# Threads that wait for each other let others have the core after a short while: jobs share machines.
export GOMP_SPINCOUNT="${GOMP_SPINCOUNT:-10000}"
