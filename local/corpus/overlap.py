#!/usr/bin/env python3
"""Report what train shares with the test sets: artists, and recordings with the same content.

Both make accuracies look better than they are. Samples are compared (utt2hash, which steps/convert_audio.sh
writes), and so the same audio is found under other names, tags and lossless formats. Writes
<data-dir>/overlap.txt; why the artists of a set are not known, an earlier one says.

Usage: local/corpus/overlap.py [options] <data-dir> <set>...
e.g.:  local/corpus/overlap.py --strict true data/ismir04 test evaluation
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from utils import atomic, cli, tables

ALONE = "every track stands as an artist of its own in utt2spk"
_UNKNOWN = ": artists shared with train: unknown: "


def unknown_artists(data_dir: Path) -> dict[str, str]:
    """Return the sets whose artists cannot be compared with train's, and why, from ``overlap.txt``."""
    path = data_dir / "overlap.txt"
    parts = (line.partition(_UNKNOWN) for line in (tables.read_lines(path) if path.is_file() else []))
    return {name: reason for name, mark, reason in parts if mark}


class Shared(NamedTuple):
    """How many artists train and another set have, both of them, and what they have in common."""

    train: int
    other: int
    both: int
    tracks: int  # tracks of the other set by artists of train
    total: int  # tracks of the other set


def shared_artists(data_dir: Path, name: str, unknown: Mapping[str, str] | None = None) -> Shared | str:
    """Compare the artists of a set with train's; a text says why that cannot be done.

    Where every track has an artist that no other track has, artists are not known. Without ``unknown``
    :func:`unknown_artists` is asked.
    """
    unknown = unknown_artists(data_dir) if unknown is None else unknown
    if name in unknown:
        return unknown[name]
    train, other = (list(tables.read_table(data_dir / x / "utt2spk").values()) for x in ("train", name))
    if len({*train, *other}) == len(train) + len(other) and len(other) > 1:
        return ALONE
    known = set(train)
    tracks = sum(artist in known for artist in other)
    return Shared(len(known), len(set(other)), len(known.intersection(other)), tracks, len(other))


def report(
    data_dir: Path, others: Sequence[str], *, strict: bool = False, unknown: Mapping[str, str] | None = None
) -> None:
    """Report what ``train`` of a data directory shares with its other sets, and write ``overlap.txt`` there.

    ``unknown`` is that of :func:`shared_artists`. UserError, with ``strict``, if a recording is in train and
    another set.
    """
    said, twins = [], []
    for name in others:
        found = shared_artists(data_dir, name, unknown)
        if isinstance(found, str):
            said.append(f"{name}{_UNKNOWN}{found}")
        else:
            share = f"({100 * found.tracks / found.total:.1f} %), by {found.both} of {found.other} artists"
            said.append(f"{name}: tracks by artists of train: {found.tracks} of {found.total} {share}")
        hashes = [data_dir / x / "utt2hash" for x in ("train", name)]
        if all(path.is_file() for path in hashes):
            train, other = map(tables.read_table, hashes)
            first = {key: utt for utt, key in reversed(train.items())}
            pairs = [(utt, first[key]) for utt, key in other.items() if key in first]
            same = [f"{name}: {utt} has the content of {twin} in train" for utt, twin in pairs]
            said.append(f"{name}: recordings with the content of one in train: {len(same)} of {len(other)}")
            twins += same
    with atomic.replacing(data_dir / "overlap.txt") as file:
        file.writelines(f"{line}\n" for line in (*said, *twins))
    for line in said:
        (cli.log if ": 0 of" in line else cli.warn)(f"{data_dir}: {line}")
    if strict and twins:
        raise cli.UserError(f"{data_dir}: {'; '.join(twins[:5])}; remove one of each, or give --strict false")


def main(argv: list[str] | None = None) -> int:
    """Report the overlap."""
    parser = cli.KaldiParser.of(__doc__, set=str)
    parser.add_argument("--strict", type=cli.boolean, default=False, help="the same audio is an error")
    args = parser.parse_args(argv)
    report(args.data_dir, args.sets, strict=args.strict)
    return 0


if __name__ == "__main__":
    cli.run(main)
