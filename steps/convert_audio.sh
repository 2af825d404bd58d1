#!/usr/bin/env bash
# Converts the recordings of a data directory to 22 050 Hz, 16 bit, mono WAV, in parallel.
# Reads <data-dir>/wav.scp, and segments if recordings are to be cut into utterances; writes
# <wav-dir>/<utt>.wav, and in <data-dir> wav22k.scp, utt2dur and utt2hash (the SHA-256 of the samples, by
# which duplicates are found). Tracks that fail are named; see --max-bad of the configuration.
# Kaldi has no counterpart: its recipes put a sox pipe into wav.scp and pay for it at every reading.
set -euo pipefail

nj=4                         # number of parallel jobs
cmd=utils/run.py             # job runner
audio_config=conf/audio.conf # options of steps/convert_audio.py

help_message="Usage: $0 [options] <data-dir> <log-dir> <wav-dir>
 e.g.: $0 --nj 8 --cmd utils/run.py data/synth/train exp/synth_audio/log data/synth/train/wav"

. ./path.sh
. utils/parse_options.sh
. utils/jobs.sh
expect_arguments $# 3
data=$1
logdir=$2
wavdir=$3
sources=("$data/wav.scp")
[ ! -f "$data/segments" ] || sources+=("$data/segments")
# --max-bad takes tracks out of wav.scp and the other tables.
once --wait true "${sources[@]/#/--in=}" --in "$audio_config" --out "$data/wav22k.scp" --out "$data/utt2dur" \
  --out "$data/utt2hash" "${sources[@]/#/--out=}" "$data/.done/convert_audio"

nj=$(split_table "$nj" "$data/wav.scp" "$logdir/wav.JOB.scp")
options=(--config "$audio_config" --key "$ONCE_KEY")
[ ! -f "$data/segments" ] || options+=(--segments "$data/segments")
run_jobs "$logdir/convert_audio.JOB.log" steps/convert_audio.py \
  "${options[@]}" --max-bad 1000000000 "$logdir/wav.JOB.scp" "$wavdir" "$logdir/wav22k.JOB.scp"
# All are there now; what failed is tried again, and judged.
steps/convert_audio.py "${options[@]}" --data-dir "$data" "$data/wav.scp" "$wavdir" "$data/wav22k.scp"
cp "$audio_config" "$data/audio.conf" # how further recordings are converted
