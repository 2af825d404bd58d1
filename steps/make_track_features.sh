#!/usr/bin/env bash
# Computes in parallel what one of the five published systems decides by; a track is read once.
# Reads <wav.scp> (22 050 Hz, one channel); writes <out-dir>/<kind>.scp for each kind of features that the system
# has, and their archives in <out-dir>/JOB. The numbers do not depend on --nj.
# Kaldi's counterpart: steps/make_mfcc.sh.
set -euo pipefail

nj=4             # number of parallel jobs
cmd=utils/run.py # job runner
network=         # trained network of sig2014; without it the frames that one is trained on
use_gpu=no       # yes, no or optional (sig2014)

help_message="Usage: $0 [options] <system> <config> <wav.scp> <out-dir>
 e.g.: $0 --nj 8 lee2009 conf/systems/lee2009.conf data/synth/test/wav22k.scp exp/synth_lee2009/feats_test"

. ./path.sh
. utils/parse_options.sh
. utils/jobs.sh
expect_arguments $# 4
system=$1
config=$2
wav_scp=$3
out=$4

once --in "$wav_scp" --in "$config" ${network:+--in "$network"} --out "$out" "$(dirname "$out")/.done/${out##*/}"

rm -rf "$out"
nj=$(split_table "$nj" "$wav_scp" "$out/log/wav.JOB.scp")
run_jobs "$out/log/features.JOB.log" steps/compute_track_features.py --system "$system" --config "$config" \
  --use-gpu "$use_gpu" --network "$network" "scp:$out/log/wav.JOB.scp" "$out/JOB"
for kind in "$out"/1/*.scp; do
  join_parts "$nj" "$out/JOB/${kind##*/}" "$wav_scp" "$out/${kind##*/}"
done
