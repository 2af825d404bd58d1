#!/usr/bin/env bash
# Computes the scattering features of a data directory in parallel.
# Reads <data-dir>/wav22k.scp (or --wav-scp); writes <feat-dir>/raw_scattering_<name>.JOB.{ark,scp}
# and in <data-dir> feats.scp, utt2num_frames and frame_shift; <log-dir>/dims.csv says what each
# column means. The numbers do not depend on --nj. A slice that is done is not done again.
# Kaldi's counterpart: steps/make_mfcc.sh.
set -euo pipefail

nj=4                                   # number of parallel jobs
cmd=utils/run.py                       # job runner
scattering_config=conf/scattering.conf # options of steps/compute_scattering.py
wav_scp=                               # table of WAV files in <data-dir>
compress=                              # write compressed archives, a quarter of the size
use_gpu=                               # yes, no or optional
num_threads=                           # threads of a job

help_message="Usage: $0 [options] <data-dir> [<log-dir> [<feat-dir>]]
 e.g.: $0 --nj 8 --cmd utils/run.py data/synth/train exp/make_scattering/train scattering
<log-dir> is <data-dir>/log and <feat-dir> is <data-dir>/data if they are left out.
Options:
  --nj <n>                      # number of parallel jobs (4)
  --cmd <runner>                # job runner (utils/run.py)
  --scattering-config <file>    # options of steps/compute_scattering.py (conf/scattering.conf)
  --wav-scp <name>              # table of WAV files in <data-dir> (wav22k.scp if there, else wav.scp)
  --compress <true|false>       # write compressed archives, a quarter of the size (as the config says)
  --use-gpu <yes|no|optional>   # compute on CUDA (as the config says, else no)
  --num-threads <n>             # threads of a job (as the config says, else 1)"

echo "$0 $*" >&2
. ./path.sh
. utils/parse_options.sh

if [ $# -lt 1 ] || [ $# -gt 3 ]; then
  echo "$help_message" >&2
  exit 2
fi
data=${1%/}
logdir=${2:-$data/log}
featdir=${3:-$data/data}
name=$(basename "$data")

die() {
  echo "ERROR (make_scattering.sh) $*" >&2
  exit 1
}

if [ -z "$wav_scp" ]; then
  wav_scp=wav.scp
  [ ! -f "$data/wav22k.scp" ] || wav_scp=wav22k.scp
fi
for file in "$data/$wav_scp" "$scattering_config"; do
  [ -s "$file" ] || die "$file: no such file, or empty"
done
mkdir -p "$logdir" "$featdir"
# What is not given here is as the configuration says: <option> <otherwise>.
configured() {
  local value
  value=$(sed -n "s/^--$1=\([^ #]*\).*/\1/p" "$scattering_config")
  echo "${value:-$2}"
}
compress=${compress:-$(configured compress false)}
use_gpu=${use_gpu:-$(configured use-gpu no)}
num_threads=${num_threads:-$(configured num-threads 1)}
factor=0.25
! $compress || factor=0.06
utils/disk_space.py --factor "$factor" "$featdir" "$data/$wav_scp"

read -r -a runner <<<"$cmd"
num_tracks=$(wc -l <"$data/$wav_scp")
if [ "$nj" -gt "$num_tracks" ]; then
  nj=$num_tracks
fi

slices=()
for ((job = 1; job <= nj; job++)); do
  slices+=("$logdir/wav_$name.$job.scp")
done
utils/split_scp.py "$data/$wav_scp" "${slices[@]}"

steps/compute_scattering.py --config "$scattering_config" \
  --print-dims "$logdir/dims.csv" --write-frame-shift "$logdir/frame_shift" 2>"$logdir/dims.log" \
  || die "$scattering_config: $(tail -n 1 "$logdir/dims.log")"

raw=$featdir/raw_scattering_$name
RUNNER_OUTPUTS="$raw.JOB.scp $raw.JOB.ark $logdir/utt2num_frames_$name.JOB" \
  "${runner[@]}" --num-threads "$num_threads" JOB=1:"$nj" "$logdir/make_scattering_$name.JOB.log" \
  utils/once.py --in "$logdir/wav_$name.JOB.scp" --in "$scattering_config" \
  --out "$raw.JOB.scp" --out "$logdir/utt2num_frames_$name.JOB" "$logdir/.done.scattering_$name.JOB" -- \
  steps/compute_scattering.py --config "$scattering_config" --compress "$compress" --use-gpu "$use_gpu" \
  --num-threads "$num_threads" --write-num-frames "$logdir/utt2num_frames_$name.JOB" \
  "scp:$logdir/wav_$name.JOB.scp" "ark,scp:$raw.JOB.ark,$raw.JOB.scp" \
  || die "$data: features failed; see $logdir/make_scattering_$name.*.log"

# Slices are contiguous: joined in order they are sorted. What a run with more jobs left is removed.
for ((job = nj + 1; ; job++)); do
  [ -e "$raw.$job.ark" ] || break
  rm -f "$raw.$job.ark" "$raw.$job.scp" "$logdir/.done.scattering_$name.$job" \
    "$logdir/utt2num_frames_$name.$job" "$logdir/wav_$name.$job.scp"
done
for ((job = 1; job <= nj; job++)); do
  cat "$raw.$job.scp"
done >"$data/.feats.scp.tmp"
for ((job = 1; job <= nj; job++)); do
  cat "$logdir/utt2num_frames_$name.$job"
done >"$data/.utt2num_frames.tmp"

missing=$(join -v 1 <(cut -d ' ' -f 1 "$data/$wav_scp") <(cut -d ' ' -f 1 "$data/.feats.scp.tmp") | tr '\n' ' ')
if [ -n "$missing" ]; then
  rm -f "$data/.feats.scp.tmp" "$data/.utt2num_frames.tmp"
  die "$data: $(wc -w <<<"$missing") of $num_tracks tracks have no features: $missing"
fi
mv "$data/.utt2num_frames.tmp" "$data/utt2num_frames"
cp "$logdir/frame_shift" "$data/.frame_shift.tmp"
mv "$data/.frame_shift.tmp" "$data/frame_shift"
mv "$data/.feats.scp.tmp" "$data/feats.scp"

dims=$(($(wc -l <"$logdir/dims.csv") - 1))
frames=$(awk '{n += $2} END {print n}' "$data/utt2num_frames")
echo "LOG (make_scattering.sh) $data: $num_tracks tracks, $frames frames of $dims dimensions, in $featdir" >&2
