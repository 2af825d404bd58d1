#!/usr/bin/env bash
# Make the recipe's own Python environment, .venv, from the pinned requirements (reads requirements*.txt,
# writes .venv), or check one's own if RECIPE_PYTHON names its python3. Does nothing when all is there.
# Usage: utils/setup_env.sh [requirements.txt|requirements-dev.txt]
set -euo pipefail
requirements=${1:-requirements.txt}

fail() {
  echo "ERROR (${0##*/}) $1" >&2
  exit 1
}

[[ $PWD != *:* ]] || fail "the path of this folder, '$PWD', has a colon, which parts the entries of PATH and PYTHONPATH; \
rename the folder or move the recipe"
python3=${RECIPE_PYTHON:-$(command -v python3)} || fail "there is no python3 on PATH; install Python 3.10 or newer"
"$python3" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null \
  || fail "'$python3' is no Python 3.10 or newer ($("$python3" --version 2>&1 || true)); put one on PATH as python3, or name it by RECIPE_PYTHON"
if [ -n "${RECIPE_PYTHON:-}" ]; then
  packages=(kaldi_io kymatio matplotlib numpy scipy sklearn soundfile soxr torch tqdm)
  "$python3" -c 'import importlib.util, sys; sys.exit(any(not importlib.util.find_spec(p) for p in sys.argv[1:]))' \
    "${packages[@]}" || fail "RECIPE_PYTHON=$python3 lacks packages; run: $python3 -m pip install -r $requirements"
  exit 0
fi
wanted=$(cat requirements.txt "$requirements" | cksum)
stamp=.venv/.done_$(basename "$requirements" .txt)
if [ -x .venv/bin/python3 ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
  exit 0
fi
if [ -n "$(compgen -G '.venv/.done_*')" ] && ! .venv/bin/python3 -c '' 2>/dev/null; then
  fail ".venv, which was made here, cannot be used: by another user, or its Python is gone; set RECIPE_PYTHON, or remove .venv"
fi
if [ "${WITHOUT_LOCKS:-}" != true ]; then # two first runs at once would disturb each other: the second waits
  WITHOUT_LOCKS=true exec flock .venv.lock "$0" "$requirements"
fi

unset PYTHONPATH # of the site: nothing but .venv may count as installed
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore PYTHONWARNINGS=ignore
echo "Installing Python packages from $requirements into .venv: once, a few minutes, needs the network" \
  "(your own environment instead: RECIPE_PYTHON=/path/to/python3 ${RECIPE_CALLER:-./run.sh})" >&2
if ! [ -x .venv/bin/python3 ] || ! .venv/bin/python3 -m pip --version >/dev/null 2>&1; then
  rm -rf .venv
  "$python3" -m venv .venv || fail "'$python3 -m venv' failed; on Debian and Ubuntu: apt-get install python3-venv"
fi
.venv/bin/python3 -m pip install -r "$requirements" >.venv/install.log 2>&1 || {
  cat .venv/install.log >&2
  fail "pip could not install $requirements; see its message above, then run again"
}
echo "$wanted" >"$stamp"
