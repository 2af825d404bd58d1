#!/usr/bin/env bash
# Segment features and linear SVMs of one model: f_lstm, f_fusion, and their accuracy against k.
# With <sc-dir> alone: the SVM on the mean input frame, which no network is needed for.
#
# Reads  <data>/{train,test}; <exp-dir>/post_{train,test}/post.scp and, where they exist, the out-of-fold
#        posteriors <exp-dir>/post_train_crossfit/post.scp; the same of further test sets.
# Writes <exp-dir>/svm_{lstm,fusion}[_crossfit], <exp-dir>/sweep_k.tsv; <sc-dir>/svm_sc; in each SVM's folder
#        score_X of a further test set X. What was made from the same inputs with the same options is not
#        made again.
set -euo pipefail

k=0.9                    # threshold of the share of frames (equation 14)
svm_config=conf/svm.conf # grid, folds and seed of the SVM
extra_sets=              # test sets of <data> beside test
sweep=true               # whether to sweep k for Figure 3
cmd=utils/run.py         # job runner and its options

help_message="Usage: $0 [options] <data> <sc-dir> [<exp-dir>]
  e.g. $0 data/synth exp/synth_sc
       $0 --k 0.9 data/synth exp/synth_sc exp/synth_lstm_512
Options:
  --k K                threshold of the share of frames ($k)
  --svm-config FILE    options of the SVM ($svm_config)
  --extra-sets \"A B\"   test sets of <data> beside test, scored by the same SVMs
  --sweep true|false   whether to sweep k for Figure 3 ($sweep)
  --cmd RUNNER         job runner and its options ($cmd)"

. ./path.sh
. utils/parse_options.sh
if [ $# -ne 2 ] && [ $# -ne 3 ]; then
  echo "$help_message" >&2
  exit 2
fi
data=$1
sc=$2
exp=${3:-$sc}

# <name of the accuracy> <type> <folder> [<train-post.scp> <test-post.scp>]
make_svm() {
  local name=$1 type=$2 dir=$exp/$3 file x post=()
  shift 3
  local inputs=(--in "$svm_config")
  for file in "$data"/{train,test}/{feats.scp,utt2genre} "$data/train/utt2spk" "$@"; do
    inputs+=(--in "$file")
  done
  utils/once.py --cmd "$cmd" "${inputs[@]}" --out "$dir/svm.npz" --out "$dir/accuracy.json" \
    --out "$dir/predictions.tsv" --out "$dir/train.scp" --out "$dir/test.scp" "$exp/.done/${dir##*/}" -- \
    "$exp/log/${dir##*/}.log" local/segment_svm.sh --type "$type" --name "$name" --k "$k" \
    --svm-config "$svm_config" "$data" "$dir" "$@"
  for x in $extra_sets; do
    [ $# -eq 0 ] || post=("$exp/post_$x/post.scp")
    inputs=(--in "$dir/svm.npz" "${post[@]/#/--in=}")
    for file in "$data/$x"/{feats.scp,utt2genre}; do
      inputs+=(--in "$file")
    done
    utils/once.py --cmd "$cmd" "${inputs[@]}" --out "$dir/$x.scp" --out "$dir/score_$x/accuracy.json" \
      --out "$dir/score_$x/predictions.tsv" "$exp/.done/${dir##*/}_$x" -- "$exp/log/${dir##*/}_$x.log" \
      local/segment_svm.sh --type "$type" --name "$name" --k "$k" --test-set "$x" "$data" "$dir" "${post[@]}"
  done
}

if [ $# -eq 2 ]; then
  make_svm ScSeg_acc sc svm_sc
  exit 0
fi

train=$exp/post_train/post.scp
crossfit=$exp/post_train_crossfit/post.scp
test=$exp/post_test/post.scp
for file in "$train" "$test" "$sc/svm_sc/train.scp" "$sc/svm_sc/test.scp"; do
  [ -f "$file" ] || {
    echo "ERROR (${0##*/}) $file: no such file; dump the posteriors (stage 6) and run '$0 $data $sc' first" >&2
    exit 1
  }
done

make_svm LSeg_acc lstm svm_lstm "$train" "$test"
make_svm FSeg_acc fusion svm_fusion "$train" "$test"
if [ -f "$crossfit" ]; then
  make_svm LSeg_cf_acc lstm svm_lstm_crossfit "$crossfit" "$test"
  make_svm FSeg_cf_acc fusion svm_fusion_crossfit "$crossfit" "$test"
else
  rm -rf "$exp"/svm_{lstm,fusion}_crossfit "$exp"/.done/svm_{lstm,fusion}_crossfit* # of an earlier run
fi
if $sweep; then
  utils/once.py --cmd "$cmd" --in "$svm_config" --in "$train" --in "$test" --in "$sc/svm_sc/train.scp" \
    --in "$sc/svm_sc/test.scp" --in "$exp/svm_lstm/svm.npz" --in "$exp/svm_fusion/svm.npz" \
    --out "$exp/sweep_k.tsv" "$exp/.done/sweep_k" -- "$exp/log/sweep_k.log" \
    local/sweep_k.py --config "$svm_config" "$data" "$sc/svm_sc" "$exp"
fi
