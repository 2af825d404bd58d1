#!/usr/bin/env bash
# Computes the scattering features of a data directory in parallel.
# Reads <data-dir>/wav22k.scp (of segments, if there are any, which steps/convert_audio.sh has cut out); writes
# <feat-dir>/raw_scattering_<name>.<key>.JOB.{ark,scp}, and in <data-dir> feats.scp, utt2num_frames, frame_shift and
# scattering.conf (what features of further tracks are made with). The numbers do not depend on --nj.
# Kaldi's counterpart: steps/make_mfcc.sh.
set -euo pipefail

nj=4                                   # number of parallel jobs
cmd=utils/run.py                       # job runner
scattering_config=conf/scattering.conf # options of steps/compute_scattering.py
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
table=$data/wav22k.scp
once --wait true --in "$table" --in "$scattering_config" --out "$data/feats$suffix.scp" \
  --out "$data/utt2num_frames$suffix" --out "$data/frame_shift$suffix" "$data/.done/make_scattering$suffix"

new=$raw.${ONCE_KEY::8} # beside what there is, which stays whole if this fails
rm -f "$new".*
nj=$(split_table "$nj" "$table" "$wavs.JOB.scp")
run_jobs "$logdir/make_scattering_$name.JOB.log" \
  steps/compute_scattering.py --config "$scattering_config" --write-frame-shift "$data/frame_shift$suffix" \
  --write-num-frames "$frames.JOB" "scp:$wavs.JOB.scp" "ark,scp:$new.JOB.ark,$new.JOB.scp"
join_parts "$nj" "$frames.JOB" "$table" "$data/utt2num_frames$suffix"
join_parts "$nj" "$new.JOB.scp" "$table" "$data/feats$suffix.scp"
cp "$scattering_config" "$data/scattering$suffix.conf"
for old in "$raw".*.{ark,scp}; do
  [ "${old#"$new".}" != "$old" ] || rm -f "$old"
done
