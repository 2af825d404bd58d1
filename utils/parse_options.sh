#!/usr/bin/env bash
# Command-line options for shell scripts, with the meaning of Kaldi's
# utils/parse_options.sh. Source it after the script's defaults:
#
#   nj=4      # jobs side by side
#   raw=false # without renormalisation
#   help_message="Usage: $0 [options] <data-dir>"
#   . utils/parse_options.sh
#
#   --foo-bar V, --foo-bar=V   set foo_bar, which the script must have defined
#   --config FILE              apply FILE's lines before every other option
#   --help, -h                 print $help_message, and these lines as the options, and exit 0
#   --                         end of the options
#
# A variable whose value is true or false takes only true or false. What is
# left over stays in "$@", all arguments in "${script_arguments[@]}". A wrong option exits 2.
# `expect_arguments $# MIN [MAX]` after it ends a script whose number of arguments is wrong with its usage.
# The call is written to stderr, or to the file RECIPE_LOG where RECIPE_VERBOSE, or the
# script's own option --verbose, is false.
#
# A config file holds `foo_bar=V` or `--foo-bar=V`, one a line, and # comments.
# Kaldi sources it; here it is parsed, so that a file can set options and do
# nothing else: values are literal, "a b" and 'a b' hold blanks, and shell
# syntax or a key that the script does not define is an error.

_po_die() {
  printf 'ERROR (%s) %s\n' "${0##*/}" "$1" >&2
  exit 2
}

expect_arguments() {
  [ "$1" -lt "$2" ] || [ "$1" -gt "${3:-$2}" ] || return 0
  print_help >&2
  exit 2
}

# Prints the script's usage, and as its options the variables that it sets before it, with their comments.
print_help() {
  local script=$0
  [ -f "$script" ] || script=${0##*/} # it has changed into its folder
  printf '%s\n' "${help_message:-$0: no help is available}"
  awk '/^help_message=/ { exit }
    match($0, /^[a-z][a-z0-9_]*=/) {
      name = substr($0, 1, RLENGTH - 1)
      gsub("_", "-", name)
      if (!options++) print "Options, with their defaults; --config FILE reads them from a file, one name=value a line:"
      print "  --" name " " substr($0, RLENGTH + 1)
    }' "$script"
}

# Succeeds if an option may set variable $1. Capitals are the environment's
# (PATH, IFS, BASH_ENV), not options.
_po_known() {
  [[ $1 =~ ^[A-Za-z][A-Za-z0-9_]*$ && ! $1 =~ ^[A-Z][A-Z0-9_]+$ ]] || return 1
  [[ $1 != help_message && -n ${!1+x} ]]
}

# Sets variable $1 to $2; $3 says where this was asked.
_po_set() {
  if [[ ${!1} == true || ${!1} == false ]]; then
    [[ $2 == true || $2 == false ]] || _po_die "$3: expected true or false, got '$2'"
  elif [[ ${!1} =~ ^-?[0-9.]+$ && $2 == --* ]]; then
    _po_die "$3: its value is missing (the next argument is '$2')"
  fi
  printf -v "$1" '%s' "$2"
}

# Sets _po_literal to the value written as $1, without quotes or comment.
_po_unquote() {
  local _po_space='[[:space:]]*' _po_comment='([[:space:]]#.*)?'
  local _po_double="^\"([^\"]*)\"$_po_space$_po_comment\$" _po_single="^'([^']*)'$_po_space$_po_comment\$"
  local _po_syntax='["'\''`$\\;&|<>()~]' _po_expansion='[`$\\]'
  if [[ $1 =~ $_po_single ]]; then
    _po_literal=${BASH_REMATCH[1]}
    return
  fi
  if [[ $1 =~ $_po_double ]]; then
    _po_literal=${BASH_REMATCH[1]}
    [[ ! $_po_literal =~ $_po_expansion ]] \
      || _po_die "$2: \$, \` and \\ are not interpreted here; put the value in single quotes"
    return
  fi
  _po_literal=$1
  [[ ! $_po_literal =~ ^\# ]] || _po_literal=
  _po_literal=${_po_literal%%[[:space:]]#*}
  _po_literal=${_po_literal%"${_po_literal##*[![:space:]]}"}
  [[ ! $_po_literal =~ $_po_syntax ]] \
    || _po_die "$2: shell syntax in '$_po_literal' is not interpreted here; quote the value or remove it"
}

# Applies config file $1.
_po_read_config() {
  local _po_line _po_number=0 _po_name
  [[ -f $1 && -r $1 ]] || _po_die "--config $1: no such readable file"
  while IFS= read -r _po_line || [[ -n $_po_line ]]; do
    _po_number=$((_po_number + 1))
    [[ $_po_line != *$'\r' ]] || _po_die "$1:$_po_number: line ends with CR LF; remove the CRs (sed -i 's/\\r\$//')"
    _po_line=${_po_line#"${_po_line%%[![:space:]]*}"}
    [[ -n $_po_line && $_po_line != '#'* ]] || continue
    [[ $_po_line =~ ^(--)?([^[:space:]=]+)=(.*)$ ]] \
      || _po_die "$1:$_po_number: expected name=value or --name=value, got '$_po_line'"
    _po_name=${BASH_REMATCH[2]//-/_}
    _po_line=${BASH_REMATCH[3]}
    [[ $_po_name != config ]] || _po_die "$1:$_po_number: a config file may not name another one"
    _po_known "$_po_name" \
      || _po_die "$1:$_po_number: unknown key '$_po_name'; see $0 --help"
    _po_line=${_po_line#"${_po_line%%[![:space:]]*}"}
    _po_unquote "$_po_line" "$1:$_po_number"
    _po_set "$_po_name" "$_po_literal" "$1:$_po_number: $_po_name"
  done <"$1"
}

# Two passes over the options, up to the first argument that is none: config
# files first, so that what stands on the command line wins wherever it stands.
_po_walk() {
  local _po_pass=$1 _po_name _po_value
  shift
  _po_used=0
  while [[ ${1:-} == -[!0-9.]* ]]; do
    case $1 in
      --help | -h)
        print_help
        exit 0
        ;;
      --)
        _po_used=$((_po_used + 1))
        return
        ;;
      --*=*)
        _po_name=${1%%=*}
        _po_value=${1#*=}
        shift
        _po_used=$((_po_used + 1))
        ;;
      --*)
        _po_name=$1
        [[ $# -ge 2 ]] || _po_die "$1: its value is missing"
        _po_value=$2
        shift 2
        _po_used=$((_po_used + 2))
        ;;
      *) _po_die "$1: unknown option; see $0 --help" ;;
    esac
    if [[ $_po_name == --config ]]; then
      [[ $_po_pass != config ]] || _po_read_config "$_po_value"
      [[ -z ${config+x} ]] || printf -v config '%s' "$_po_value"
    else
      _po_name=${_po_name#--}
      _po_name=${_po_name//-/_}
      _po_known "$_po_name" || _po_die "--${_po_name//_/-}: unknown option; see $0 --help"
      [[ $_po_pass == config ]] || _po_set "$_po_name" "$_po_value" "--${_po_name//_/-}"
    fi
  done
}

_po_used=0
_po_literal=
script_arguments=("$@")
_po_walk config "$@"
_po_walk options "$@"
shift "$_po_used"
[[ -z ${cmd+x} || -n $cmd ]] || _po_die "--cmd: expected a job runner such as utils/run.py, got ''"
if [[ ${RECIPE_VERBOSE:-${verbose:-true}} == true ]]; then
  printf '%s\n' "$0 ${script_arguments[*]}" >&2
elif [[ -n ${RECIPE_LOG:-} ]]; then
  printf '%(%F %T)T %s\n' -1 "$0 ${script_arguments[*]}" >>"$RECIPE_LOG"
fi
unset -f _po_die _po_known _po_set _po_unquote _po_read_config _po_walk
unset _po_used _po_literal
