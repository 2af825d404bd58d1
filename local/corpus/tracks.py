"""From the tracks of a corpus, with class and artist, to Kaldi data directories."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from local.corpus import ids, overlap
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


def prepare_parser(doc: str | None) -> cli.KaldiParser:
    """Return the parser of a program that prepares a corpus, with what all of these take."""
    parser = cli.KaldiParser.of(doc)
    parser.add_argument("--exclude", metavar="FILE", help="utterances to leave out, with reasons, one a line")
    return parser


def leave_out(tracks: list[Track], path: str | None) -> list[Track]:
    """Return the tracks that the list of ``--exclude`` does not name; UserError for one that is not there."""
    if not path:
        return tracks
    lines = tables.read_text(path, "the list of --exclude").split("\n")
    listed = {line.split()[0]: number for number, line in enumerate(lines, start=1) if line.strip()}
    if absent := sorted(listed.keys() - {track.utt for track in tracks}):
        raise cli.UserError(f"{path}:{listed[absent[0]]}: utterance '{absent[0]}' is not in the corpus")
    cli.log(f"{path}: {len(listed)} tracks left out")
    return [track for track in tracks if track.utt not in listed]


def write_corpus(
    root: Path, tracks: list[Track], genres: Sequence[str], unknown: dict[str, str], names: dict[str, str]
) -> None:
    """Write ``<root>/<subset>``: wav.scp utt2genre utt2spk spk2utt genres.txt, and report the overlap.

    ``unknown`` says of which sets artists are not known, and why; ``names``, what people call a class where
    that is not its name here, go to ``genre2name``. UserError, before anything is written, if there is no
    track in test, a class has none in train, or a path cannot stand in wav.scp.
    """
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
    data = DataDir(str(root), copied={"genres.txt": "".join(f"{genre}\n" for genre in genres)})
    for name, column in {"wav.scp": "path", "utt2genre": "genre", "utt2spk": "spk"}.items():
        data.tables[name] = {track.utt: getattr(track, column) for track in tracks}
    if names:
        data.copied["genre2name"] = "".join(f"{genre} {name}\n" for genre, name in sorted(names.items()))
    for subset, count in counts.items():
        (root / subset / "genre2name").unlink(missing_ok=True)
        artists = {track.utt: track.spk for track in tracks if track.subset == subset}
        write_subset(data, artists, root / subset)
        per_class = " ".join(f"{genre} {count[genre]}" for genre in genres)
        cli.log(f"{root / subset}: {len(artists)} tracks by {len({*artists.values()})} artists: {per_class}")
    overlap.report(root, [name for name in counts if name != "train"], unknown=unknown)
