#!/usr/bin/env python3
"""Report what train shares with the test sets: artists, and recordings with the same content.

Both make accuracies look better than they are. Samples are compared (utt2hash, which steps/convert_audio.sh
writes), and so the same audio is found under other names, tags and lossless formats. Writes
<data-dir>/overlap.txt.

Usage: local/corpus/overlap.py [options] <data-dir> <set>...
e.g.:  local/corpus/overlap.py data/ismir04 test evaluation
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from utils import atomic, cli, tables


class Shared(NamedTuple):
    """How many artists train and another set have, both of them, and what they have in common."""

    train: int
    other: int
    both: int
    tracks: int  # tracks of the other set by artists of train
    total: int  # tracks of the other set
    unknown: str  # why the artists are not known, if they are not


def shared_artists(data_dir: Path, name: str) -> Shared:
    """Compare the artists of a set with train's.

    They are not known where the set's file artists_unknown says so, or no two tracks have the same artist.
    """
    train, other = (list(tables.read_table(data_dir / x / "utt2spk").values()) for x in ("train", name))
    note, known = data_dir / name / "artists_unknown", set(train)
    unknown = tables.read_text(note).strip() if note.is_file() else ""
    if len({*train, *other}) == len(train) + len(other) and len(other) > 1:
        unknown = unknown or "every track stands as an artist of its own in utt2spk"
    tracks = sum(artist in known for artist in other)
    return Shared(len(known), len({*other}), len(known.intersection(other)), tracks, len(other), unknown)


def report(data_dir: Path, others: Sequence[str]) -> None:
    """Report what ``train`` of a data directory shares with its other sets, and write ``overlap.txt``."""
    said, twins = [], []
    for name in others:
        found = shared_artists(data_dir, name)
        share = f"{found.tracks} of {found.total} ({100 * found.tracks / found.total:.1f} %)"
        known = f"tracks by artists of train: {share}, by {found.both} of {found.other} artists"
        unknown = found.unknown and f"artists shared with train: unknown: {found.unknown}"
        said.append(f"{name}: {unknown or known}")
        hashes = [data_dir / x / "utt2hash" for x in ("train", name)]
        if all(path.is_file() for path in hashes):
            train, other = map(tables.read_table, hashes)
            first = {key: utt for utt, key in reversed(train.items())}
            pairs = [(utt, first[key]) for utt, key in other.items() if key in first]
            said.append(f"{name}: recordings with the content of one in train: {len(pairs)} of {len(other)}")
            twins += [f"{name}: {utt} has the content of {twin} in train" for utt, twin in pairs]
    with atomic.replacing(data_dir / "overlap.txt") as file:
        file.writelines(f"{line}\n" for line in (*said, *twins))
    for line in said:
        (cli.log if ": 0 of" in line else cli.warn)(f"{data_dir}: {line}")


def main(argv: list[str] | None = None) -> int:
    """Report the overlap."""
    args = cli.KaldiParser.of(__doc__, set=str).parse_args(argv)
    report(args.data_dir, args.sets)
    return 0


if __name__ == "__main__":
    cli.run(main)
