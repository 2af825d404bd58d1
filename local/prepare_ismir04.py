#!/usr/bin/env python3
"""Prepare the ISMIR2004 Genre corpus as the archive unpacks.

Writes <data-dir>/{train,test,evaluation}: wav.scp utt2genre utt2spk spk2utt genres.txt. train is the
archive's training, test its development, as in the paper; evaluation is a second test set.

Magnatune's music, CC BY-NC-SA 1.0, Zenodo record 1302992. The label is the first column of tracklist.csv:
folders bear the eight original genres and are not classes. The artist is the second: the one in the path
is written differently in 126 rows.

Usage: local/prepare_ismir04.py [options] <corpus-root> <data-dir>
e.g.:  local/prepare_ismir04.py /corpora/ismir04_genre data/ismir04
"""

from pathlib import Path, PurePosixPath

from local.corpus.tracks import Track, check_missing, prepare_parser, write_corpus
from utils import tables
from utils.cli import UserError, run

GENRES = ("classical", "electronic", "jazz_blues", "metal_punk", "rock_pop", "world")

#: The paper's train and test are training and development: only their counts are those of its Table 1 (the
#: archive's README errs).
SUBSETS = {"train": "training", "test": "development", "evaluation": "evaluation"}

ANONYMOUS = "the archive replaced the artists of development by numbers; it is likely to have all of train's"
ROOT = "--corpus-root must be the folder with audio/ and metadata/ (local/download_ismir04.sh fetches it)"


def find_file(audio: Path, name: str) -> Path | None:
    """Return the file that a row of tracklist.csv means, or ``None`` if it is not there.

    Two rows have an apostrophe where the disk has ``_`` (70 others are right), one a letter that was lost.
    """
    others = (name.replace("'", "_"), name.replace("5-kruhov\ufffd", "05-kruhovy"))
    return next((path for path in (audio / other for other in (name, *others)) if path.is_file()), None)


def read_archive(root: Path) -> tuple[list[Track], list[str]]:
    """Return the tracks of ``train``, ``test`` and ``evaluation``, and the paths that are missing."""
    tracks, missing = [], []
    for subset, split in SUBSETS.items():
        table, audio = root / "metadata" / split / "tracklist.csv", root / "audio" / split
        for line, row in tables.csv_rows(table, tables.read_text(table, remedy=ROOT)):
            if len(row) not in (6, 7) or row[0] not in GENRES:
                raise UserError(f"{table}:{line}: expected 6 or 7 columns, the first a class, got {row}")
            genre, artist, _album, _title, _number, name = row[:6]
            if (path := find_file(audio, name)) is None:
                missing.append(str(audio / name))
                continue
            place = PurePosixPath(name)
            album = place.parent.name  # a file beside the folders has its artist in front
            title = f"{album} {place.stem}" if album else place.stem.removeprefix(artist)
            tracks.append(Track(str(path), genre, subset, artist, title, f"{split}/{name}"))
    return tracks, missing


def main(argv: list[str] | None = None) -> int:
    """Prepare the corpus."""
    parser = prepare_parser(__doc__)
    parser.add_argument("--allow-missing", type=int, default=0, help="tracks that may be missing")
    args = parser.parse_args(argv)
    tracks, missing = read_archive(args.corpus_root.resolve())
    check_missing(missing, len(tracks) + len(missing), args.allow_missing)
    write_corpus(args, tracks, GENRES, {"test": ANONYMOUS})
    return 0


if __name__ == "__main__":
    run(main)
