#!/usr/bin/env python3
r"""Prepare a folder of one's own: one sub-folder a class, recordings anywhere below it.

Writes <data-dir>/{train,test}. The artist of a track comes from a pattern on its path, from a table, or
from the file's tags; without any of them each track counts as its own artist. The split is stratified by
class, no artist is on both sides, and the seed decides; or it is given by lists or by the table.

The table (--csv) has a header and the columns path (relative to the corpus root) and any of artist, genre
(in place of the folder) and split (train or test).

Usage: local/prepare_folder.py [options] <corpus-root> <data-dir>
e.g.:  local/prepare_folder.py --artist-pattern '^[^/]+/(?P<artist>[^/]+)/' ~/music data/music
       local/prepare_folder.py --csv tracks.csv ~/music data/music
       local/prepare_folder.py --artist-tags true --train-list a.txt --test-list b.txt ~/music data/music
"""

import os
import unicodedata
from argparse import Namespace
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from local.corpus import artists, ids, overlap, splits
from local.corpus.tracks import Recording, Track, leave_out, name_tracks, prepare_parser, write_data_dirs
from steps.audio import EXTENSIONS, tags
from utils import cli, tables


def _refuse(error: OSError) -> None:
    raise cli.UserError(f"{error.filename}: {error.strerror}; make the folder readable or hide it")


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
                if _is_audio(name):
                    here.append((folder.name, str((Path(parent) / name).relative_to(root))))
                else:
                    skipped[PurePosixPath(name).suffix.lower() or "none"] += 1
        if not here:
            cli.warn(f"{folder}: no audio in it; not a class")
        found += here
    if links:
        cli.warn(f"{root}: {links} links to folders below the classes are not followed")
    if loose := sum(_is_audio(path.name) for path in root.iterdir() if path.is_file()):
        cli.warn(f"{root}: {loose} recordings beside the class folders are passed over")
    if skipped:
        kinds = " ".join(f"{suffix} {count}" for suffix, count in sorted(skipped.items()))
        cli.log(f"{root}: passed over {sum(skipped.values())} files that are not audio: {kinds}")
    if (number := len({genre for genre, _ in found})) < 2:
        expected = f"expected at least 2: one a class, e.g. {root}/jazz/a.mp3"
        raise cli.UserError(f"{root}: audio in {number} sub-folders, {expected}")
    return found


def _is_audio(name: str) -> bool:
    return PurePosixPath(name).suffix.lower().lstrip(".") in EXTENSIONS


def class_names(folders: Sequence[str]) -> dict[str, str]:
    """Return the ASCII name of each class without blanks; UserError if two folders would be one class."""
    names: dict[str, str] = {}
    for folder in sorted(set(folders)):
        name = ids.transliterated(folder)
        if name in names.values() and not folder.isascii():
            name = f"{name}_{ids.digest(folder)}"
        if other := next((f for f, n in names.items() if n == name), None):
            both = f"the folders '{other}' and '{folder}' both become the class {name}"
            raise cli.UserError(f"{both}; rename one")
        names[folder] = name
    return names


def find_recordings(args: Namespace, root: Path) -> list[Recording]:
    """Return every recording, artists and split from the source that was asked for."""
    if bool(args.artist_pattern) + bool(args.csv) + args.artist_tags > 1:
        raise cli.UserError("give one of --artist-pattern, --csv and --artist-tags true, not several")
    pattern = artists.compile_pattern(args.artist_pattern) if args.artist_pattern else None
    folders = {place: genre for genre, place in scan(root)}
    table: Mapping[str, Mapping[str, str]] = {}
    if args.csv:
        spelled = {unicodedata.normalize("NFC", place): place for place in folders}
        given = artists.read_csv(args.csv).items()
        table = {spelled.get(unicodedata.normalize("NFC", place), place): row for place, row in given}
        if absent := [place for place in table if place not in folders]:
            raise cli.UserError(
                f"{args.csv}: {len(absent)} of {len(table)} paths are not in the corpus, e.g. '{absent[0]}'; "
                "paths are relative to the corpus root"
            )
        if rest := sorted(folders.keys() - table.keys()):
            out = f"{len(rest)} of {len(folders)} recordings are not listed, e.g. '{rest[0]}': left out"
            cli.warn(f"{args.csv}: {out}")
    found = []
    for place, folder in folders.items():
        if args.csv and place not in table:
            continue
        row = table.get(place, {})
        artist = row.get("artist", "")
        if pattern:
            artist = artists.from_path(pattern, place)
        elif args.artist_tags:
            artist = tags.artist(root / place)
        below = PurePosixPath(place).with_suffix("").parts[1:]
        title = " ".join(below[-1:] if artist else below[-2:])
        genre = row.get("genre") or folder
        found.append(Recording(str(root / place), genre, artist, title, place, row.get("split", "")))
    return found


def read_list(path: str, utts: Mapping[str, str]) -> set[str]:
    """Read a list of tracks, by path in the corpus (``utts`` has their ids) or by utterance id, as ids."""
    known = {utt: utt for utt in utts.values()}
    known |= {unicodedata.normalize("NFC", place): utt for place, utt in utts.items()}
    listed: set[str] = set()
    for number, line in enumerate(tables.read_text(path, "the list").split("\n"), start=1):
        name = unicodedata.normalize("NFC", line.strip().removeprefix("./"))
        if name and known.get(name, "") in ("", *listed):
            wrong = "is listed twice" if name in known else "is not in the corpus"
            raise cli.UserError(f"{path}:{number}: '{name}' {wrong}")
        if name:
            listed.add(known[name])
    return listed


def split_by_seed(tracks: Sequence[Track], percent: float, seed: int) -> list[Track]:
    """Divide the tracks, stratified, no artist on both sides; UserError if that cannot be."""
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


def divide(args: Namespace, tracks: list[Track], utts: dict[str, str]) -> list[Track]:
    """Put every track into train or test; UserError if lists, table and seed do not give one answer."""
    if any(track.subset for track in tracks):
        if args.train_list or args.test_list:
            raise cli.UserError(f"{args.csv} has a column split: give it or lists, not both")
        if wrong := next((t for t in tracks if t.subset not in ("train", "test")), None):
            expected = f"expected the split train or test, got '{wrong.subset}'"
            raise cli.UserError(f"{args.csv}: {wrong.path}: {expected}")
        return tracks
    if args.train_list and not args.test_list:
        raise cli.UserError("--train-list is given without --test-list; give both, or the test list alone")
    if not args.test_list:
        return split_by_seed(tracks, args.test_percent, args.seed)
    test = read_list(args.test_list, utts)
    train = read_list(args.train_list, utts) if args.train_list else {track.utt for track in tracks} - test
    if both := sorted(train & test):
        raise cli.UserError(f"{len(both)} tracks are in both lists: {' '.join(both[:3])}; list each once")
    if left_out := len(tracks) - len(train | test):
        cli.warn(f"{left_out} of {len(tracks)} tracks are in neither list: left out")
    subset = dict.fromkeys(train, "train") | dict.fromkeys(test, "test")
    return [replace(track, subset=subset[track.utt]) for track in tracks if track.utt in subset]


def main(argv: list[str] | None = None) -> int:
    """Prepare the folder."""
    parser = prepare_parser(__doc__)
    add = parser.add_argument
    add("--artist-pattern", metavar="REGEX", help="on the relative path, with a group 'artist'")
    add("--csv", metavar="FILE", help="table of tracks: path and any of artist, genre, split")
    add("--artist-tags", type=cli.boolean, default=False, help="take the artist from tags")
    add("--test-percent", type=cli.finite_float, default=25.0, help="of the tracks of a class")
    add("--seed", type=int, default=777, help="decides among equally good splits")
    add("--train-list", metavar="FILE", help="tracks of train, one path or utterance a line")
    add("--test-list", metavar="FILE", help="tracks of test; without --train-list the rest is train")
    args = parser.parse_args(argv)
    root = args.corpus_root.resolve()
    found = find_recordings(args, root)
    nameless = sum(not recording.artist for recording in found)
    unknown = {"test": f"{nameless} of {len(found)} tracks have no artist"} if nameless else {}
    if nameless:
        cli.warn(
            f"{unknown['test']} and count as their own: train and test may share artists; name them by "
            "--artist-pattern, --csv or --artist-tags true"
        )
    names = class_names([recording.genre for recording in found])
    found = [replace(recording, genre=names[recording.genre]) for recording in found]
    tracks = leave_out(name_tracks(found), args.exclude)
    places = {recording.path: recording.place for recording in found}
    tracks = divide(args, tracks, {places[track.path]: track.utt for track in tracks})
    originals = {name: folder for folder, name in names.items() if name != folder}
    write_data_dirs(args.data_dir, tracks, sorted(names.values()), originals)
    overlap.report(args.data_dir, ["test"], unknown=unknown)
    return 0


if __name__ == "__main__":
    cli.run(main)
