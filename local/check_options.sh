# shellcheck shell=bash
# Sourced by run.sh after its options: checks them before anything is made, fills in what was left
# empty (nj, name, conf, corpus_root, test_sets), makes the environment, and defines what its stages use.

: "${stage:?}" "${stop_stage:?}" "${num_seeds:?}" "${corpus:?}" "${caller:?}" "${dnns?}" "${lstms?}" "${systems?}"
: "${best_config?}" "${transform_config:?}" "${dry_run:?}" "${verbose:?}" "${without_locks:?}"

option_error() {
  echo "ERROR (run.sh) $1; see ./run.sh --help" >&2
  exit 2
}

# Variable $1, an option, must match the regular expression $2; $3 says so.
expect() {
  [[ ${!1} =~ ^($2)$ ]] || option_error "--${1//_/-}: expected $3, got '${!1}'"
}

[ $# -eq 0 ] || option_error "expected options only, got '$1'"
[ -n "${folds?}" ] || { [ "$corpus" = gtzan ] && folds=10 || folds=0; }
# ISMIR2004's development is the paper's test; its evaluation is a second one.
[ -n "$test_sets" ] || { [ "$corpus" = ismir04 ] && test_sets="test evaluation" || test_sets="test"; }
nj=${nj:-$(env -u OMP_NUM_THREADS nproc)} # nproc would take that for the number of cores
name=${name:-$corpus}
expect stage '[0-9]|10' "a stage from 0 to 10"
expect stop_stage '[0-9]+' "a stage"
[ "$stop_stage" -ge "$stage" ] || option_error "--stop-stage $stop_stage lies before --stage $stage"
expect seed '[0-9]+' "a number"
expect folds '0|[2-9]|[1-9][0-9]+' "0, or at least 2 folds"
expect post_crossfit '0|[2-9]|[1-9][0-9]+' "0, or at least 2 folds"
expect num_seeds '[1-9][0-9]*' "a number of at least 1"
expect nj '[1-9][0-9]*' "a number of jobs"
expect fold_by 'spk|utt' "spk or utt"
expect k '0?\.[0-9]+' "a threshold between 0 and 1"
expect use_gpu 'yes|no|optional' "yes, no or optional"
expect name '[A-Za-z0-9_.-]+' "letters, digits, '_', '.' and '-'"
expect test_sets 'test( +[a-z0-9_]+)*' "test, and names of folders of data/$name behind it"
[[ ! ${test_sets#test} =~ \ (train|test) ]] || option_error "--test-sets: expected test, then names that begin neither with \
train nor test behind the first, got '$test_sets'"

case $corpus in
  synth) corpus_root=${corpus_root:-corpora/synth} ;;
  ismir04 | gtzan | folder) [ -n "$corpus_root" ] || option_error "--corpus $corpus needs --corpus-root DIR" ;;
  *) [[ $stage -ge 3 && (-f data/$name/train/feats.scp || $dry_run = true) ]] || option_error "--corpus: expected synth, \
ismir04, gtzan, folder or, from --stage 3 on, the name of a folder of data/ that has features, got '$corpus'" ;;
esac
if [ "$corpus" != synth ] && [ -n "$corpus_root" ]; then
  [[ $corpus_root == /* ]] || corpus_root=$caller/$corpus_root
  corpus_root=${corpus_root%/}
  [ -d "$corpus_root" ] || option_error "--corpus-root: there is no folder '$corpus_root'"
fi

# Job runners hand their arguments to a shell, as Kaldi's do.
acted_on=$'$`"\\\';&|<>()*?\n'
for option in corpus_root conf scattering_config best_config transform_config; do
  expect "$option" "[^$acted_on]*" "no character that a shell would act on (give it by a link: ln -s)"
done

if [ -z "$scattering_config" ]; then # synth's classes do not differ in what takes longer than a chord
  scattering_config=conf/scattering.conf
  [ "$corpus" = synth ] || scattering_config="$scattering_config conf/scattering_t32768.conf"
fi
if [ -z "$conf" ]; then
  conf=conf/paper
  [ ! -d "conf/$corpus" ] || conf=conf/$corpus
  [ "$corpus" = synth ] || echo "Networks are trained as $conf says. The paper's few and small steps suit its 729 training \
tracks; with a hundred, training stops half-way: then give --conf conf/synth" >&2
fi
files="$scattering_config $best_config $transform_config"
for x in $dnns $lstms; do files+=" $conf/$x.conf"; done
for x in $systems; do files+=" conf/systems/$x.conf"; done
for x in $files; do
  [ -f "$x" ] || option_error "there is no configuration '$x'; in its folder: $(cd "$(dirname "$x")" 2>/dev/null && echo *.conf)"
done

# Under one name there is one corpus and one set of features.
corpus_here="$corpus $corpus_root"
if [ "$stage" -le 1 ] && [ -f "data/$name/corpus" ] && [ "$(cat "data/$name/corpus")" != "$corpus_here" ]; then
  option_error "data/$name was made from '$(cat "data/$name/corpus")', not from '$corpus_here'; \
give this corpus a name of its own (--name), or remove data/$name and exp/${name}_*"
fi

export RECIPE_VERBOSE=$verbose RECIPE_DRY_RUN=$dry_run RECIPE_PID=${RECIPE_PID:-$$}
[ "$without_locks" = false ] || export WITHOUT_LOCKS=true
if [ "$dry_run" = false ]; then
  mkdir -p exp "data/$name/log"
  export RECIPE_LOG=data/$name/log/run.log
  [ "$stage" -gt 1 ] || echo "$corpus_here" >"data/$name/corpus"
  utils/setup_env.sh
fi
. ./path.sh
if [ "$folds" -eq 0 ]; then
  RECIPE_EVENTS=$(mktemp "${TMPDIR:-/tmp}/run.XXXXXX")
  export RECIPE_EVENTS RECIPE_STAGE=
  trap 'end_of_run $?' EXIT
fi

# Succeeds if stage $1 is to be run, and says what it is for.
stage() {
  [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ] || return 1
  sum_up
  RECIPE_STAGE=$1
  echo "$(date +%T) Stage $1: $2" >&2
}

# Says what of the last stage was there already and what was made, by what utils/plan.py notes.
sum_up() {
  awk -F '\t' -v stage="$RECIPE_STAGE" '$1 != stage { next }
    { all++ }
    $2 == "up to date" { found++ }
    $2 == "made" { names = names " " $4 }
    END {
      if (found) print "  " found " of " all " pieces of work are up to date"
      if (names) print "  made" names
    }' "$RECIPE_EVENTS" >&2
}

end_of_run() {
  sum_up
  [ "$dry_run" = false ] || [ "$1" -ne 0 ] || utils/plan.py
  [ "$1" -eq 0 ] || [ -z "$RECIPE_STAGE" ] || echo "ERROR (run.sh) stage $RECIPE_STAGE failed" >&2
  rm -f "$RECIPE_EVENTS"
}

# for_each "<items>" <command…>: the command for each item in place of {}, nj of them side by side.
for_each() {
  local at_once=$nj
  [ "$dry_run" = false ] || at_once=1 # a plan is in the order of the work
  utils/for_each.py --max-jobs-run "$at_once" "$@" >&2
}

# What stands behind "feats" in the names of the features of configuration $1: nothing for the first one,
# _t32768 for a further conf/scattering_t32768.conf.
suffix() {
  local base=${1##*/}
  base=${base%.conf}
  [ "$1" = "${scattering_config%% *}" ] || echo "_${base#scattering_}"
}

# The features that there are, or will be; of data that were prepared elsewhere perhaps not all.
feats=
for config in $scattering_config; do
  x=feats$(suffix "$config")
  [ "$stage" -gt 2 ] && [ ! -f "data/$name/train/$x.scp" ] || feats="$feats $x"
done

# The names of the trainings of models $1, a line each: m, m_seed2 …
with_seeds() {
  local model
  for model in $1; do
    echo "$model"
    seq -f "${model}_seed%g" 2 "$num_seeds"
  done
}
