#!/usr/bin/env bash
# Command-line options for shell scripts, with the meaning of Kaldi's utils/parse_options.sh. Source it after the
# script's defaults, one variable a line:
#
#   --foo-bar V, --foo-bar=V   set foo_bar, which the script must have defined; true or false stays one of the two
#   --config FILE              apply FILE's lines before every other option
#   --help, -h                 print $help_message, and the lines of the defaults as the options, and exit 0
#   --                         end of the options
#
# A wrong option exits 2. What is left over stays in "$@", all arguments in "${script_arguments[@]}". The call is
# written to stderr, or to the file RECIPE_LOG where RECIPE_VERBOSE, or the script's own option --verbose, is false.
# A config file holds `foo_bar=V` or `--foo-bar=V`, one a line, and # comments. Kaldi sources it; here it is parsed
# and can do nothing but set options: values are literal, "a b" and 'a b' hold blanks, and shell syntax is an error.

_po_die() {
  printf 'ERROR (%s) %s\n' "${0##*/}" "$1" >&2
  exit 2
}

# expect_arguments $# MIN [MAX]: ends a script with its usage if there are fewer or more.
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

# Sets variable $1 to $2 if it is one of the script's; $3 says where this was asked. Capitals are the
# environment's (PATH, IFS, BASH_ENV), not options.
_po_set() {
  [[ $1 =~ ^[A-Za-z][A-Za-z0-9_]*$ && ! $1 =~ ^[A-Z][A-Z0-9_]+$ && ! $1 =~ ^(help_message|config)$ && -n ${!1+x} ]] \
    || _po_die "$3: unknown option; see $0 --help"
  if [[ ${!1} == true || ${!1} == false ]]; then
    [[ $2 == true || $2 == false ]] || _po_die "$3: expected true or false, got '$2'"
  elif [[ ${!1} =~ ^-?[0-9.]+$ && $2 == --* ]]; then
    _po_die "$3: its value is missing (the next argument is '$2')"
  fi
  printf -v "$1" '%s' "$2"
}

# Applies config file $1.
_po_read_config() {
  local _po_line _po_name _po_where _po_number=0
  [[ -f $1 && -r $1 ]] || _po_die "--config $1: no such readable file"
  while IFS= read -r _po_line || [[ -n $_po_line ]]; do
    _po_where=$1:$((++_po_number))
    [[ $_po_line != *$'\r' ]] || _po_die "$_po_where: line ends with CR LF; remove the CRs (sed -i 's/\\r\$//')"
    [[ ! $_po_line =~ ^[[:space:]]*(#.*)?$ ]] || continue
    [[ $_po_line =~ ^[[:space:]]*(--)?([^[:space:]=]+)=(.*)$ ]] \
      || _po_die "$_po_where: expected name=value or --name=value, got '$_po_line'"
    _po_name=${BASH_REMATCH[2]//-/_}
    _po_line=${BASH_REMATCH[3]%%[[:space:]]#*}
    _po_line=${_po_line%"${_po_line##*[![:space:]]}"}
    if [[ $_po_line == \'*\' ]]; then
      _po_line=${_po_line:1:-1}
    else
      [[ $_po_line != *[\`$\\\;\&\|\<\>]* ]] \
        || _po_die "$_po_where: shell syntax in $_po_line is not interpreted here; put the value in single quotes"
      [[ $_po_line != \"*\" ]] || _po_line=${_po_line:1:-1}
    fi
    _po_set "$_po_name" "$_po_line" "$_po_where: $_po_name"
  done <"$1"
}

script_arguments=("$@")
_po_given=() # names and values of options: they win over all config files, wherever they stand
while [[ ${1:-} == -[!0-9.]* ]]; do
  case $1 in
    --help | -h)
      print_help
      exit 0
      ;;
    --)
      shift
      break
      ;;
    --*=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
    --*) [[ $# -ge 2 ]] || _po_die "$1: its value is missing" ;;
    *) _po_die "$1: unknown option; see $0 --help" ;;
  esac
  if [[ $1 == --config ]]; then
    _po_read_config "$2"
    [[ -z ${config+x} ]] || printf -v config '%s' "$2"
  else
    _po_given+=("${1#--}" "$2")
  fi
  shift 2
done
for ((_po_next = 0; _po_next < ${#_po_given[@]}; _po_next += 2)); do
  _po_set "${_po_given[_po_next]//-/_}" "${_po_given[_po_next + 1]}" "--${_po_given[_po_next]//_/-}"
done
[[ -z ${cmd+x} || -n $cmd ]] || _po_die "--cmd: expected a job runner such as utils/run.py, got ''"
_po_call=$0${script_arguments[*]+$(printf ' %q' "${script_arguments[@]}")}
if [[ ${RECIPE_VERBOSE:-${verbose:-true}} == true ]]; then
  printf '%s\n' "$_po_call" >&2
elif [[ -n ${RECIPE_LOG:-} ]]; then
  printf '%(%F %T)T %s\n' -1 "$_po_call" >>"$RECIPE_LOG"
fi
