# shellcheck shell=bash
# Sourced by run.sh after its options: checks them before anything is made, fills in what was left
# empty (nj, conf, corpus_root, extra_sets), and defines what its stages use (stage, with_seeds,
# prepare_inputs).

: "${stage:?}" "${stop_stage:?}" "${num_seeds:?}" "${corpus:?}" "${k:?}" "${use_gpu:?}" "${caller:?}"
: "${dnns?}" "${lstms?}" "${post_crossfit:?}" "${fold_by:?}" "${extra_sets?}"

option_error() {
  echo "ERROR (run.sh) $1; see ./run.sh --help" >&2
  exit 2
}

[ $# -eq 0 ] || option_error "expected options only, got '$1'"
[ -n "${folds?}" ] || { [ "$corpus" = gtzan ] && folds=10 || folds=0; }
for name in stage stop_stage folds num_seeds seed post_crossfit; do
  [[ ${!name} =~ ^[0-9]+$ ]] || option_error "--${name/_/-}: expected a number, got '${!name}'"
done
[ "$stop_stage" -ge "$stage" ] || option_error "--stop-stage $stop_stage lies before --stage $stage"
[ "$stage" -le 9 ] || option_error "--stage $stage: the last stage is 9"
[ "$post_crossfit" -ne 1 ] || option_error "--post-crossfit: expected 0, or at least 2 folds"
[ "$folds" -ne 1 ] || option_error "--folds: expected 0, or at least 2 folds"
case $fold_by in spk | utt) ;; *) option_error "--fold-by: expected spk or utt, got '$fold_by'" ;; esac
[ "$num_seeds" -ge 1 ] || option_error "--num-seeds: expected at least 1"
[ -n "$nj" ] || nj=$(getconf _NPROCESSORS_ONLN)
[[ $nj =~ ^[1-9][0-9]*$ ]] || option_error "--nj: expected a number of jobs, got '$nj'"
[[ $k =~ ^0?\.[0-9]+$ ]] || option_error "--k: expected a threshold between 0 and 1, got '$k'"
case $use_gpu in yes | no | optional) ;; *) option_error "--use-gpu: expected yes, no or optional, got '$use_gpu'" ;; esac

case $corpus in
  synth) corpus_root=${corpus_root:-corpora/synth} ;;
  ismir04 | gtzan | folder)
    [ -n "$corpus_root" ] || option_error "--corpus $corpus needs --corpus-root DIR"
    ;;
  *)
    if [[ ! $corpus =~ ^[A-Za-z0-9_.-]+$ || $stage -lt 3 || ! -f data/$corpus/train/feats.scp ]]; then
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
[ "$corpus" != ismir04 ] || extra_sets=${extra_sets:-evaluation}
[ "$extra_sets" != none ] || extra_sets=
for name in $extra_sets; do
  [[ $name =~ ^[a-z0-9_]+$ && ! $name =~ ^(train|test) ]] || option_error "--extra-sets: expected names of \
folders of data/$corpus beside train and test, or none, got '$name'"
done

# Job runners hand their arguments to a shell, as Kaldi's do.
for name in corpus corpus_root conf; do
  case ${!name} in
    *[\$\`\"\\\'\;\&\|\<\>\(\)\*\?]* | *$'\n'*)
      option_error "--${name/_/-} '${!name}' holds a character that a shell would act on; give it by a link (ln -s)"
      ;;
  esac
done

# What stage 0 reads: the corpus, its configuration, and the tables and lists that this names.
prepare_inputs=(--in "$corpus_root" --in "conf/prepare_$corpus.conf")
if [ -f "conf/prepare_$corpus.conf" ]; then
  while IFS= read -r name; do
    [ ! -f "$name" ] || prepare_inputs+=(--in "$name")
  done < <(sed -n 's/^--[a-z0-9-]*=//p' "conf/prepare_$corpus.conf" | sed 's/[[:blank:]]#.*//; s/[[:blank:]]*$//')
fi

[ -n "$conf" ] || { [ -d "conf/$corpus" ] && conf=conf/$corpus || conf=conf/paper; }
[ -d "$conf" ] || option_error "--conf: there is no folder '$conf'"
for name in $dnns $lstms; do
  [ -f "$conf/$name.conf" ] || option_error "model '$name' has no configuration '$conf/$name.conf'"
done

# Succeeds if stage $1 is to be run, and says what it is for.
stage() {
  [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ] || return 1
  echo "$(date +%T) Stage $1: $2" >&2
}

# The names of the trainings of models $1: "m m_seed2 …".
with_seeds() {
  local name number
  for name in $1; do
    printf '%s ' "$name"
    for number in $(seq 2 "$num_seeds"); do
      printf '%s ' "${name}_seed$number"
    done
  done
}
