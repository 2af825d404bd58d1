"""What train shares with the other sets: artists, and recordings with the same content.

Both make accuracies look better than they are. They are reported for every corpus, on stderr and in
``<data-dir>/overlap.txt``.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from utils import atomic, cli, tables

ALONE = "every track stands as an artist of its own in utt2spk"
_UNKNOWN = ": artists shared with train: unknown: "


def unknown_artists(data_dir: str | Path) -> dict[str, str]:
    """Return the sets whose artists cannot be compared with train's, and why, from ``overlap.txt``."""
    path = Path(data_dir) / "overlap.txt"
    lines = tables.read_lines(path) if path.is_file() else []
    parts = (line.partition(_UNKNOWN) for line in lines)
    return {name: reason for name, mark, reason in parts if mark}


@dataclass(frozen=True)
class Shared:
    """How many artists train and another set have, both of them, and what they have in common."""

    train: int
    other: int
    both: int
    tracks: int
    """Tracks of the other set by artists of train."""
    total: int
    """Tracks of the other set."""


def shared_artists(data_dir: str | Path, name: str, unknown: Mapping[str, str] | None = None) -> Shared | str:
    """Compare the artists of a set with train's; a text says why that cannot be done.

    Where every track has an artist that no other track has, artists are not known. ``unknown`` is what
    :func:`unknown_artists` returns, which is asked if it is not given.
    """
    unknown = unknown_artists(data_dir) if unknown is None else unknown
    if name in unknown:
        return unknown[name]
    train, other = (list(tables.read_table(Path(data_dir) / x / "utt2spk").values()) for x in ("train", name))
    if len({*train, *other}) == len(train) + len(other) and len(other) > 1:
        return ALONE
    known = set(train)
    tracks = sum(artist in known for artist in other)
    return Shared(len(known), len(set(other)), len(known.intersection(other)), tracks, len(other))


def content_keys(wav_scp: Mapping[str, str]) -> dict[str, str]:
    """Return for each utterance a key that equals another's if and only if the files' bytes are equal.

    Only files of the same length are read. Empty and missing files have keys of their own.
    """
    by_size: dict[int, list[str]] = defaultdict(list)
    keys = {}
    for utt, path in wav_scp.items():
        keys[utt] = f"utt {utt}"
        if Path(path).is_file() and (size := Path(path).stat().st_size):
            by_size[size].append(utt)
    for utts in by_size.values():
        if len(utts) > 1:
            for utt in utts:
                keys[utt] = _sha256(Path(wav_scp[utt]))
    return keys


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def duplicates(keys: Mapping[str, str], train: Sequence[str], other: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs (utterance of train, utterance of other) with the same content."""
    first = {keys[utt]: utt for utt in reversed(train)}
    return [(first[keys[utt]], utt) for utt in other if keys[utt] in first]


def report(
    data_dir: str | Path,
    others: Sequence[str],
    *,
    keys: Mapping[str, str] | None = None,
    strict: bool = False,
    unknown: Mapping[str, str] | None = None,
) -> None:
    """Report what ``train`` of a data directory shares with its other sets, and write ``overlap.txt`` there.

    ``keys`` are content keys of all utterances (:func:`content_keys`). Without them the tables ``utt2hash``
    are used, which stage 1 writes from the decoded samples, and if there are none nothing is said. Without
    ``unknown``, what an earlier ``overlap.txt`` says about artists still holds. With ``strict``, UserError
    if a recording is in train and another set.
    """
    data_dir = Path(data_dir)
    unknown = unknown_artists(data_dir) if unknown is None else unknown
    train = tables.read_table(data_dir / "train" / "utt2spk")
    lines, errors = [], []
    for name in others:
        other = tables.read_table(data_dir / name / "utt2spk")
        found = shared_artists(data_dir, name, unknown)
        if isinstance(found, str):
            lines.append(f"{name}{_UNKNOWN}{found}")
        else:
            lines.append(
                f"{name}: tracks by artists of train: {found.tracks} of {found.total} "
                f"({100 * found.tracks / found.total:.1f} %), by {found.both} of {found.other} artists"
            )
        known = keys if keys is not None else _hashes(data_dir, ["train", name])
        if known is None:
            continue
        pairs = duplicates(known, list(train), list(other))
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
        raise cli.UserError(
            f"{data_dir}: {len(errors)} recordings are in train and in another set: {'; '.join(errors[:5])}"
            f"{'; ...' if len(errors) > 5 else ''}; remove one of each, or give --strict false"
        )


def _hashes(data_dir: Path, names: Sequence[str]) -> dict[str, str] | None:
    paths = [data_dir / name / "utt2hash" for name in names]
    if not all(path.is_file() for path in paths):
        return None
    return {utt: key for path in paths for utt, key in tables.read_table(path).items()}
