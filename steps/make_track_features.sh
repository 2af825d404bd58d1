#!/usr/bin/env bash
# Computes in parallel what one of the five published systems decides by; a track is read once.
# Reads <wav.scp> (22 050 Hz, one channel); writes <out-dir>/<kind>.scp for each kind of features that the system
# has, and their archives in <out-dir>/JOB. The numbers do not depend on --nj.
# Kaldi's counterpart: steps/make_mfcc.sh.
set -euo pipefail

nj=4             # number of parallel jobs
cmd=utils/run.py # job runner
network=         # trained network of sig2014; without it the frames that one is trained on
seed=777         # accepted where the system has something random
use_gpu=no       # yes, no or optional (sig2014)

help_message="Usage: $0 [options] <system> <config> <wav.scp> <out-dir>
 e.g.: $0 --nj 8 lee2009 conf/systems/lee2009.conf data/synth/test/wav22k.scp exp/synth_lee2009/feats_test"

. ./path.sh
. utils/parse_options.sh
. utils/once.sh
expect_arguments $# 4
system=$1
config=$2
wav_scp=$3
out=$4

once --in "$wav_scp" --in "$config" ${network:+--in "$network"} --out "$out" "$(dirname "$out")/.done/${out##*/}"

rm -rf "$out"
mkdir -p "$out"
num_tracks=$(wc -l <"$wav_scp")
nj=$(utils/split_scp.py --at-most "$nj" "$wav_scp" "$out/JOB/wav.scp")

read -r -a runner <<<"$cmd"
"${runner[@]}" JOB=1:"$nj" "$out/log/features.JOB.log" steps/compute_track_features.py \
  --system "$system" --config "$config" --seed "$seed" --use-gpu "$use_gpu" --network "$network" \
  "scp:$out/JOB/wav.scp" "$out/JOB" || {
  echo "ERROR (${0##*/}) features of $system failed; see $out/log/features.*.log" >&2
  exit 1
}

for table in "$out"/1/*.scp; do
  kind=${table##*/}
  [ "$kind" != wav.scp ] || continue
  for ((job = 1; job <= nj; job++)); do
    cat "$out/$job/$kind"
  done >"$out/$kind"
  [ "$(wc -l <"$out/$kind")" -eq "$num_tracks" ] || {
    echo "ERROR (${0##*/}) $out/$kind: expected $num_tracks tracks, got $(wc -l <"$out/$kind")" >&2
    exit 1
  }
done
