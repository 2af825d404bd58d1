#!/usr/bin/env bash
# Computes the scattering features of a data directory in parallel.
# Reads <data-dir>/wav22k.scp (or --wav-scp; wav.scp is cut by segments, if there are any); writes
# <feat-dir>/raw_scattering_<name>.BLOCK.{ark,scp} and in <data-dir> feats.scp, utt2num_frames and frame_shift;
# <log-dir>/dims.csv says what each column means. A corpus is cut into blocks of tracks that do not depend on
# --nj; a block that was complete when a run was interrupted is kept.
# Kaldi's counterpart: steps/make_mfcc.sh.
set -euo pipefail

nj=4                                   # number of parallel jobs
cmd=utils/run.py                       # job runner
scattering_config=conf/scattering.conf # options of steps/compute_scattering.py
wav_scp=                               # table of WAV files in <data-dir> (wav22k.scp if there, else wav.scp)
num_threads=1                          # threads of a job
suffix=                                # write feats<text>.scp and so on: features beside others

help_message="Usage: $0 [options] <data-dir> [<log-dir> [<feat-dir>]]
 e.g.: $0 --nj 8 --cmd utils/run.py data/synth/train exp/make_scattering/train scattering
<log-dir> is <data-dir>/log and <feat-dir> is <data-dir>/data if they are left out."

. ./path.sh
. utils/parse_options.sh
. utils/once.sh
expect_arguments $# 1 3
data=${1%/}
logdir=${2:-$data/log}
featdir=${3:-$data/data}
name=$(basename "$data")$suffix
raw=$featdir/raw_scattering_$name

die() {
  echo "ERROR (make_scattering.sh) $*" >&2
  exit 1
}

if [ -z "$wav_scp" ]; then
  wav_scp=wav.scp
  [ ! -f "$data/wav22k.scp" ] || wav_scp=wav22k.scp
fi
table=$wav_scp # a line a track
segments=()
if [ "$wav_scp" = wav.scp ] && [ -f "$data/segments" ]; then
  table=segments
  segments=(--in "$data/segments")
fi
once --wait true --in "$data/$wav_scp" "${segments[@]}" --in "$scattering_config" \
  --out "$data/feats$suffix.scp" --out "$data/utt2num_frames$suffix" --out "$data/frame_shift$suffix" \
  "$data/.done/make_scattering$suffix"

mkdir -p "$logdir" "$featdir"
num_tracks=$(wc -l <"$data/$table")
num_blocks=$(((num_tracks + 3) / 4)) # four tracks a block, but not more than 200 blocks
[ "$num_blocks" -le 200 ] || num_blocks=200
[ "$num_blocks" -gt 0 ] || die "$data/$table: empty"
[ "$nj" -le "$num_blocks" ] || nj=$num_blocks
blocks=()
for ((block = 1; block <= num_blocks; block++)); do
  blocks+=("$logdir/wav_$name.$block.scp")
done
utils/split_scp.py "$data/$table" "${blocks[@]}"

options=(--config "$scattering_config")
steps/compute_scattering.py "${options[@]}" \
  --print-dims "$logdir/dims$suffix.csv" --write-frame-shift "$logdir/frame_shift$suffix" \
  2>"$logdir/dims$suffix.log" \
  || die "$scattering_config: $(tail -n 1 "$logdir/dims$suffix.log")"

input=(scp:"$logdir/wav_$name.BLOCK.scp")
[ "$table" = "$wav_scp" ] || input=(--segments "$logdir/wav_$name.BLOCK.scp" "scp:$data/wav.scp")
read -r -a runner <<<"$cmd"
RUNNER_OUTPUTS="$raw.JOB.scp $logdir/utt2num_frames_$name.JOB" \
  "${runner[@]}" --num-threads "$num_threads" JOB=1:"$nj" "$logdir/make_scattering_$name.JOB.log" \
  steps/compute_scattering.py "${options[@]}" --num-threads "$num_threads" --key "$ONCE_KEY" \
  --blocks "JOB:$nj:$num_blocks" --write-num-frames "$logdir/utt2num_frames_$name.BLOCK" \
  "${input[@]}" "ark,scp:$raw.BLOCK.ark,$raw.BLOCK.scp" \
  || die "$data: features failed; see $logdir/make_scattering_$name.*.log"

# Blocks are contiguous: joined in order they are sorted. What a larger corpus left is removed.
for ((block = 1; block <= num_blocks; block++)); do
  cat "$raw.$block.scp" >&3
  cat "$logdir/utt2num_frames_$name.$block" >&4
done 3>"$data/.feats$suffix.scp.tmp" 4>"$data/.utt2num_frames$suffix.tmp"
for ((block = num_blocks + 1; ; block++)); do
  [ -e "$raw.$block.ark" ] || break
  rm -f "$raw.$block".{ark,scp} "$logdir/utt2num_frames_$name.$block" "$logdir/wav_$name.$block.scp"
done

missing=$(awk 'NR == FNR {there[$1]; next} !($1 in there) {print $1}' "$data/.feats$suffix.scp.tmp" "$data/$table" | tr '\n' ' ')
if [ -n "$missing" ]; then
  rm -f "$data/.feats$suffix.scp.tmp" "$data/.utt2num_frames$suffix.tmp"
  die "$data: $(wc -w <<<"$missing") of $num_tracks tracks have no features: $missing"
fi
cp "$logdir/frame_shift$suffix" "$data/.frame_shift$suffix.tmp"
cp "$scattering_config" "$data/.scattering$suffix.conf.tmp" # what features of further tracks are made with
for file in utt2num_frames$suffix frame_shift$suffix scattering$suffix.conf feats$suffix.scp; do
  mv "$data/.$file.tmp" "$data/$file"
done
rm -f "$logdir/utt2num_frames_$name".*.key

dims=$(($(wc -l <"$logdir/dims$suffix.csv") - 1))
frames=$(awk '{n += $2} END {print n}' "$data/utt2num_frames$suffix")
echo "LOG (make_scattering.sh) $data: $num_tracks tracks, $frames frames of $dims dimensions, in $featdir" >&2
