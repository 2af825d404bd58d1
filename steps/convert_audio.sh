#!/usr/bin/env bash
# Converts the recordings of a data directory to 22 050 Hz, 16 bit, mono WAV, in parallel.
# Reads <data-dir>/wav.scp; writes <wav-dir>/<utt>.wav, and in <data-dir> wav22k.scp, utt2dur
# and utt2hash (the SHA-256 of the samples, by which duplicates are found). What was found in each
# track (codec, rate, peak, clipping, DC offset) is in <log-dir>/audio.tsv.
# Kaldi has no counterpart: its recipes put a sox pipe into wav.scp and pay for it at every reading.
set -euo pipefail

nj=4                         # number of parallel jobs
cmd=utils/run.py             # job runner
audio_config=conf/audio.conf # options of steps/convert_audio.py
max_bad=                     # tracks that may fail and be left out
allow_truncated=             # use what decodes of a file that ends early

help_message="Usage: $0 [options] <data-dir> <log-dir> <wav-dir>
 e.g.: $0 --nj 8 --cmd utils/run.py data/synth/train exp/synth_audio/log data/synth/train/wav
Options:
  --nj <n>                        # number of parallel jobs (4)
  --cmd <runner>                  # job runner (utils/run.py)
  --audio-config <file>           # options of steps/convert_audio.py (conf/audio.conf)
  --max-bad <n>                   # tracks that may fail and be left out (as the config says, else 0)
  --allow-truncated <true|false>  # use what decodes of a file that ends early (as the config says)"

. ./path.sh
. utils/parse_options.sh
. utils/once.sh
if [ $# -ne 3 ]; then
  echo "$help_message" >&2
  exit 2
fi
data=$1
logdir=$2
wavdir=$3

die() {
  echo "ERROR (convert_audio.sh) $*" >&2
  exit 1
}

once --wait true --in "$data/wav.scp" --in "$audio_config" --out "$data/wav22k.scp" --out "$data/utt2dur" \
  --out "$data/utt2hash" "$data/.done/convert_audio"

mkdir -p "$logdir" "$wavdir"
read -r -a runner <<<"$cmd"
num_tracks=$(wc -l <"$data/wav.scp")
if [ "$nj" -gt "$num_tracks" ]; then
  nj=$num_tracks
fi

options=()
[ -z "$max_bad" ] || options+=(--max-bad "$max_bad")
[ -z "$allow_truncated" ] || options+=(--allow-truncated "$allow_truncated")
max_bad=${max_bad:-$(sed -n 's/^--max-bad=\([0-9]*\).*/\1/p' "$audio_config")}
max_bad=${max_bad:-0}
slices=()
for ((job = 1; job <= nj; job++)); do
  slices+=("$logdir/wav.$job.scp")
done
utils/split_scp.py "$data/wav.scp" "${slices[@]}"

RUNNER_OUTPUTS="$logdir/wav22k.JOB.scp $logdir/utt2dur.JOB $logdir/audio.JOB.tsv" \
  "${runner[@]}" JOB=1:"$nj" "$logdir/convert_audio.JOB.log" \
  steps/convert_audio.py --config "$audio_config" "${options[@]}" \
  --utt2dur "$logdir/utt2dur.JOB" --report "$logdir/audio.JOB.tsv" \
  "$logdir/wav.JOB.scp" "$wavdir" "$logdir/wav22k.JOB.scp" \
  || die "conversion failed; see $logdir/convert_audio.*.log"

# The slices are contiguous, so joining them in order keeps them sorted.
head -n 1 "$logdir/audio.1.tsv" >"$logdir/audio.tsv"
for table in wav22k.scp utt2dur utt2hash; do
  : >"$data/.$table.tmp"
done
for ((job = 1; job <= nj; job++)); do
  cat "$logdir/wav22k.$job.scp" >>"$data/.wav22k.scp.tmp"
  cat "$logdir/utt2dur.$job" >>"$data/.utt2dur.tmp"
  tail -n +2 "$logdir/audio.$job.tsv" >>"$logdir/audio.tsv"
done
tail -n +2 "$logdir/audio.tsv" | awk -F '\t' '{print $1, $NF}' >"$data/.utt2hash.tmp"

missing=$(join -v 1 <(cut -d ' ' -f 1 "$data/wav.scp") <(cut -d ' ' -f 1 "$data/.wav22k.scp.tmp"))
num_missing=$(printf '%s' "$missing" | grep -c . || true)
if [ "$num_missing" -gt "$max_bad" ]; then
  rm -f "$data"/.{wav22k.scp,utt2dur,utt2hash}.tmp
  die "$data: $num_missing of $num_tracks tracks were not converted, --max-bad allows $max_bad:" \
    "$(tr '\n' ' ' <<<"$missing")"
fi
for table in wav22k.scp utt2dur utt2hash; do
  mv "$data/.$table.tmp" "$data/$table"
done
cp "$audio_config" "$data/.audio.conf.tmp" # how further recordings are converted
mv "$data/.audio.conf.tmp" "$data/audio.conf"
if [ "$num_missing" -gt 0 ]; then
  echo "WARNING (convert_audio.sh) $data: left out $num_missing tracks: ${missing//$'\n'/ };" \
    "take them out of the corpus, too: --exclude in conf/prepare_*.conf" >&2
fi
hours=$(awk '{s += $2} END {printf "%.2f", s / 3600}' "$data/utt2dur")
echo "LOG (convert_audio.sh) $data: converted $((num_tracks - num_missing)) of $num_tracks tracks," \
  "$hours hours, to $wavdir" >&2
