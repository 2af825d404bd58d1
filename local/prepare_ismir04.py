#!/usr/bin/env python3
"""Prepare the ISMIR2004 Genre corpus as the archive unpacks.

Writes <data-dir>/{train,test,evaluation}: wav.scp utt2genre utt2spk spk2utt genres.txt. train is the
archive's training, test its development, as in the paper; evaluation is a second test set. The counts
must be those of the paper's Table 1. What train shares with the other sets is in <data-dir>/overlap.txt.

Magnatune's music, CC BY-NC-SA 1.0, Zenodo record 1302992: 729 full tracks in each of ``training``,
``development`` and ``evaluation``. The label is the first column of tracklist.csv; folders bear the
eight original genres and are not classes. The artist is the second column: the one in the path is
written differently in 126 rows.

Usage: local/prepare_ismir04.py [options] <corpus-root> <data-dir>
e.g.:  local/prepare_ismir04.py /corpora/ismir04_genre data/ismir04
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from local.corpus import overlap
from local.corpus.tracks import Recording, leave_out, name_tracks, prepare_parser, write_data_dirs
from utils import tables
from utils.cli import UserError, run, warn

GENRES = ("classical", "electronic", "jazz_blues", "metal_punk", "rock_pop", "world")

#: The paper's train and test are training and development: only their counts are those of its Table 1.
SUBSETS = {"train": "training", "test": "development", "evaluation": "evaluation"}

#: Tracks of each class, in the order of GENRES (Table 1 of the paper; the archive's README errs).
COUNTS = {
    "train": (320, 115, 26, 45, 101, 122),
    "test": (320, 114, 26, 45, 102, 122),
    "evaluation": (319, 115, 26, 45, 101, 123),
}

#: The one row whose file cannot be found by a rule; U+FFFD stands in tracklist.csv itself.
_ALBUM = "electronic/strojovna_07/dirnix"
RENAMED = {f"{_ALBUM}/5-kruhov\ufffd_objazd.mp3": f"{_ALBUM}/05-kruhovy_objazd.mp3"}

ANONYMOUS = "the archive replaced the artists of development by numbers; it is likely to have all of train's"


def read_tracklist(path: Path) -> Iterator[list[str]]:
    """Yield the columns of a tracklist.csv: class, artist, album, track, number, path, and more."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UserError(
            f"{path}: {error.strerror}; --corpus-root must be the folder with audio/ and metadata/ "
            "(local/download_ismir04.sh fetches it)"
        ) from error
    seen: dict[str, int] = {}
    for line, row in tables.csv_rows(path, text):
        where = f"{path}:{line}"
        if len(row) not in (6, 7):
            raise UserError(f"{where}: expected 6 or 7 columns, got {len(row)}")
        if row[0] not in GENRES:
            raise UserError(f"{where}: expected a class ({' '.join(GENRES)}), got '{row[0]}'")
        name = PurePosixPath(row[5])
        if name.is_absolute() or ".." in name.parts or not name.name:
            raise UserError(f"{where}: expected a path below audio/, got '{row[5]}'")
        if seen.setdefault(row[5], line) != line:
            raise UserError(f"{where}: '{row[5]}' is also in line {seen[row[5]]}")
        yield row


def find_file(audio: Path, name: str) -> Path | None:
    """Return the file that a row of tracklist.csv means, or ``None`` if it is not there.

    Of three rows that do not match the disk; in the other 70 paths with apostrophes these are right.
    """
    candidates = (audio / other for other in (name, name.replace("'", "_"), RENAMED.get(name, name)))
    return next((path for path in candidates if path.is_file()), None)


def read_archive(root: Path) -> tuple[list[Recording], list[str]]:
    """Return the recordings of ``train``, ``test`` and ``evaluation``, and the paths that are missing."""
    recordings, missing = [], []
    for subset, split in SUBSETS.items():
        audio = root / "audio" / split
        rows = list(read_tracklist(root / "metadata" / split / "tracklist.csv"))
        if not audio.parent.is_dir():
            need = "--corpus-root must be the folder with audio/ and metadata/"
            raise UserError(f"{audio.parent}: no such folder; {need}")
        for genre, artist, _album, _title, _number, name, *_ in rows:
            if (path := find_file(audio, name)) is None:
                missing.append(str(audio / name))
                continue
            place = PurePosixPath(name)
            album = place.parent.name  # a file beside the folders has its artist in front
            title = f"{album} {place.stem}" if album else place.stem.removeprefix(artist)
            recordings.append(Recording(str(path), genre, artist, title, f"{split}/{name}", subset))
    return recordings, missing


def check_counts(found: Sequence[Recording], missing: list[str], allowed: int) -> None:
    """Compare with Table 1; UserError if more than ``allowed`` tracks lack, or a class has more."""
    lacking, lines = 0, []
    for subset, split in SUBSETS.items():
        counts = Counter(recording.genre for recording in found if recording.subset == subset)
        expected = dict(zip(GENRES, COUNTS[subset], strict=True))
        line = " ".join(f"{genre} {counts[genre]}/{expected[genre]}" for genre in GENRES)
        if counts - Counter(expected):
            more = f"{subset} ({split}): more tracks than Table 1: {line}"
            raise UserError(f"{more}; restore the archive's tracklist.csv")
        if short := sum(expected.values()) - counts.total():
            lacking += short
            lines.append(f"{subset} ({split}): {line}")
    if lacking:
        shown = [*lines, *missing[:20], *([f"... and {len(missing) - 20} more"] if len(missing) > 20 else [])]
        text = f"{lacking} of the tracks in Table 1 are missing:\n  " + "\n  ".join(shown)
        if lacking > allowed:
            remedy = (
                f"unpack the whole archive, or give --allow-missing {lacking} (conf/prepare_ismir04.conf)"
            )
            raise UserError(f"{text}\nunpack the whole archive, or {remedy}")
        warn(text)


def main(argv: list[str] | None = None) -> int:
    """Prepare the corpus."""
    parser = prepare_parser(__doc__)
    parser.add_argument("--allow-missing", type=int, default=0, help="tracks that may be missing")
    args = parser.parse_args(argv)
    found, missing = read_archive(args.corpus_root.resolve())
    check_counts(found, missing, args.allow_missing)
    tracks = leave_out(name_tracks(found), args.exclude)
    present = {recording.subset for recording in found}
    if "evaluation" not in present:
        warn("evaluation: not one track of it is there; run the recipe with --test-sets test")
    write_data_dirs(args.data_dir, tracks, GENRES)
    others = [subset for subset in ("test", "evaluation") if subset in present]
    overlap.report(args.data_dir, others, unknown={"test": ANONYMOUS})
    return 0


if __name__ == "__main__":
    run(main)
