# shellcheck shell=bash
# What drivers do before their jobs and behind them; sourced after utils/parse_options.sh.

# once [--wait true] --in FILE... --out FILE... <stamp>
# returns if the rest of the script has to be run, and ends the script if it was run before on the same inputs
# with the same options and code (utils/once.py). The rest of the script has ONCE_KEY, which stands for all of
# these: --key "$ONCE_KEY" lets a program keep what it made before it was interrupted.
once() {
  [ "${ONCE_STAMP:-}" != "${*: -1}" ] || return 0
  exec utils/once.py "$@" -- "$0" "${script_arguments[@]?}"
}

# run_jobs <log> <command>...: the command in $nj jobs under $cmd; JOB in its words is the number of each. A runner
# is told in RUNNER_OUTPUTS what they write, which a shared file system may show late.
run_jobs() {
  local runner
  read -ra runner <<<"${cmd:?}"
  "${runner[@]}" JOB=1:"${nj:?}" "$@"
}

# join_parts <number> <part> <table> <output>: the parts, 1 to <number> for JOB in their name, become one sorted
# file, which must have an entry for each of the table.
join_parts() {
  local part missing temporary=${4%/*}/.${4##*/}.tmp
  for ((part = 1; part <= $1; part++)); do
    cat "${2//JOB/$part}"
  done | sort >"$temporary"
  missing=$(awk -v ORS=' ' 'FILENAME == ARGV[1] { there[$1]; next } !($1 in there) { print $1 }' "$temporary" "$3")
  if [ -n "$missing" ]; then
    rm "$temporary"
    echo "ERROR (${0##*/}) $4: $(wc -w <<<"$missing") of $(wc -l <"$3") tracks of $3 are missing: $missing" >&2
    exit 1
  fi
  mv "$temporary" "$4"
}
