#!/usr/bin/env python3
r"""Prepare a folder of one's own: one sub-folder a class, recordings anywhere below it.

Writes <data-dir>/{train,test}. The artist of a track comes from the table, else from a pattern on its path,
else from the file's tags; a track without one counts as its own artist. The split is the table's, or it is
stratified by class, no artist is on both sides, and the seed decides.

The table (--csv) has a header and the columns path (relative to the corpus root) and any of artist, genre
(in place of the folder) and split (train or test); what it does not list is left out.

Usage: local/prepare_folder.py [options] <corpus-root> <data-dir>
e.g.:  local/prepare_folder.py --artist-pattern '^[^/]+/(?P<artist>[^/]+)/' ~/music data/music
       local/prepare_folder.py --artist-tags true --csv tracks.csv ~/music data/music
"""

import difflib
import os
import re
import unicodedata
from argparse import ArgumentTypeError, Namespace
from collections import Counter
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath

from local.corpus import ids
from local.corpus.tracks import Track, prepare_parser, write_corpus
from steps.audio import EXTENSIONS, tags
from utils import cli, tables
from utils.cli import UserError

COLUMNS = ("path", "artist", "genre", "split")
MEANT = {  # what others call these columns
    **dict.fromkeys(("subset", "set", "partition", "fold", "traintest", "dataset"), "split"),
    **dict.fromkeys(("class", "label", "style", "category", "tag"), "genre"),
    **dict.fromkeys(("performer", "band", "singer", "albumartist", "artistname", "speaker"), "artist"),
}


def artist_pattern(text: str) -> re.Pattern[str]:
    """Parse a regular expression with the group ``artist``."""
    with suppress(re.error):
        if "artist" in (pattern := re.compile(text)).groupindex:
            return pattern
    expected = "expected a regular expression with a group named artist, as '^[^/]+/(?P<artist>[^/]+)/' has"
    raise ArgumentTypeError(f"{expected}, got '{text}'")


def _refuse(error: OSError) -> None:
    raise error


def scan(root: Path) -> dict[str, str]:
    """Return for every recording, by its path relative to the root, the folder of its class.

    Hidden files and folders are passed over. A class may be a symbolic link; links to folders below it are
    not followed.
    """
    found, passed = dict[str, str](), list[Path]()
    for path in sorted(path for path in root.iterdir() if not path.name.startswith(".")):
        for parent, folders, names in os.walk(path, onerror=_refuse) if path.is_dir() else ():
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            passed += [Path(parent) / name for name in folders if (Path(parent) / name).is_symlink()]
            for name in sorted(name for name in names if not name.startswith(".")):
                if PurePosixPath(name).suffix.lower().lstrip(".") in EXTENSIONS:
                    found[str((Path(parent) / name).relative_to(root))] = path.name
                else:
                    passed.append(Path(parent) / name)
        if path.name not in found.values():
            cli.warn(f"{path}: no folder with audio; passed over")
    if passed:
        cli.log(f"{root}: passed over {len(passed)} links and files that are not audio, e.g. {passed[0]}")
    if len({*found.values()}) < 2:
        raise UserError(f"{root}: expected audio in at least 2 sub-folders, one a class, as jazz/a.mp3")
    return found


def read_csv(path: str, places: Collection[str]) -> dict[str, dict[str, str]]:
    """Read a table of tracks, by their paths in the corpus, whose letters may be composed or not.

    The case of columns does not count. UserError for a column that is there twice or looks like one of ours
    but is not, and for a path that is there twice or not in ``places``.
    """
    rows = tables.csv_rows(path, tables.read_text(path, "the table of tracks").removeprefix("\ufeff"))
    _, written = next(rows, (1, []))
    header = [name.strip().casefold() for name in written]
    if "path" not in header or len(set(header)) != len(header):
        raise UserError(f"{path}:1: expected a header with 'path' and others, got '{','.join(written)}'")
    unknown = [name for name in header if name not in COLUMNS]
    for name in unknown:
        close = "".join(difflib.get_close_matches(name, COLUMNS, 1, 0.75))
        near = MEANT.get(name.replace("_", "").replace(" ", ""), close)
        if near and near not in header:
            raise UserError(f"{path}:1: unknown column '{name}': is it '{near}'? rename it, or take it out")
    if unknown:
        cli.log(f"{path}: columns that are not used: {', '.join(unknown)}; known are {', '.join(COLUMNS)}")
    spelled = {unicodedata.normalize("NFC", place): place for place in places}
    table: dict[str, dict[str, str]] = {}
    for line, row in ((line, row) for line, row in rows if row):
        if len(row) != len(header):
            raise UserError(f"{path}:{line}: expected {len(header)} columns, got {len(row)}")
        columns = {name: value.strip(" \t") for name, value in zip(header, row, strict=True)}
        place = columns.pop("path").removeprefix("./")
        place = spelled.get(unicodedata.normalize("NFC", place), place)
        if place in table or place not in places:
            wrong = "is there twice" if place in table else "is not in the corpus, relative to its root"
            raise UserError(f"{path}:{line}: path '{place}' {wrong}")
        table[place] = columns
    if rest := sorted(set(places) - table.keys()):
        cli.warn(f"{path}: {len(rest)} of {len(places)} recordings are not listed, e.g. '{rest[0]}'")
    return table


def find_tracks(args: Namespace, root: Path) -> list[Track]:
    """Return every track, artists and split from the sources that were asked for; classes are folders."""
    folders = scan(root)
    table = read_csv(args.csv, folders) if args.csv else {place: {} for place in folders}
    divided = any(row.get("split") for row in table.values())
    tracks = []
    for place, row in table.items():
        match = args.artist_pattern and args.artist_pattern.search(place)
        artist = row.get("artist") or (match and match["artist"]) or ""
        if not artist and args.artist_tags:
            artist = tags.artist(root / place)
        below = PurePosixPath(place).with_suffix("").parts[1:]
        title = " ".join(below[-1:] if artist else below[-2:])
        genre, split = row.get("genre") or folders[place], row.get("split", "")
        if divided and split not in ("train", "test"):
            raise UserError(f"{args.csv}: {place}: expected the split train or test, got '{split}'")
        tracks.append(Track(str(root / place), genre, split, artist, title, place))
    return tracks


def class_names(folders: Iterable[str]) -> dict[str, str]:
    """Return the ASCII name of each class, without blanks and its own."""
    slugs = {folder: ids.slug(folder) for folder in sorted({*folders})}
    times = Counter(slugs.values())
    return {x: slug if times[slug] == 1 else f"{slug}_{ids.digest(x)}" for x, slug in slugs.items()}


def main(argv: list[str] | None = None) -> int:
    """Prepare the folder."""
    parser = prepare_parser(__doc__, splits_by_seed=True)
    add = parser.add_argument
    add("--artist-pattern", type=artist_pattern, metavar="REGEX", help="on the path, with a group 'artist'")
    add("--csv", metavar="FILE", help="table of tracks: path and any of artist, genre, split")
    add("--artist-tags", type=cli.boolean, default=False, help="take the artist from tags")
    args = parser.parse_args(argv)
    tracks = find_tracks(args, args.corpus_root.resolve())
    unknown = ""
    if nameless := sum(not track.artist for track in tracks):
        unknown = f"{nameless} of {len(tracks)} tracks have no artist"
        cli.warn(f"{unknown}; see --artist-pattern, --csv and --artist-tags")
    names = class_names(track.genre for track in tracks)
    for track in tracks:
        track.genre = names[track.genre]
    originals = {name: " ".join(folder.split()) for folder, name in names.items() if name != folder}
    reasons = dict.fromkeys(("train", "test"), unknown)
    write_corpus(args, tracks, sorted(names.values()), reasons, originals)
    return 0


if __name__ == "__main__":
    cli.run(main)
