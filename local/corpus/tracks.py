"""From the tracks of a corpus, with class and artist, to Kaldi data directories."""

import re
from argparse import Namespace
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from local.corpus import ids, overlap, splits
from utils import cli, tables
from utils.data_dir import DataDir, write_subset


@dataclass
class Track:
    """One recording; ``utt`` and ``spk`` are given by :func:`name_tracks` where the corpus has no ids."""

    path: str
    genre: str
    subset: str = ""  # train, test or another; it may be undecided yet
    artist: str = ""  # without one the track is its own
    title: str = ""  # tells it from the artist's other recordings
    place: str = ""  # its path within the corpus, the same wherever that lies
    utt: str = ""
    spk: str = ""


def name_tracks(tracks: Sequence[Track]) -> None:
    """Give every track its speaker, the artist, and its utterance id.

    Where two tracks would have the same one, each gets a hash of its place appended, so that an id
    depends on nothing but the recording and those it would be confused with.
    """
    for track in tracks:
        track.spk = ids.slug(track.artist) if track.artist else ""
        first = f"{track.spk}-" if track.spk else f"{ids.slug(track.genre)}_"
        track.utt = first + ids.slug(track.title)
    times, artists = Counter(track.utt for track in tracks), {track.spk for track in tracks}
    for track in tracks:
        if times[track.utt] > 1 or (not track.spk and track.utt in artists):
            track.utt = f"{track.utt}_{ids.digest(track.place)}"
        track.spk = track.spk or track.utt


def prepare_parser(doc: str | None, *, splits_by_seed: bool = False) -> cli.KaldiParser:
    """Return the parser of a program that prepares a corpus."""
    parser = cli.KaldiParser.of(doc)
    add = parser.add_argument
    add("--exclude", metavar="FILE", help="utterances to leave out, with reasons, one a line")
    if splits_by_seed:
        add("--test-percent", type=splits.share, default="25", help="of the tracks of a class")
        add("--seed", type=int, default=777, help="decides among equally good splits")
    return parser


def _leave_out(tracks: list[Track], path: str | None) -> list[Track]:
    if not path:
        return tracks
    lines = tables.read_text(path, "the list of --exclude").split("\n")
    listed = {line.split()[0] for line in lines if line.strip()}
    if absent := sorted(listed - {track.utt for track in tracks}):
        raise cli.UserError(f"{path}: utterance '{absent[0]}' is not in the corpus")
    cli.log(f"{path}: {len(listed)} tracks left out")
    return [track for track in tracks if track.utt not in listed]


def check_missing(missing: Sequence[object], total: int, allowed: int) -> None:
    """Name the files that a corpus lacks; UserError if they are more than ``allowed`` (--allow-missing)."""
    text = f"{len(missing)} of {total} files are missing, e.g. {' '.join(map(str, missing[:20]))}"
    if len(missing) > allowed:
        raise cli.UserError(f"{text}; restore them, or see --allow-missing in conf/prepare_*.conf")
    if missing:
        cli.warn(text)


def _split_by_seed(tracks: Sequence[Track], share: float, seed: int) -> None:
    """Divide the tracks, stratified, no artist on both sides."""
    groups = splits.group_counts({t.utt: t.spk for t in tracks}, {t.utt: t.genre for t in tracks})
    held = splits.choose_held_out(groups, share, seed, floor_share=1.0)
    if lacking := {t.genre for t in tracks} - {t.genre for t in tracks if t.spk in held}:
        raise cli.UserError(
            f"class {min(lacking)}: its tracks are by too few artists for a split with nobody on both sides; "
            "add artists, or give a table with the column split"
        )
    for track in tracks:
        track.subset = "test" if track.spk in held else "train"


def write_corpus(
    args: Namespace,
    tracks: list[Track],
    genres: Sequence[str],
    unknown: Mapping[str, str] | None = None,
    names: Mapping[str, str] | None = None,
) -> None:
    """Write ``<data-dir>/<subset>``: wav.scp utt2genre utt2spk spk2utt genres.txt.

    Tracks are named, left out and divided as far as they are not. ``args`` are those of
    :func:`prepare_parser`; ``unknown`` says of which sets artists are not known, and why (artists_unknown);
    ``names`` what people call a class where that is not its name here (genre2name). A UserError comes before
    anything is written.
    """
    root = args.data_dir
    if not any(track.utt for track in tracks):
        name_tracks(tracks)
    tracks = _leave_out(tracks, args.exclude)
    if not any(track.subset for track in tracks):
        _split_by_seed(tracks, args.test_percent, args.seed)
    counts = {name: Counter[str]() for name in ("train", "test", *sorted({track.subset for track in tracks}))}
    for track in tracks:
        counts[track.subset][track.genre] += 1
        if re.search(r"[\x00-\x1f\ud800-\udfff]|^\s|[\s|]$", track.path):
            raise cli.UserError(
                f"{track.path!r}: a name that is not UTF-8, ends in a blank or '|' or holds a control "
                "character cannot stand in wav.scp; rename the file"
            )
    for genre in genres:
        if not counts["train"][genre] or not counts["test"]:
            lack = f"class {genre} has no track in train" if counts["test"] else "no track is in test"
            found = ", ".join(f"{name}: {count[genre]}" for name, count in sorted(counts.items()))
            raise cli.UserError(f"{root}: {lack} ({found}); add some, change the split or take the class out")
    data = DataDir(str(root))
    for name, column in {"wav.scp": "path", "utt2genre": "genre", "utt2spk": "spk"}.items():
        data.tables[name] = {track.utt: getattr(track, column) for track in tracks}
    for subset, count in counts.items():
        artists = {track.utt: track.spk for track in tracks if track.subset == subset}
        copied = {
            "genres.txt": "".join(f"{genre}\n" for genre in genres),
            "genre2name": "".join(f"{genre} {name}\n" for genre, name in sorted((names or {}).items())),
            "artists_unknown": (unknown or {}).get(subset, ""),
        }
        data.copied = {name: text for name, text in copied.items() if text}
        for name in copied:  # what an earlier preparation left
            (root / subset / name).unlink(missing_ok=True)
        write_subset(data, artists, root / subset)
        per_class = " ".join(f"{genre} {count[genre]}" for genre in genres)
        cli.log(f"{root / subset}: {len(artists)} tracks by {len({*artists.values()})} artists: {per_class}")
    for text in (overlap.describe_artists(root, name) for name in counts if name != "train"):
        (cli.log if "overlap: 0 of" in text else cli.warn)(text)
