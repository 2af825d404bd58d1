# shellcheck shell=bash
# Sourced by the drivers in steps/ and local/, after utils/parse_options.sh, which keeps the script's arguments.
#
#   once [--wait true] --in FILE... --out FILE... <stamp>
#
# returns if the rest of the script has to be run, and ends the script if it was run before on the same
# inputs with the same options and code (utils/once.py). The rest of the script has ONCE_KEY, which stands
# for all of these: --key "$ONCE_KEY" lets a program keep what it made before it was interrupted.
once() {
  [ "${ONCE_STAMP:-}" != "${*: -1}" ] || return 0
  exec utils/once.py "$@" -- "$0" "${script_arguments[@]?}"
}
