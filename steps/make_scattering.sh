#!/usr/bin/env bash
# Computes the scattering features of a data directory in parallel.
# Reads <data-dir>/wav22k.scp (or --wav-scp); writes <feat-dir>/raw_scattering_<name>.BLOCK.{ark,scp}, in <data-dir>
# feats.scp, utt2num_frames, frame_shift and scattering.conf (what features of further tracks are made with), and
# <log-dir>/dims.csv, which says what each column means. A corpus is cut into blocks of tracks that do not depend
# on --nj; a block that was complete when a run was interrupted is kept.
# Kaldi's counterpart: steps/make_mfcc.sh.
set -euo pipefail

nj=4                                   # number of parallel jobs
cmd=utils/run.py                       # job runner
scattering_config=conf/scattering.conf # options of steps/compute_scattering.py
wav_scp=wav22k.scp                     # table of WAV files in <data-dir>; wav.scp is cut by segments, if there are any
suffix=                                # write feats<text>.scp and so on: features beside others

help_message="Usage: $0 [options] <data-dir> [<log-dir> [<feat-dir>]]
 e.g.: $0 --nj 8 --cmd utils/run.py data/synth/train exp/make_scattering/train scattering
<log-dir> is <data-dir>/log and <feat-dir> is <data-dir>/data if they are left out."

. ./path.sh
. utils/parse_options.sh
. utils/jobs.sh
expect_arguments $# 1 3
data=${1%/}
logdir=${2:-$data/log}
name=$(basename "$data")$suffix
raw=${3:-$data/data}/raw_scattering_$name
wavs=$logdir/wav_$name
frames=$logdir/utt2num_frames_$name
table=$data/$wav_scp # a line a track
input=("scp:$wavs.BLOCK.scp")
if [ "$wav_scp" = wav.scp ] && [ -f "$data/segments" ]; then
  table=$data/segments
  input=(--segments "$wavs.BLOCK.scp" "scp:$data/wav.scp")
fi
once --wait true --in "$data/$wav_scp" --in "$table" --in "$scattering_config" --out "$data/feats$suffix.scp" \
  --out "$data/utt2num_frames$suffix" --out "$data/frame_shift$suffix" "$data/.done/make_scattering$suffix"

blocks=$((($(wc -l <"$table") - 1) / 4 + 1)) # of four tracks, but not more than 200
blocks=$(utils/split_scp.py "$((blocks < 200 ? blocks : 200))" "$table" "$wavs.JOB.scp")
[ "$nj" -le "$blocks" ] || nj=$blocks
RUNNER_OUTPUTS="$raw.JOB.scp $frames.JOB" run_jobs "$logdir/make_scattering_$name.JOB.log" \
  steps/compute_scattering.py --config "$scattering_config" --key "$ONCE_KEY" --blocks "JOB:$nj:$blocks" \
  --print-dims "$logdir/dims$suffix.csv" --write-frame-shift "$data/frame_shift$suffix" \
  --write-num-frames "$frames.BLOCK" "${input[@]}" "ark,scp:$raw.BLOCK.ark,$raw.BLOCK.scp"
for ((old = blocks + 1; ; old++)); do # what a larger corpus left
  [ -e "$raw.$old.ark" ] || break
  rm -f "$raw.$old".{ark,scp} "$frames.$old" "$wavs.$old.scp"
done
join_parts "$blocks" "$frames.JOB" "$table" "$data/utt2num_frames$suffix"
join_parts "$blocks" "$raw.JOB.scp" "$table" "$data/feats$suffix.scp"
cp "$scattering_config" "$data/scattering$suffix.conf"
rm -f "$frames".*.key
