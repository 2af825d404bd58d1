#!/usr/bin/env python3
"""Join what the jobs of steps/convert_audio.sh made of a data directory, and judge the tracks that failed.

Reads <log-dir>/audio.JOB.tsv and failed.JOB of <nj> jobs; writes <log-dir>/audio.tsv and in <data-dir>
wav22k.scp, utt2dur and utt2hash. Each track that failed is named with its reason. More than --max-bad of
them are an error; fewer are taken out of all tables of the directory, so that later stages agree.

Usage: steps/join_audio.py [options] <data-dir> <wav-dir> <log-dir> <nj>
 e.g.: steps/join_audio.py --config conf/audio.conf data/synth/train data/synth/wav data/synth/train/log 4
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from steps import convert_audio
from utils import atomic, cli, data_dir, kept, segments, tables

REMEDY = "leave them out (--exclude in conf/prepare_*.conf), or allow so many (--max-bad in conf/audio.conf)"


def get_parser() -> cli.KaldiParser:
    """Return the command line of this program."""
    parser = cli.KaldiParser("join_audio.py [options] <data-dir> <wav-dir> <log-dir> <nj>", __doc__)
    convert_audio.add_options(parser)
    for name in ("data_dir", "wav_dir", "log_dir"):
        parser.add_argument(name, type=Path)
    parser.add_argument("nj", type=cli.positive_int)
    return parser


def read_jobs(log_dir: Path, nj: int) -> tuple[dict[str, str], dict[str, str]]:
    """Return the line of the report of each track that came out, and why each other one did not."""
    reports: dict[str, str] = {}
    failed: dict[str, str] = {}
    for job in range(1, nj + 1):
        lines = tables.read_lines(log_dir / f"audio.{job}.tsv")[1:]
        reports.update({line.split("\t")[0]: line for line in lines})
        failed.update(tables.read_table(log_dir / f"failed.{job}"))
    return reports, failed


def utterances(folder: Path) -> set[str]:
    """Return the utterances of a data directory: those of ``segments``, or else of wav.scp."""
    sources = tables.read_scp(folder / "wav.scp")
    if not (folder / "segments").is_file():
        return set(sources)
    pieces = segments.read(folder / "segments")
    for utt, segment in pieces.items():
        if segment.recording not in sources:
            raise cli.UserError(
                f"{folder}/segments: {utt}: the recording '{segment.recording}' is not in {folder}/wav.scp"
            )
    return set(pieces)


def leave_out(folder: Path, utts: Collection[str]) -> None:
    """Take utterances out of all tables of a data directory."""
    for path in data_dir.utterance_tables(folder):
        entries = tables.read_table(path)
        tables.write_table(path, {utt: value for utt, value in entries.items() if utt not in utts})
    if (folder / "spk2utt").is_file():
        tables.write_table(folder / "spk2utt", data_dir.invert(tables.read_table(folder / "utt2spk")))


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit status."""
    args = get_parser().parse_args(argv)
    reports, failed = read_jobs(args.log_dir, args.nj)
    sources = utterances(args.data_dir)
    if lost := sources - reports.keys() - failed.keys():
        raise cli.UserError(f"{args.log_dir}: nothing is said of {min(lost)}; run the conversion again")
    for utt, reason in failed.items():
        cli.warn(f"{utt}: {reason}")
    verdict = f"{args.data_dir}: {len(failed)} of {len(sources)} tracks failed"
    if len(failed) > args.max_bad:
        raise cli.UserError(f"{verdict}, --max-bad allows {args.max_bad}: {' '.join(failed)}; {REMEDY}")
    utts = sorted(reports, key=str.encode)
    if not utts:
        raise cli.UserError(f"{verdict}: none is left; see their reasons above")
    with atomic.replacing(args.log_dir / "audio.tsv") as file:
        file.write("\n".join([convert_audio.REPORT_HEADER, *(reports[utt] for utt in utts)]) + "\n")
    seconds = convert_audio.durations(reports, args.sample_rate)
    tables.write_table(args.data_dir / "wav22k.scp", {utt: args.wav_dir / f"{utt}.wav" for utt in utts})
    tables.write_table(args.data_dir / "utt2dur", seconds)
    tables.write_table(args.data_dir / "utt2hash", {utt: reports[utt].split("\t")[-1] for utt in utts})
    if failed:
        leave_out(args.data_dir, failed)
        cli.warn(f"{verdict} and are left out: {' '.join(failed)}")
    for utt in sources:
        notes = args.wav_dir / f".{utt}.tsv"
        kept.begin(notes)
        notes.unlink(missing_ok=True)
    hours = sum(map(float, seconds.values())) / 3600
    cli.log(f"{args.data_dir}: converted {len(utts)} of {len(sources)} tracks, {hours:.2f} hours")
    return 0


if __name__ == "__main__":
    cli.run(main)
