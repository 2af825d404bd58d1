#!/usr/bin/env bash
# Music genres from the segment features of an LSTM: a folder of music in, the paper's tables out.
# Each stage reads what the one before wrote, can be run alone (--stage N --stop-stage N), and does only
# what was not done before with the same inputs, configuration and code.
set -euo pipefail

stage=0         # first stage to run
stop_stage=10   # last stage to run
corpus=synth    # synth (music made here), ismir04, gtzan or folder; from stage 3 on also any folder of data/
corpus_root=    # where the corpus lies; synth is written to corpora/synth
name=           # data go to data/<name>, experiments to exp/<name>_<model>; default: the corpus
conf=           # folder of the models' configurations; default conf/<corpus>, else conf/paper
scattering_config= # features of all models, then further ones of best; default conf/scattering.conf and, but for synth, _t32768
best_config=conf/best/best.conf # the system that one would choose; empty: without it
dnns="dnn1 dnn2"
lstms="lstm_512 lstm_1024 lstm_512_512 lstm_1024_1024"
systems="sig2014 hol2008 lee2009 son2008 leo2012" # of the paper's Table 4, or of conf/systems; "" for none
transform_config=conf/transform.conf # of the frames of all networks: cmvn, or whiten
nj=             # jobs side by side; default: the cores that this process may use (nproc)
use_gpu=no      # yes, no or optional: training and posteriors
k=0.9           # threshold of the segment feature's share of confident frames (eq. 14)
folds=          # cross-validate over this many folds of all tracks; 0: the corpus's own train and test
fold_by=spk     # what a fold never divides: spk (the tracks of an artist) or utt
num_seeds=1     # train every model this many times and report mean and standard deviation
seed=777        # of the first training, and of the tr/cv split
test_sets=      # sets of data/<name> to test on; default: test, of ismir04 test and evaluation
post_crossfit=0 # train the SVM also on posteriors of this many folds' networks (0: as the paper, only its own)
dry_run=false   # print what would be done, why, and for how long; write nothing
verbose=false   # show command lines, and why each piece of work is done or not
without_locks=false # go on where the file system has no locks; see to it that no two runs do the same work

help_message="Usage: ./run.sh [options]
  e.g. ./run.sh
       ./run.sh --corpus folder --corpus-root ~/music --nj 8
       ./run.sh --stage 7 --stop-stage 10
       ./run.sh --dry-run true"

caller=$PWD
given=("$@")
cd "$(dirname "${BASH_SOURCE[0]}")"
. utils/parse_options.sh
. local/check_options.sh
. ./cmd.sh
shown="${best_config:+best }$dnns $lstms sc $systems" # in the order of the tables
if [ "$folds" -gt 0 ]; then # this script for the corpus and for each fold, then the results of all folds as of one test
  again=(./run.sh "${given[@]}" --folds 0)
  if [ "$stage" -le 2 ]; then
    "${again[@]}" --corpus-root "$corpus_root" --stop-stage "$((stop_stage < 2 ? stop_stage : 2))"
  fi
  [ "$stop_stage" -ge 3 ] || exit 0
  local/make_folds.sh --folds "$folds" --fold-by "$fold_by" --cmd "$score_cmd" "$corpus" "data/$name"
  again+=(--corpus "${name}_fold{}" --name "${name}_fold{}" --corpus-root "" --test-sets test --conf "$conf")
  at_once=$folds # on a cluster; here one after the other, since each fills the cores
  [ "$cmd_backend" != local ] || at_once=1
  if [ "$stage" -le 9 ]; then # the last stage is for all folds at once
    utils/for_each.py --max-jobs-run "$at_once" "$(seq -s ' ' "$folds")" \
      "${again[@]}" --stage "$((stage > 3 ? stage : 3))" --stop-stage "$((stop_stage < 9 ? stop_stage : 9))" >&2
  fi
  [ "$stop_stage" -ge 10 ] || exit 0
  exec local/pool_folds.sh --folds "$folds" --fold-by "$fold_by" --num-seeds "$num_seeds" --cmd "$score_cmd" \
    "data/$name" "exp/$name" "$shown"
fi

data=data/$name
tests=$data/${test_sets// / $data/}
dir=exp/$name # the directory of model m is ${dir}_m
dnn_names=$(with_seeds "$dnns")
lstm_names=$(with_seeds "$lstms")
models="$dnn_names $lstm_names"
crossfitted="$dnns $lstms" # models with posteriors out of fold
[ "$post_crossfit" -gt 0 ] || crossfitted=
feature_transform=$data/cmvn/feature_transform.nnet

if stage 0 "the corpus: which tracks there are, of which genre and artist, in train and in test"; then
  local/prepare_corpus.sh --nj "$nj" --feat-cmd "$feat_cmd" --cmd "$score_cmd" "$corpus" "$corpus_root" "$data"
fi

if stage 1 "22 050 Hz, 16 bit, one channel: what the features are defined on"; then
  for x in train $test_sets; do
    steps/convert_audio.sh --nj "$nj" --cmd "$feat_cmd" "$data/$x" "$data/$x/log" "$data/wav"
  done
fi

if stage 2 "scattering frames: 525 coefficients over 370 ms, every 186 ms"; then
  for x in train $test_sets; do
    for config in $scattering_config; do
      steps/make_scattering.sh --nj "$nj" --cmd "$feat_cmd" --scattering-config "$config" \
        --suffix "$(suffix "$config")" "$data/$x" "$data/$x/log" "$data/feats"
    done
  done
fi

if stage 3 "what training needs: a tenth of the artists held out, a label for each frame, a transform"; then
  local/make_training_data.sh --transform-config "$transform_config" --cmd "$score_cmd" --seed "$seed" "$data"
fi

train=(local/train_model.sh --conf "$conf" --dnns "$dnns" --seed "$seed" --use-gpu "$use_gpu" --cmd "$train_cmd")
if stage 4 "DNN baselines: one frame in, the posteriors of its genre out"; then
  [ "$stop_stage" -ge 5 ] || for_each "$dnn_names" "${train[@]}" "$data" "$dir" {}
fi # otherwise they train beside the LSTMs

if stage 5 "LSTMs: projected, with peepholes, trained in streams; their posteriors know what came before"; then
  [ "$stage" -lt 5 ] || dnn_names=
  # The last ones are the largest; they start first, so that none trains alone at the end.
  for_each "$(tac <<<"$dnn_names"$'\n'"$lstm_names")" "${train[@]}" "$data" "$dir" {}
fi

if stage 6 "frame posteriors of every model for every track"; then
  for_each "$models" steps/dump_posteriors.sh --use-gpu "$use_gpu" --cmd "$cuda_cmd" \
    "$data/train $tests" "${dir}_{}/final_test.nnet" "$feature_transform" "${dir}_{}/post"
  for_each "$models" local/crossfit_posteriors.sh --num-folds "$post_crossfit" --conf "$conf" \
    --dnns "$dnns" --seed "$seed" --use-gpu "$use_gpu" --transform-config "$transform_config" --cmd "$train_cmd" \
    --score-cmd "$score_cmd" "$data" "$dir" {}
fi

if stage 7 "frame accuracy, and segment accuracy by majority vote over the frames of a track"; then
  for_each "$models" local/score_votes.sh --cmd "$score_cmd" "$data" "${dir}_{}" "$test_sets"
fi

if stage 8 "segment features: statistics of the posteriors over a track, alone and fused, to a linear SVM"; then
  local/score_segments.sh --test-sets "$test_sets" --cmd "$score_cmd" "$data" "${dir}_sc"
  for_each "$models" local/score_segments.sh --k "$k" --test-sets "$test_sets" --cmd "$score_cmd" \
    "$data" "${dir}_sc" "${dir}_{}"
  [ -z "$best_config" ] || local/run_best.sh --cmd "$score_cmd" --best-config "$best_config" --feats "$feats" \
    --networks "$crossfitted" "$data" "$dir" "$test_sets"
fi

if stage 9 "the systems that the paper compares with: their features, training and decisions"; then
  for_each "$(with_seeds "$systems")" local/run_system.sh --nj $(((nj + 4) / 5)) --cmd "$score_cmd" \
    --train-cmd "$train_cmd" --seed "$seed" --use-gpu "$use_gpu" "$data" "$dir" {} "$test_sets"
fi

if stage 10 "the tables beside the paper's, the figures, and one page with all of it"; then
  [ "$corpus" != synth ] || local/show_synth.sh --dnns "$dnns" --lstms "$lstms" --seed "$seed" \
    --cmd "$score_cmd" "$data" "$dir"
  local/report.sh --num-seeds "$num_seeds" --test-sets "$test_sets" --cmd "$score_cmd" "$data" "$dir" "$shown"
fi
