"""What train shares with the other sets: artists, and recordings with the same content.

Both make accuracies look better than they are. They are reported for every corpus, on stderr and in
``<data-dir>/overlap.txt``.
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

    Where every track has an artist that no other track has, artists are not known. ``unknown`` is what
    :func:`unknown_artists` returns, which is asked if it is not given.
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

    Recordings are compared by their samples, once stage 1 has written ``utt2hash``. Without ``unknown``, what
    an earlier ``overlap.txt`` says about artists still holds. With ``strict``, UserError if a recording is in
    train and another set.
    """
    unknown = unknown_artists(data_dir) if unknown is None else unknown
    lines, errors = [], []
    for name in others:
        found = shared_artists(data_dir, name, unknown)
        if isinstance(found, str):
            lines.append(f"{name}{_UNKNOWN}{found}")
        else:
            share = f"({100 * found.tracks / found.total:.1f} %), by {found.both} of {found.other} artists"
            lines.append(f"{name}: tracks by artists of train: {found.tracks} of {found.total} {share}")
        hashes = [data_dir / x / "utt2hash" for x in ("train", name)]
        if not all(path.is_file() for path in hashes):
            continue
        train, other = map(tables.read_table, hashes)
        first = {key: utt for utt, key in reversed(train.items())}
        pairs = [(first[key], utt) for utt, key in other.items() if key in first]
        lines.append(f"{name}: recordings with the content of one in train: {len(pairs)} of {len(other)}")
        lines += [f"{name}: {utt} has the content of {twin} in train" for twin, utt in pairs]
        errors += [f"{utt} in {name} = {twin} in train" for twin, utt in pairs]
    with atomic.replacing(data_dir / "overlap.txt") as file:
        file.write("".join(f"{line}\n" for line in lines))
    for line in lines[:20]:
        say = cli.log if ": 0 of" in line else cli.warn
        say(f"{data_dir}: {line}")
    if len(lines) > 20:
        cli.warn(f"{data_dir}: {len(lines) - 20} more lines in {data_dir / 'overlap.txt'}")
    if strict and errors:
        shown = f"{'; '.join(errors[:5])}{'; ...' if len(errors) > 5 else ''}"
        raise cli.UserError(
            f"{data_dir}: {len(errors)} recordings are in train and in another set: {shown}; remove one of "
            "each, or give --strict false"
        )
