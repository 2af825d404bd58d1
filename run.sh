#!/usr/bin/env bash
# Music genres from the segment features of an LSTM: a folder of music in, the paper's tables out.
# Each stage reads what the one before wrote, can be run alone (--stage N --stop-stage N), and is
# skipped where its inputs, configuration and code are what they were.
set -euo pipefail

stage=0        # first stage to run
stop_stage=9   # last stage to run
corpus=synth   # synth (music made here), ismir04, gtzan or folder
corpus_root=   # where the corpus lies; synth is written to corpora/synth
conf=          # folder of the models' configurations; default conf/<corpus>, else conf/paper
dnns="dnn1 dnn2"
lstms="lstm_512 lstm_1024 lstm_512_512 lstm_1024_1024"
nj=            # jobs side by side; default: the cores of this machine
use_gpu=no     # yes, no or optional: training and posteriors
k=0.9          # threshold of the segment feature's share of confident frames (eq. 14)
folds=         # cross-validate over this many folds of all tracks; 0: the corpus's own train and test
fold_by=spk    # what a fold never divides: spk (the tracks of an artist) or utt
num_seeds=1    # train every model this many times and report mean and standard deviation
seed=777       # of the first training, and of the tr/cv split
extra_sets=    # test sets beside test, in tables of their own; default: evaluation of ismir04, else none
strict=false   # whether the same recording in train and in test is an error
post_crossfit=0 # train the SVM also on posteriors of this many folds' networks (0: as the paper, only its own)

help_message="Usage: ./run.sh [options]
  e.g. ./run.sh
       ./run.sh --corpus folder --corpus-root ~/music --nj 8
       ./run.sh --stage 7 --stop-stage 9
Options (with their defaults):
  --stage N --stop-stage M  run stages N to M ($stage to $stop_stage)
  --corpus NAME             synth, ismir04, gtzan or folder, or from stage 3 on any data/NAME ($corpus)
  --corpus-root DIR         where the corpus lies (corpora/synth for synth)
  --conf DIR                configurations of the models (conf/<corpus> if it exists, else conf/paper)
  --dnns \"A B\"              DNN baselines, by the names of their configurations ($dnns)
  --lstms \"A B\"             LSTMs ($lstms)
  --nj J                    jobs side by side (the number of cores)
  --use-gpu WHETHER         yes, no or optional ($use_gpu)
  --k K                     threshold of the segment feature, equation 14 ($k)
  --folds K                 cross-validate over K folds instead of the corpus's train and test (gtzan 10, others 0)
  --fold-by spk|utt         what is in one fold only: an artist or a track ($fold_by)
  --num-seeds N             trainings of each model ($num_seeds)
  --seed S                  of the first training and of the split ($seed)
  --extra-sets \"A B\"       test sets of data/<corpus> beside test, or none (ismir04 evaluation, others none)
  --strict WHETHER          whether the same recording in train and in test is an error ($strict)
  --post-crossfit K         also train the SVMs on out-of-fold posteriors from K folds, an extra column ($post_crossfit)
  --config FILE             read options from FILE, one name=value a line"

caller=$PWD
given=("$@")
cd "$(dirname "${BASH_SOURCE[0]}")"
. utils/parse_options.sh
. local/check_options.sh
utils/setup_env.sh
. ./path.sh
. ./cmd.sh
. utils/lock.sh
if [ "$folds" -gt 0 ]; then # this script for each fold, then the pooled results
  exec local/run_folds.sh --folds "$folds" --fold-by "$fold_by" --corpus "$corpus" --conf "$conf" \
    --models "$dnns $lstms" --num-seeds "$num_seeds" --strict "$strict" --stage "$stage" --stop-stage "$stop_stage" \
    --cmd "$score_cmd" -- "${given[@]}" --corpus-root "$corpus_root"
fi

data=data/$corpus
dir=exp/$corpus # the directory of model m is ${dir}_m
sets="train test $extra_sets"
models=$(with_seeds "$dnns $lstms")
transform=$data/cmvn/feature_transform.nnet
once=utils/once.py
for_each() { utils/for_each.py --max-jobs-run "$nj" "$@" >&2; }
train() { for_each "$1" local/train_model.sh --conf "$conf" --seed "$seed" --use-gpu "$use_gpu" --cmd "$train_cmd" \
  "$data" "$dir" {}; }

if stage 0 "the corpus: which tracks there are, of which genre and artist, in train and in test"; then
  if [ "$corpus" = synth ]; then
    $once --cmd "$feat_cmd" --in conf/synth_corpus.conf --out "$corpus_root" "$data/.done/corpus" -- \
      JOB=1:"$nj" "$data/log/make_corpus.JOB.log" \
      local/make_synth_corpus.py --config conf/synth_corpus.conf --job JOB --num-jobs "$nj" "$corpus_root"
  fi
  $once --cmd "$score_cmd" "${prepare_inputs[@]}" --out "$data/train/wav.scp" \
    --out "$data/test/wav.scp" "$data/.done/prepare" -- "$data/log/prepare.log" \
    "local/prepare_$corpus.py" --config "conf/prepare_$corpus.conf" "$corpus_root" "$data"
fi

if stage 1 "22 050 Hz, 16 bit, one channel: what the features are defined on"; then
  inputs=()
  for x in $sets; do
    inputs+=(--in "$data/$x/utt2hash" --in "$data/$x/utt2spk")
    $once --in "$data/$x/wav.scp" --in conf/audio.conf --out "$data/$x/wav22k.scp" "$data/.done/convert_$x" -- \
      steps/convert_audio.sh --nj "$nj" --cmd "$feat_cmd" "$data/$x" "$data/$x/log" "$data/wav"
  done
  $once --cmd "$score_cmd" "${inputs[@]}" --out "$data/overlap.txt" "$data/.done/overlap" -- \
    "$data/log/report_overlap.log" local/report_overlap.py --strict "$strict" "$data" "test $extra_sets"
fi

if stage 2 "scattering frames: 525 coefficients over 370 ms, every 186 ms"; then
  for x in $sets; do
    $once --in "$data/$x/wav22k.scp" --in conf/scattering.conf --out "$data/$x/feats.scp" "$data/.done/feats_$x" -- \
      steps/make_scattering.sh --nj "$nj" --cmd "$feat_cmd" --wav-scp wav22k.scp "$data/$x" "$data/$x/log" "$data/feats"
  done
fi

if stage 3 "what training needs: a tenth of the artists held out, a label for each frame, CMVN"; then
  $once --in "$data/train/feats.scp" --in "$data/train/utt2spk" --in "$data/train/utt2genre" \
    --out "$data/train_tr/labels.scp" --out "$data/train_cv/labels.scp" --out "$transform" \
    "$data/.done/training_data" -- local/make_training_data.sh --cmd "$score_cmd" --seed "$seed" "$data"
  [ "$post_crossfit" = 0 ] || $once --in "$data/train/feats.scp" --in "$data/train/utt2spk" \
    --out "$data/crossfit$post_crossfit" "$data/.done/crossfit" -- \
    local/make_crossfit_data.sh --num-folds "$post_crossfit" --cmd "$score_cmd" --seed "$seed" "$data"
fi

if stage 4 "DNN baselines: one frame in, the posteriors of its genre out"; then
  [ "$stop_stage" -ge 5 ] || train "$(with_seeds "$dnns")" # otherwise they train beside the LSTMs
fi

if stage 5 "LSTMs: projected, with peepholes, trained in streams; their posteriors know what came before"; then
  # The last ones are the largest; they start first, so that none trains alone at the end.
  train "$(with_seeds "$lstms" | tr ' ' '\n' | tac) $([ "$stage" -ge 5 ] || with_seeds "$dnns")"
fi

if stage 6 "frame posteriors of every model for every track"; then
  for x in $sets; do
    for_each "$models" $once --in "$data/$x/feats.scp" --in "${dir}_{}/final_test.nnet" --in "$transform" \
      --out "${dir}_{}/post_$x/post.scp" "${dir}_{}/.done/post_$x" -- \
      steps/dump_posteriors.sh --nj 1 --use-gpu "$use_gpu" --cmd "$cuda_cmd" \
      "$data/$x" "${dir}_{}/final_test.nnet" "$transform" "${dir}_{}/post_$x"
  done
  # Out-of-fold posteriors of an earlier run would become a column of this one.
  [ "$post_crossfit" != 0 ] || for_each "$models" rm -f "${dir}_{}/post_train_crossfit/post.scp"
  [ "$post_crossfit" = 0 ] || for_each "$(with_seeds "$lstms")" local/crossfit_posteriors.sh --conf "$conf" \
    --num-folds "$post_crossfit" --seed "$seed" --use-gpu "$use_gpu" --cmd "$train_cmd" "$data" "$dir" {}
fi

if stage 7 "frame accuracy, and segment accuracy by majority vote over the frames of a track"; then
  for x in test $extra_sets; do
    for_each "$models" $once --cmd "$score_cmd" --in "${dir}_{}/post_$x/post.scp" --in "$data/$x/utt2genre" \
      --out "${dir}_{}/score_$x/accuracy.json" "${dir}_{}/.done/vote_$x" -- "${dir}_{}/log/vote_$x.log" \
      local/majority_vote.py "$data/$x" "scp:${dir}_{}/post_$x/post.scp" "${dir}_{}/score_$x"
  done
fi

if stage 8 "segment features: statistics of the posteriors over a track, alone and fused, to a linear SVM"; then
  local/score_segments.sh --extra-sets "$extra_sets" --cmd "$score_cmd" "$data" "${dir}_sc"
  for_each "$models" local/score_segments.sh --k "$k" --extra-sets "$extra_sets" --cmd "$score_cmd" \
    "$data" "${dir}_sc" "${dir}_{}"
fi

if stage 9 "the tables beside the paper's, the figures, and one page with all of it"; then
  local/report.sh --conf "$conf" --num-seeds "$num_seeds" --extra-sets "$extra_sets" --cmd "$score_cmd" \
    "$data" "$dir" "$dnns $lstms"
fi
