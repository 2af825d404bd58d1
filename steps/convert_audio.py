#!/usr/bin/env python3
r"""Convert recordings of any format to the recipe's audio: 22 050 Hz, 16 bit, one channel, WAV.

Reads a table of source recordings (wav.scp: utterance and path; pipes are not run), writes one
<wav-dir>/<utt>.wav each, and a table of them for the utterances that came out. Channels are averaged,
soxr resamples, nothing is dithered or normalised. Every track is judged: what does not decode, is
truncated, empty, shorter than one scattering window, holds NaN, or lies outside 8-192 kHz is an error
that names it; a silent track and a peak beyond full scale are reported.

With --segments the table is by recording, each is converted once, and its utterances are cut out of it.
With --key KEY a track that was converted under the same key before is kept. So steps/convert_audio.sh lets
jobs convert parts of a table, and calls this program once more for all of it, with --data-dir: utt2dur and
utt2hash are written there, and tracks that failed, if --max-bad allows them, are taken out of its tables.

Usage: steps/convert_audio.py [options] <wav-scp> <wav-dir> <wav22k-scp>
 e.g.: steps/convert_audio.py --config conf/audio.conf \
         data/synth/train/wav.scp data/synth/train/wav data/synth/train/wav22k.scp
"""

import json
from argparse import Namespace
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path

from steps import audio
from utils import atomic, cli, data_dir, progress, segments, tables
from utils.segments import Segment

REMEDY = "leave them out (--exclude in conf/prepare_*.conf), or allow so many (--max-bad in conf/audio.conf)"


def get_parser() -> cli.KaldiParser:
    """Return the command line of this program."""
    parser = cli.KaldiParser.of(__doc__)
    add = parser.add_argument
    add("--sample-rate", type=cli.positive_int, help="in Hz")
    add("--max-over-db", type=cli.finite_float, help="a peak that lies higher is refused")
    add("--min-samples", type=cli.positive_int, help="a shorter track is refused")
    add("--allow-truncated", type=cli.boolean, help="use what decodes of a file that ends early (true|false)")
    parser.set_defaults(**asdict(audio.Conversion()))
    add("--max-bad", type=int, default=0, help="tracks that may fail and be left out")
    add("--segments", metavar="FILE", help="cut the recordings into these utterances")
    add("--key", default="", help="keep tracks that were made under this key (once.py)")
    add("--data-dir", type=Path, metavar="DIR", help="write utt2dur, utt2hash; leave out failures")
    return parser


def conversion(args: Namespace) -> audio.Conversion:
    """Return the settings that the options of :func:`get_parser` say."""
    return audio.Conversion(**{field.name: getattr(args, field.name) for field in fields(audio.Conversion)})


def convert(
    name: str, source: str, pieces: Mapping[str, Segment], wav_dir: Path, how: audio.Conversion
) -> Iterator[tuple[str, audio.Converted | cli.UserError]]:
    """Convert one recording, and cut it if there are pieces; yield each track, or what is wrong with it."""
    wav = wav_dir / (f".{name}.whole.wav" if pieces else f"{name}.wav")
    try:
        whole = audio.convert_track(source, wav, how)
    except audio.AudioError as error:
        yield from ((utt, error) for utt in pieces or [name])
        return
    for text in whole.warnings:
        cli.warn(f"{name}: {source}: {text}")
    if not pieces:
        yield name, whole
        return
    for utt, segment in pieces.items():
        try:
            span = segment.span(whole.num_samples, how.sample_rate)
            yield utt, audio.cut_track(wav, wav_dir / f"{utt}.wav", span, how)
        except cli.UserError as error:
            yield utt, error
    wav.unlink()


def notes(wav_dir: Path, utt: str) -> Path:
    """Return where the key of a track stands while not all are converted, and what is known of it."""
    return wav_dir / f".{utt}.json"


def kept(wav_dir: Path, utt: str, key: str) -> audio.Converted | None:
    """Return a track that is there under this key."""
    try:
        noted, *track = json.loads(notes(wav_dir, utt).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return audio.Converted(*track) if noted == key and (wav_dir / f"{utt}.wav").exists() else None


def convert_all(
    args: Namespace, sources: Mapping[str, str], cuts: Mapping[str, Mapping[str, Segment]]
) -> tuple[dict[str, audio.Converted], dict[str, cli.UserError]]:
    """Convert what is not kept; return the tracks, and what is wrong with those that failed."""
    done: dict[str, audio.Converted] = {}
    failed: dict[str, cli.UserError] = {}
    for number, (name, source) in enumerate(sources.items()):
        progress.report(number, len(sources), "tracks")
        utts = [name] if args.segments is None else list(cuts[name])
        there = {utt: track for utt in utts if (track := kept(args.wav_dir, utt, args.key))}
        if len(there) == len(utts):
            done |= there
            continue
        for utt in utts:
            notes(args.wav_dir, utt).unlink(missing_ok=True)
        for utt, found in convert(name, source, cuts[name], args.wav_dir, conversion(args)):
            if isinstance(found, audio.Converted):
                done[utt] = found
                if args.key:
                    atomic.write_json(notes(args.wav_dir, utt), [args.key, *found[:2]])
            else:
                failed[utt] = found
                (args.wav_dir / f"{utt}.wav").unlink(missing_ok=True)
                cli.warn(f"{utt}: {found}")
    return done, failed


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
    sources = tables.read_scp(args.wav_scp)
    if not sources:
        raise cli.UserError(f"{args.wav_scp}: no recordings; prepare the corpus again")
    pieces = segments.read(args.segments) if args.segments else {}
    for utt in (*sources, *pieces):
        if "/" in utt or utt.startswith("."):
            table = args.segments or args.wav_scp
            raise cli.UserError(f"{table}: utterance '{utt}' cannot be the name of a file; rename it")
    cuts: dict[str, dict[str, Segment]] = {name: {} for name in sources}
    for utt, segment in pieces.items():
        if segment.recording in cuts:
            cuts[segment.recording][utt] = segment
        elif args.data_dir:  # a job has a part of the recordings
            raise cli.UserError(f"{args.segments}: {utt}: its recording is not in {args.wav_scp}")
    args.wav_dir.mkdir(parents=True, exist_ok=True)
    done, failed = convert_all(args, sources, cuts)
    verdict = f"{args.wav_scp}: {len(failed)} of {len(failed) + len(done)} tracks failed"
    if len(failed) > args.max_bad:
        reasons = "".join(f"\n  {utt}: {reason}" for utt, reason in failed.items())
        names = " ".join(failed)
        raise cli.UserError(f"{verdict}, --max-bad allows {args.max_bad}: {names}; {REMEDY}{reasons}")
    tables.write_table(args.wav22k_scp, {utt: args.wav_dir / f"{utt}.wav" for utt in done})
    seconds = {utt: track.num_samples / args.sample_rate for utt, track in done.items()}
    if args.data_dir:
        if not done:
            raise cli.UserError(f"{verdict}: none is left; see their reasons above")
        tables.write_table(args.data_dir / "utt2dur", {utt: f"{s:.6f}" for utt, s in seconds.items()})
        tables.write_table(args.data_dir / "utt2hash", {utt: track.sha256 for utt, track in done.items()})
        if failed:
            leave_out(args.data_dir, failed)
            cli.warn(f"{verdict} and are left out: {' '.join(failed)}")
        for utt in done:
            notes(args.wav_dir, utt).unlink(missing_ok=True)
    hours = sum(seconds.values()) / 3600
    cli.log(f"converted {len(done)} of {len(failed) + len(done)} tracks, {hours:.3f} hours")
    return 0


if __name__ == "__main__":
    cli.run(main)
