"""Any folder of music: one sub-folder a class, recordings anywhere below it."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from local.corpus import ids, splits
from local.corpus.tracks import Recording, Track
from steps.audio import EXTENSIONS
from utils import cli, tables


def scan(root: Path) -> list[tuple[str, str]]:
    """Return (class folder, path relative to the root) of every recording, in C order.

    Hidden files and folders are passed over. A class may be a symbolic link; links to folders below it are
    not followed. UserError if a folder cannot be read, or there are fewer than two class folders with audio.
    """
    if not root.is_dir():
        raise cli.UserError(f"{root}: no such folder; --corpus-root must hold one sub-folder a class")
    found, skipped, links = [], Counter[str](), 0
    for folder in sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")):
        here = []
        for parent, folders, names in os.walk(folder, onerror=_refuse):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            links += sum((Path(parent) / name).is_symlink() for name in folders)
            for name in sorted(name for name in names if not name.startswith(".")):
                suffix = _suffix(name)
                if suffix in EXTENSIONS:
                    here.append((folder.name, str((Path(parent) / name).relative_to(root))))
                else:
                    skipped[suffix or "none"] += 1
        if not here:
            cli.warn(f"{folder}: no audio in it; not a class")
        found += here
    if links:
        cli.warn(f"{root}: {links} links to folders below the classes are not followed")
    if loose := sum(_suffix(path.name) in EXTENSIONS for path in root.iterdir() if path.is_file()):
        cli.warn(f"{root}: {loose} recordings beside the class folders are passed over")
    if skipped:
        kinds = " ".join(f".{suffix} {count}" for suffix, count in sorted(skipped.items()))
        cli.log(f"{root}: passed over {sum(skipped.values())} files that are not audio: {kinds}")
    classes = {genre for genre, _ in found}
    if len(classes) < 2:
        raise cli.UserError(
            f"{root}: audio in {len(classes)} sub-folders, expected at least 2: one a class, "
            f"e.g. {root}/jazz/a.mp3"
        )
    return found


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower().lstrip(".")


def _refuse(error: OSError) -> None:
    raise cli.UserError(f"{error.filename}: {error.strerror}; make the folder readable or hide it")


def class_names(folders: Sequence[str]) -> dict[str, str]:
    """Return the name of each class, ASCII and without blanks, from the names of the folders.

    UserError if two folders would be one class.
    """
    names: dict[str, str] = {}
    for folder in sorted(set(folders)):
        name = ids.transliterated(folder)
        if name in names.values() and not folder.isascii():
            name = f"{name}_{ids.digest(folder)}"
        if other := next((f for f, n in names.items() if n == name), None):
            raise cli.UserError(
                f"the folders '{other}' and '{folder}' both become the class {name}; rename one"
            )
        names[folder] = name
    return names


def read_list(path: str, places: Sequence[str], utts: Mapping[str, str]) -> set[str]:
    """Read a list of tracks, by path relative to the corpus or by utterance id, as utterance ids.

    ``utts`` has the id of each path. UserError with ``path:line`` for one that is not in the corpus or
    listed twice.
    """
    known = {utt: utt for utt in utts.values()}
    known |= {unicodedata.normalize("NFC", place): utts[place] for place in places}
    listed: set[str] = set()
    for number, line in enumerate(tables.read_text(path, "the list").split("\n"), start=1):
        name = unicodedata.normalize("NFC", line.strip().removeprefix("./"))
        if not name:
            continue
        if name not in known:
            raise cli.UserError(f"{path}:{number}: '{name}' is not in the corpus")
        if known[name] in listed:
            raise cli.UserError(f"{path}:{number}: '{name}' is listed twice")
        listed.add(known[name])
    return listed


def split_by_seed(tracks: Sequence[Track], percent: float, seed: int) -> list[Track]:
    """Divide the tracks into train and test: stratified, and no artist on both sides.

    UserError if ``percent`` is not between 0 and 100, or a class has one artist only.
    """
    if not 0 < percent < 100:
        raise cli.UserError(f"--test-percent {percent:g}: expected a percentage between 0 and 100")
    groups = splits.group_counts({t.utt: t.spk for t in tracks}, {t.utt: t.genre for t in tracks})
    held = splits.choose_held_out(groups, percent / 100, seed, floor_share=1.0)
    present = {genre for spk in held for genre in groups[spk]}
    for genre, total in splits.class_totals(groups).items():
        if genre not in present:
            raise cli.UserError(
                f"class {genre}: its {total} tracks are by too few artists for a split without an artist on "
                "both sides; add artists, or give --test-list or a table with the column split"
            )
    return [replace(track, subset="test" if track.spk in held else "train") for track in tracks]


def split_by_lists(tracks: Sequence[Track], train: set[str], test: set[str]) -> list[Track]:
    """Divide the tracks by lists; a track in neither is left out; UserError if a track is in both."""
    if both := sorted(train & test):
        raise cli.UserError(f"{len(both)} tracks are in both lists: {' '.join(both[:3])}; list each once")
    subset = {utt: "train" for utt in train} | {utt: "test" for utt in test}
    left_out = len(tracks) - len(subset)
    if left_out:
        cli.warn(f"{left_out} of {len(tracks)} tracks are in neither list: left out")
    return [replace(track, subset=subset[track.utt]) for track in tracks if track.utt in subset]


def merge_table(
    found: Sequence[tuple[str, str]], table: Mapping[str, Mapping[str, str]], source: str
) -> list[tuple[str, str, str, str]]:
    """Return (class, path, artist, split) of the recordings that a table lists; the others are left out.

    UserError if the table lists a path that is not there.
    """
    places = {place: genre for genre, place in found}
    spelled = {unicodedata.normalize("NFC", place): place for place in places}
    table = {spelled.get(unicodedata.normalize("NFC", place), place): row for place, row in table.items()}
    if absent := [place for place in table if place not in places]:
        raise cli.UserError(
            f"{source}: {len(absent)} of {len(table)} paths are not in the corpus, e.g. '{absent[0]}'; "
            "paths are relative to the corpus root"
        )
    if rest := sorted(places.keys() - table.keys()):
        cli.warn(
            f"{source}: {len(rest)} of {len(places)} recordings are not listed, e.g. '{rest[0]}': left out"
        )
    rows = ((place, table[place]) for _, place in found if place in table)
    return [
        (row.get("genre") or places[place], place, row.get("artist", ""), row.get("split", ""))
        for place, row in rows
    ]


def recordings(root: Path, rows: Sequence[tuple[str, str, str, str]]) -> list[Recording]:
    """Return the recordings of (class, path, artist, split); the title is the path below the class."""
    made = []
    for genre, place, artist, split in rows:
        below = PurePosixPath(place).with_suffix("").parts[1:]
        title = " ".join((*below[-2:-1], below[-1]) if artist == "" else below[-1:])
        made.append(Recording(str(root / place), genre, artist, title, place, split))
    return made
