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

# split_table <most> <table> <part>: the lines in contiguous parts, <most> or one a line, JOB in <part> for the number
# of each, whose sizes differ by one at most, as by Kaldi's split_scp.pl. Prints how many there are.
split_table() {
  local lines parts
  lines=$(wc -l <"$2")
  [ "$lines" -gt 0 ] || { echo "ERROR (${0##*/}) $2: empty" >&2 && return 1; }
  parts=$((lines < $1 ? lines : $1))
  mkdir -p "${3%/*}"
  name=$3 awk -v parts="$parts" -v larger="$((lines % parts))" -v size="$((lines / parts))" '
    left-- == 0 {
      if (file) close(file)
      left = size + (part++ < larger) - 1
      file = ENVIRON["name"]
      gsub("JOB", part, file)
    }
    { print >file }' "$2"
  echo "$parts"
}

# run_jobs <log> <command>...: the command in $nj jobs under $cmd; JOB in its words is the number of each.
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
