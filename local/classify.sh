#!/usr/bin/env bash
# Genres of recordings from a trained system; see local/classify.py --help.
exec "$(dirname "${BASH_SOURCE[0]}")/../utils/run_anywhere.sh" local/classify.py "$@"
