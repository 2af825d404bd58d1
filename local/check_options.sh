# shellcheck shell=bash
# Sourced by run.sh after its options: checks them before anything is made, fills in what was left
# empty (nj, name, conf, corpus_root, test_sets), makes the environment, and defines what its stages use.

: "${stage:?}" "${stop_stage:?}" "${num_seeds:?}" "${corpus:?}" "${k:?}" "${use_gpu:?}" "${caller:?}"
: "${dnns?}" "${lstms?}" "${systems?}" "${post_crossfit:?}" "${fold_by:?}" "${test_sets?}" "${name?}"
: "${scattering_config?}" "${best_config?}" "${transform_config:?}" "${dry_run:?}" "${verbose:?}" "${without_locks:?}"

option_error() {
  echo "ERROR (run.sh) $1; see ./run.sh --help" >&2
  exit 2
}

[ $# -eq 0 ] || option_error "expected options only, got '$1'"
[ -n "${folds?}" ] || { [ "$corpus" = gtzan ] && folds=10 || folds=0; }
for option in stage stop_stage folds num_seeds seed post_crossfit; do
  [[ ${!option} =~ ^[0-9]+$ ]] || option_error "--${option/_/-}: expected a number, got '${!option}'"
done
[ "$stop_stage" -ge "$stage" ] || option_error "--stop-stage $stop_stage lies before --stage $stage"
[ "$stage" -le 10 ] || option_error "--stage $stage: the last stage is 10"
[ "$post_crossfit" -ne 1 ] || option_error "--post-crossfit: expected 0, or at least 2 folds"
[ "$folds" -ne 1 ] || option_error "--folds: expected 0, or at least 2 folds"
case $fold_by in spk | utt) ;; *) option_error "--fold-by: expected spk or utt, got '$fold_by'" ;; esac
[ "$num_seeds" -ge 1 ] || option_error "--num-seeds: expected at least 1"
nj=${nj:-$(env -u OMP_NUM_THREADS nproc)} # nproc would take that for the number of cores
[[ $nj =~ ^[1-9][0-9]*$ ]] || option_error "--nj: expected a number of jobs, got '$nj'"
[[ $k =~ ^0?\.[0-9]+$ ]] || option_error "--k: expected a threshold between 0 and 1, got '$k'"
case $use_gpu in yes | no | optional) ;; *) option_error "--use-gpu: expected yes, no or optional, got '$use_gpu'" ;; esac

name=${name:-$corpus}
[[ $name =~ ^[A-Za-z0-9_.-]+$ ]] || option_error "--name: expected letters, digits, '_', '.' and '-', got '$name'"
case $corpus in
  synth) corpus_root=${corpus_root:-corpora/synth} ;;
  ismir04 | gtzan | folder)
    [ -n "$corpus_root" ] || option_error "--corpus $corpus needs --corpus-root DIR"
    ;;
  *)
    if [[ $stage -lt 3 || ! -f data/$name/train/feats.scp && $dry_run = false ]]; then
      option_error "--corpus: expected synth, ismir04, gtzan, folder or, from --stage 3 on, the name of a \
folder of data/ that has features, got '$corpus'"
    fi
    ;;
esac
if [ "$corpus" != synth ] && [ -n "$corpus_root" ]; then
  [[ $corpus_root == /* ]] || corpus_root=$caller/$corpus_root
  [ -d "$corpus_root" ] || option_error "--corpus-root: there is no folder '$corpus_root'"
fi

# ISMIR2004's development is the paper's test; its evaluation is a second one.
[ -n "$test_sets" ] || { [ "$corpus" = ismir04 ] && test_sets="test evaluation" || test_sets="test"; }
[[ "$test_sets " == "test "* ]] || option_error "--test-sets: expected test, and others behind it, got '$test_sets'"
for x in ${test_sets#test}; do
  [[ $x =~ ^[a-z0-9_]+$ && ! $x =~ ^(train|test) ]] || option_error "--test-sets: expected test and names of \
folders of data/$name beside train and test, got '$x'"
done

# Job runners hand their arguments to a shell, as Kaldi's do.
for option in corpus_root conf scattering_config best_config transform_config; do
  case ${!option} in
    *[\$\`\"\\\'\;\&\|\<\>\(\)\*\?]* | *$'\n'*)
      option_error "--${option/_/-} '${!option}' holds a character that a shell would act on; give it by a link (ln -s)"
      ;;
  esac
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
[ -d "$conf" ] || option_error "--conf: there is no folder '$conf'"
for config in $scattering_config $best_config $transform_config; do
  [ -f "$config" ] || option_error "--scattering-config, --best-config, --transform-config: there is no file '$config'"
done
for x in $dnns $lstms; do
  [ -f "$conf/$x.conf" ] || option_error "model '$x' has no configuration '$conf/$x.conf'"
done
for x in $systems; do
  [ -f "conf/systems/$x.conf" ] || option_error "system '$x' has no configuration 'conf/systems/$x.conf'"
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
  for x in exp "data/$name/log"; do
    { mkdir -p "$x" && [ -w "$x" ]; } || {
      echo "ERROR (run.sh) cannot write in $PWD/$x; is it writable, and the disk not full?" >&2
      exit 1
    }
  done
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
  [ -z "$RECIPE_STAGE" ] || utils/plan.py
  RECIPE_STAGE=$1
  echo "$(date +%T) Stage $1: $2" >&2
}

end_of_run() {
  [ -z "$RECIPE_STAGE" ] || utils/plan.py || true
  [ "$dry_run" = false ] || [ "$1" -ne 0 ] || utils/plan.py --total true
  [ "$1" -eq 0 ] || [ -z "$RECIPE_STAGE" ] || echo "ERROR (run.sh) stage $RECIPE_STAGE failed" >&2
  rm -f "$RECIPE_EVENTS"
}

# for_each "<items>" <command…>: the command for each item in place of {}, nj of them side by side.
for_each() {
  local item command=("${@:2}")
  if [ "$dry_run" = false ]; then
    [ -z "${1// /}" ] || utils/for_each.py --max-jobs-run "$nj" "$@" >&2
    return
  fi
  for item in $1; do
    "${command[@]//\{\}/$item}"
  done
}

# The words of $1, the last one first.
backwards() {
  tr ' ' '\n' <<<"$1" | tac
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

# The names of the trainings of models $1: "m m_seed2 …".
with_seeds() {
  local model number
  for model in $1; do
    printf '%s ' "$model"
    for number in $(seq 2 "$num_seeds"); do
      printf '%s ' "${model}_seed$number"
    done
  done
}
