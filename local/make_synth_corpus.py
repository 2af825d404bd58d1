#!/usr/bin/env python3
"""Make the embedded corpus: music composed and synthesised from a seed, in six genres.

    local/make_synth_corpus.py [options] <out-dir>
    e.g.: local/make_synth_corpus.py --config conf/synth_corpus.conf corpora/synth
    e.g.: utils/run.py JOB=1:2 log/make_corpus.JOB.log \
            local/make_synth_corpus.py --job JOB --num-jobs 2 corpora/synth

Writes <out-dir>/{train,test}/<genre>/<artist>/<track>.{wav,flac,ogg,mp3}; job 1 also writes
<out-dir>/tracks.csv (path,genre,artist,split,title,format,rate,channels,seconds) and removes the tracks
that an older tracks.csv lists and the plan no longer has. A track that is there and was made with the same
options by the same version is kept.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from tqdm import tqdm

from local.synth.plan import TABLE_HEADER, Options, Track, fingerprint, make_plan
from local.synth.tracks import make_track
from utils import atomic, cli, disk_space

BYTES_PER_SECOND = 44100  # about the mean of its formats


def get_parser() -> cli.KaldiParser:
    """Return the parser of the command line."""
    parser = cli.KaldiParser(usage="make_synth_corpus.py [options] <out-dir>", description=__doc__)
    default = Options()
    parser.add_argument("--seed", type=int, default=default.seed, help="everything follows from it")
    parser.add_argument(
        "--num-train", type=cli.positive_int, default=default.num_train, help="training tracks"
    )
    parser.add_argument("--num-test", type=cli.positive_int, default=default.num_test, help="test tracks")
    parser.add_argument(
        "--min-seconds", type=cli.finite_float, default=default.min_seconds, help="shortest track"
    )
    parser.add_argument(
        "--max-seconds", type=cli.finite_float, default=default.max_seconds, help="longest track"
    )
    parser.add_argument("--job", type=cli.positive_int, default=1, help="which share of the tracks to make")
    parser.add_argument("--num-jobs", type=cli.positive_int, default=1, help="how many shares there are")
    parser.add_argument("out_dir", type=Path)
    return parser


def write_table(folder: Path, tracks: list[Track]) -> None:
    """Write tracks.csv, and remove the files of an older one that are in the plan no more."""
    table = folder / "tracks.csv"
    planned = {track.path for track in tracks}
    if table.exists():
        with table.open(encoding="utf-8", newline="") as file:
            listed = [row.get("path") or "" for row in csv.DictReader(file)]
        for path in set(listed) - planned:
            if path.startswith(("train/", "test/")) and ".." not in Path(path).parts:
                (folder / path).unlink(missing_ok=True)
    with atomic.replacing(table) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(TABLE_HEADER)
        writer.writerows(track.row() for track in tracks)


def main(argv: list[str] | None = None) -> int:
    """Make this job's share of the corpus."""
    args = get_parser().parse_args(argv)
    if args.job > args.num_jobs:
        raise cli.UserError(f"--job {args.job}: expected a job from 1 to --num-jobs {args.num_jobs}")
    options = Options(args.seed, args.num_train, args.num_test, args.min_seconds, args.max_seconds)
    tracks = make_plan(options)
    if args.job == 1:
        write_table(args.out_dir, tracks)
    to_come = sum(track.seconds for track in tracks if not (args.out_dir / track.path).exists())
    disk_space.require(args.out_dir, to_come * BYTES_PER_SECOND)
    share = tracks[args.job - 1 :: args.num_jobs]
    stamp = fingerprint(options)
    made = 0
    quiet = not sys.stderr.isatty()
    for done, track in enumerate(tqdm(share, unit="track", disable=quiet), start=1):
        made += make_track(args.out_dir, options.seed, track, stamp)
        if quiet and made and done % 16 == 0:
            cli.log(f"{done} of {len(share)} tracks")
    kept = len(share) - made
    cli.log(f"made {made} tracks, kept {kept} in {args.out_dir} (seed {options.seed}, version {stamp})")
    return 0


if __name__ == "__main__":
    cli.run(main)
