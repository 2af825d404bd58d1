#!/usr/bin/env python3
r"""Prepare a folder of one's own: one sub-folder a class, recordings anywhere below it.

Writes <data-dir>/{train,test}. The artist of a track comes from a pattern on its path, from a table, or
from the file's tags; without any of them each track counts as its own artist. The split is stratified by
class, no artist is on both sides, and the seed decides; or it is given by lists or by the table.

The table (--csv) has a header and the columns path (relative to the corpus root) and any of artist, genre
(in place of the folder) and split (train or test).

Usage: prepare_folder.py [options] <corpus-root> <data-dir>
 e.g.: prepare_folder.py --artist-pattern '^[^/]+/(?P<artist>[^/]+)/' ~/music data/music
 e.g.: prepare_folder.py --csv tracks.csv ~/music data/music
 e.g.: prepare_folder.py --artist-tags true --train-list a.txt --test-list b.txt ~/music data/music
"""

from __future__ import annotations

from pathlib import Path

from local.corpus import artists, folder
from local.corpus.tracks import Track, leave_out, name_tracks, prepare_parser, write_corpus
from steps.audio import tags
from utils import cli


def get_parser() -> cli.KaldiParser:
    """Return the command line of this program."""
    parser = prepare_parser("prepare_folder.py [options] <corpus-root> <data-dir>", __doc__)
    parser.add_argument(
        "--artist-pattern", metavar="REGEX", help="on the relative path, with a group 'artist'"
    )
    parser.add_argument("--csv", metavar="FILE", help="table of tracks: path and any of artist, genre, split")
    parser.add_argument("--artist-tags", type=cli.boolean, default=False, help="take the artist from tags")
    parser.add_argument(
        "--test-percent", type=cli.finite_float, default=25.0, help="of the tracks of a class"
    )
    parser.add_argument("--seed", type=int, default=777, help="decides among equally good splits")
    parser.add_argument("--train-list", metavar="FILE", help="tracks of train, one path or utterance a line")
    parser.add_argument(
        "--test-list", metavar="FILE", help="tracks of test; without --train-list the rest is train"
    )
    return parser


def find_rows(args, root: Path) -> list[tuple[str, str, str, str]]:
    """Return (class, path, artist, split) of every recording, from the sources that were asked for.

    UserError if more than one source of artists is given, or one fails.
    """
    if bool(args.artist_pattern) + bool(args.csv) + args.artist_tags > 1:
        raise cli.UserError("give one of --artist-pattern, --csv and --artist-tags true, not several")
    pattern = artists.compile_pattern(args.artist_pattern) if args.artist_pattern else None
    found = folder.scan(root)
    if args.csv:
        rows = folder.merge_table(found, artists.read_csv(args.csv), args.csv)
    elif pattern:
        rows = [(genre, place, artists.from_path(pattern, place), "") for genre, place in found]
    elif args.artist_tags:
        rows = [(genre, place, tags.artist(root / place), "") for genre, place in found]
    else:
        rows = [(genre, place, "", "") for genre, place in found]
    nameless = sum(not artist for _, _, artist, _ in rows)
    if nameless:
        cli.warn(
            f"{nameless} of {len(rows)} tracks have no artist and count as their own: train and test may "
            "share artists; name them by --artist-pattern, --csv or --artist-tags true"
        )
    return rows


def divide(args, tracks: list[Track], utts: dict[str, str]) -> list[Track]:
    """Put every track into train or test.

    UserError if the lists, the table's column and the seed do not give one answer.
    """
    named = [track for track in tracks if track.subset]
    if named and (args.train_list or args.test_list):
        raise cli.UserError(f"{args.csv} has a column split: give it or lists, not both")
    if named:
        if wrong := next((t for t in tracks if t.subset not in ("train", "test")), None):
            raise cli.UserError(
                f"{args.csv}: {wrong.path}: expected the split train or test, got '{wrong.subset}'"
            )
        return tracks
    if args.train_list and not args.test_list:
        raise cli.UserError("--train-list is given without --test-list; give both, or the test list alone")
    if not args.test_list:
        return folder.split_by_seed(tracks, args.test_percent, args.seed)
    test = folder.read_list(args.test_list, list(utts), utts)
    rest = {track.utt for track in tracks} - test
    train = folder.read_list(args.train_list, list(utts), utts) if args.train_list else rest
    return folder.split_by_lists(tracks, train, test)


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit status."""
    args = get_parser().parse_args(argv)
    root = args.corpus_root.resolve()
    rows = find_rows(args, root)
    names = folder.class_names([genre for genre, _, _, _ in rows])
    rows = [(names[genre], place, artist, split) for genre, place, artist, split in rows]
    tracks = leave_out(name_tracks(folder.recordings(root, rows)), args.exclude)
    places = {str(root / place): place for _, place, _, _ in rows}
    tracks = divide(args, tracks, {places[track.path]: track.utt for track in tracks})
    originals = {name: folder for folder, name in names.items() if name != folder}
    nameless = sum(not artist for _, _, artist, _ in rows)
    unknown = {"test": f"{nameless} of {len(rows)} tracks have no artist"} if nameless else {}
    write_corpus(args, tracks, sorted(set(names.values())), unknown, names=originals)
    return 0


if __name__ == "__main__":
    cli.run(main)
