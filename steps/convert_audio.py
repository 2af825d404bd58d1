#!/usr/bin/env python3
r"""Convert recordings of any format to the recipe's audio: 22 050 Hz, 16 bit, one channel, WAV.

Reads a table of source recordings (wav.scp: utterance and path; pipes are not run), writes one
<wav-dir>/<utt>.wav each, and a table of them for the utterances that came out. Channels are averaged,
soxr resamples, nothing is dithered or normalised. Every track is judged: what does not decode, is
truncated, empty, shorter than one scattering window, holds NaN, or lies outside 8-192 kHz is an error
that names it; a silent track, a DC offset and a peak beyond full scale are reported.

With --segments the table is by recording, each is converted once, and its utterances are cut out of it.
With --failed FILE a track that fails ends nothing: FILE says which and why, and steps/join_audio.py judges.
With --key KEY a track that was converted under the same key before is kept (utils/kept.py).

Usage: steps/convert_audio.py [options] <wav-scp> <wav-dir> <wav22k-scp>
 e.g.: steps/convert_audio.py --config conf/audio.conf --utt2dur data/synth/train/utt2dur \
         data/synth/train/wav.scp data/synth/train/wav data/synth/train/wav22k.scp
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path

from steps import audio
from steps.audio.convert import CLIP_POLICIES
from utils import atomic, cli, kept, progress, segments, tables
from utils.segments import Segment

TAB = "\t"

REPORT_HEADER = (
    "utt\tcodec\tsource_rate\tchannels\theader_frames\tdecoded_frames\tnum_samples\tpeak_dbfs"
    "\tover_full_scale\tgain\tdc_offset\tsilent\tsha256"
)


def add_options(parser: cli.KaldiParser) -> None:
    """Add the options that conf/audio.conf may hold."""
    add = parser.add_argument
    add("--sample-rate", type=cli.positive_int, help="in Hz")
    add("--quality", choices=("VHQ", "HQ", "MQ", "LQ"), help="soxr's")
    add(
        "--clip",
        choices=CLIP_POLICIES,
        help="beyond full scale: saturate and report, scale as a whole, or refuse",
    )
    add("--max-over-db", type=cli.finite_float, help="a peak that lies higher is refused")
    add("--min-samples", type=cli.positive_int, help="a shorter track is refused")
    add("--allow-truncated", type=cli.boolean, help="use what decodes of a file that ends early (true|false)")
    parser.set_defaults(**asdict(audio.Conversion()))
    parser.add_argument("--max-bad", type=int, default=0, help="tracks that may fail and be left out")


def get_parser() -> cli.KaldiParser:
    """Return the command line of this program."""
    parser = cli.KaldiParser("convert_audio.py [options] <wav-scp> <wav-dir> <wav22k-scp>", __doc__)
    add_options(parser)
    parser.add_argument("--utt2dur", help="also write the durations in seconds to this table")
    parser.add_argument("--segments", metavar="FILE", help="cut the recordings into these utterances")
    parser.add_argument("--report", help="also write what was found in each track to this TSV file")
    parser.add_argument("--failed", help="write '<utt> <reason>' of tracks that fail here, and do not fail")
    parser.add_argument("--key", default="", help="keep tracks that were made under this key (once.py)")
    parser.add_argument("wav_scp")
    parser.add_argument("wav_dir", type=Path)
    parser.add_argument("wav22k_scp")
    return parser


def conversion(args: Namespace) -> audio.Conversion:
    """Return the settings that the options of :func:`get_parser` say."""
    return audio.Conversion(**{field.name: getattr(args, field.name) for field in fields(audio.Conversion)})


def convert_all(
    sources: dict[str, str],
    wav_dir: Path,
    how: audio.Conversion,
    key: str = "",
    segments: Mapping[str, Segment] | None = None,
) -> tuple[dict[str, str], dict[str, str]]:
    """Convert every source, or cut the utterances of ``segments`` out of it, unless it is kept under ``key``.

    Returns the line of the TSV report of each track that came out, and why each other one did not.
    """
    reports: dict[str, str] = {}
    failed: dict[str, str] = {}
    pieces: dict[str, dict[str, Segment]] = {name: {} for name in sources}
    for utt, segment in (segments or {}).items():
        pieces.get(segment.recording, {})[utt] = segment
    for number, (name, source) in enumerate(sources.items()):
        progress.report(number, len(sources), "tracks")
        utts = [name] if segments is None else list(pieces[name])
        lines = {utt: line for utt in utts if (line := _kept_line(wav_dir, utt, key))}
        reports |= lines
        if len(lines) == len(utts):
            continue
        found = _convert(name, source, wav_dir, how, pieces[name])
        for utt in utts:
            kept.begin(_notes(wav_dir, utt))
            report = found.get(utt, found.get(name))
            if isinstance(report, audio.TrackReport):
                reports[utt] = report_line(utt, report)
                _keep_line(wav_dir, utt, key, reports[utt])
            else:
                reports.pop(utt, None)
                failed[utt] = str(report)
                (wav_dir / f"{utt}.wav").unlink(missing_ok=True)
                cli.warn(f"{utt}: {report}")
    return reports, failed


def _convert(
    name: str, source: str, wav_dir: Path, how: audio.Conversion, pieces: Mapping[str, Segment]
) -> dict[str, audio.TrackReport | cli.UserError]:
    """Convert one source, and cut it if there are pieces; return what was found, or wrong, in each."""
    wav = wav_dir / (f".{name}.whole.wav" if pieces else f"{name}.wav")
    found: dict[str, audio.TrackReport | cli.UserError] = {}
    try:
        whole = audio.convert_track(source, wav, how)
        for text in whole.warnings:
            cli.warn(f"{name}: {source}: {text}")
        for utt, segment in pieces.items():
            try:
                span = segment.span(whole.num_samples, how.sample_rate)
                found[utt] = audio.cut_track(wav, whole, wav_dir / f"{utt}.wav", span, how)
            except cli.UserError as error:
                found[utt] = error
        return found or {name: whole}
    except audio.AudioError as error:
        return {name: error}
    finally:
        if pieces:
            wav.unlink(missing_ok=True)


def _notes(wav_dir: Path, utt: str) -> Path:
    return wav_dir / f".{utt}.tsv"


def _kept_line(wav_dir: Path, utt: str, key: str) -> str:
    """Return the report's line of a track that is there under this key; empty if it is not."""
    notes = _notes(wav_dir, utt)
    return tables.read_text(notes) if (wav_dir / f"{utt}.wav").exists() and kept.is_kept(notes, key) else ""


def _keep_line(wav_dir: Path, utt: str, key: str, line: str) -> None:
    if key:
        with atomic.replacing(_notes(wav_dir, utt)) as file:
            file.write(line)
        kept.keep(_notes(wav_dir, utt), key)


def report_line(utt: str, report: audio.TrackReport) -> str:
    """Format one line of the TSV report, in the order of ``REPORT_HEADER``."""
    fields = (
        utt,
        report.codec,
        report.source_rate,
        report.channels,
        "-" if report.header_frames is None else report.header_frames,
        report.decoded_frames,
        report.num_samples,
        f"{audio.decibels(report.peak):.2f}",
        report.over_full_scale,
        f"{report.gain:.6f}",
        f"{report.dc:.6f}",
        str(report.silent).lower(),
        report.sha256,
    )
    return "\t".join(map(str, fields))


def durations(reports: dict[str, str], sample_rate: int) -> dict[str, str]:
    """Return the seconds of each track, from the lines of the report."""
    column = REPORT_HEADER.split("\t").index("num_samples")
    return {utt: f"{int(line.split(TAB)[column]) / sample_rate:.6f}" for utt, line in reports.items()}


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit status."""
    args = get_parser().parse_args(argv)
    sources = tables.read_scp(args.wav_scp)
    if not sources:
        raise cli.UserError(f"{args.wav_scp}: no recordings; prepare the corpus again")
    pieces = segments.read(args.segments) if args.segments else None
    for utt in (*sources, *(pieces or ())):
        if "/" in utt or utt.startswith("."):
            raise cli.UserError(
                f"{args.segments or args.wav_scp}: utterance '{utt}' cannot be the name of a file; rename it"
            )
    how = conversion(args)
    args.wav_dir.mkdir(parents=True, exist_ok=True)
    reports, failed = convert_all(sources, args.wav_dir, how, args.key, pieces)
    total = len(failed) + len(reports)
    if args.failed:
        tables.write_table(args.failed, failed)
    elif len(failed) > args.max_bad:
        shown = "".join(f"\n  {utt}: {reason}" for utt, reason in failed.items())
        raise cli.UserError(
            f"{len(failed)} of {total} tracks failed, --max-bad allows {args.max_bad}:{shown}"
        )
    if args.report:
        with atomic.replacing(args.report) as file:
            file.write("\n".join([REPORT_HEADER, *(reports[utt] for utt in sorted(reports))]) + "\n")
    seconds = durations(reports, args.sample_rate)
    if args.utt2dur:
        tables.write_table(args.utt2dur, seconds)
    tables.write_table(args.wav22k_scp, {utt: args.wav_dir / f"{utt}.wav" for utt in reports})
    hours = sum(map(float, seconds.values())) / 3600
    cli.log(f"converted {len(reports)} of {total} tracks, {hours:.3f} hours, to {args.wav_dir}")
    return 0


if __name__ == "__main__":
    cli.run(main)
