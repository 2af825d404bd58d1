#!/usr/bin/env python3
"""Make the embedded corpus, a controlled experiment in sound (local/synth.py says what it controls).

Writes <out-dir>/{train,test}/<genre>/<artist>/<track>.{wav,flac,ogg,mp3}; job 1 also writes
<out-dir>/tracks.csv.

Usage: local/make_synth_corpus.py [options] <out-dir>
e.g.:  local/make_synth_corpus.py --config conf/synth_corpus.conf corpora/synth
"""

import csv
import io
import zlib
from pathlib import Path

import numpy as np
import soundfile
import soxr

from local import synth
from utils import atomic, cli, progress

SUBTYPES = {"wav": "PCM_16", "flac": "PCM_16", "ogg": "VORBIS", "mp3": "MPEG_LAYER_III"}
COLUMNS = ("path", "genre", "artist", "split", "piece", "format", "rate", "channels", "seconds")
BITS_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def number_pages(data: bytes, serial: int) -> bytes:
    """Give the pages of an Ogg stream a serial number, in place of the random one that libsndfile draws.

    A page (RFC 3533) has its serial number at byte 14, its CRC at 22, the number of its segments at 26 and
    their lengths from 27 on. Its CRC has zlib's polynomial, with bits in the other order and no inversions.
    """
    pages, first = [], 0
    while first < len(data):
        body = first + 27 + data[first + 26]
        end = body + sum(data[first + 27 : body])
        head = data[first : first + 14] + serial.to_bytes(4, "little") + data[first + 18 : first + 22]
        tail = data[first + 26 : end]
        crc = zlib.crc32((head + bytes(4) + tail).translate(BITS_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
        pages.append(head + crc.to_bytes(4, "big").translate(BITS_REVERSED) + tail)
        first = end
    return b"".join(pages)


def encode(sound: np.ndarray, track: synth.Track) -> bytes:
    """Return a track's file; of two channels at different levels the mean is as loud as one."""
    if track.rate != synth.RATE:
        sound = soxr.resample(sound, synth.RATE, track.rate)
    if track.channels == 2:
        sound = np.stack([1.1 * sound, 0.9 * sound], axis=1)
    buffer, subtype = io.BytesIO(), SUBTYPES[track.format]
    with soundfile.SoundFile(buffer, "w", track.rate, track.channels, subtype, format=track.format) as file:
        file.title, file.artist = track.piece, track.artist
        file.write(np.clip(sound, -1.0, 1.0))
    data = buffer.getvalue()
    return number_pages(data, zlib.crc32(Path(track.path).stem.encode())) if track.format == "ogg" else data


def main(argv: list[str] | None = None) -> int:
    """Make this job's share of the corpus."""
    parser = cli.KaldiParser.of(__doc__)
    add = parser.add_argument
    add("--seed", type=int, default=777, help="all of the corpus follows from it")
    add("--num-train", type=int, default=64, help="tracks of train")
    add("--num-test", type=int, default=64, help="tracks of test")
    add("--min-seconds", type=cli.finite_float, default=20.0, help="length of the shortest track")
    add("--max-seconds", type=cli.finite_float, default=25.0, help="length of the longest")
    add("--job", type=cli.positive_int, default=1, help="which share of the tracks to make")
    add("--num-jobs", type=cli.positive_int, default=1, help="how many shares there are")
    args = parser.parse_args(argv)
    tracks = synth.make_plan(args.seed, args.num_train, args.num_test, args.min_seconds, args.max_seconds)
    if args.job == 1:
        with atomic.replacing(args.out_dir / "tracks.csv") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows([getattr(track, name) for name in COLUMNS] for track in tracks)
    pieces = list(dict.fromkeys(track.piece for track in tracks))[args.job - 1 :: args.num_jobs]
    share = sorted((track for track in tracks if track.piece in pieces), key=lambda track: track.piece)
    played = ""
    for number, track in enumerate(share, start=1):
        if track.piece != played:
            played, sound = track.piece, synth.play(args.seed, track)
        data = encode(synth.in_time(track, sound), track)
        with atomic.replacing(args.out_dir / track.path, "wb") as file:
            file.write(data)
        progress.report(number, len(share), "tracks")
    return 0


if __name__ == "__main__":
    cli.run(main)
