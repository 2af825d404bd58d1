#!/usr/bin/env bash
# One file with everything that a trained system needs; see local/export_system.py --help.
exec "$(dirname "${BASH_SOURCE[0]}")/../utils/run_anywhere.sh" local/export_system.py "$@"
