"""From a list of recordings with class and artist to Kaldi data directories."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.corpus import ids
from utils import cli, tables
from utils.data_dir import invert


@dataclass(frozen=True)
class Recording:
    """One recording of a corpus; ``place`` is its path within the corpus, the same wherever that lies.

    Without an artist the track is its own artist. The title tells it from the artist's other recordings. A
    subset, such as ``train`` or ``test``, may be undecided yet.
    """

    path: str
    genre: str
    artist: str
    title: str
    place: str
    subset: str = ""


@dataclass(frozen=True)
class Track:
    """A recording with its utterance id and its speaker, the artist."""

    utt: str
    spk: str
    genre: str
    path: str
    subset: str = ""


def name_tracks(recordings: Iterable[Recording]) -> list[Track]:
    """Give every recording its utterance id.

    Where two recordings would have the same one, each gets a hash of its place appended, so that an id
    depends on nothing but the recording and those it would be confused with.
    """
    named = []
    for recording in recordings:
        _check_path(recording.path)
        spk = ids.slug(recording.artist) if recording.artist else ""
        first = f"{spk}-" if spk else f"{ids.slug(recording.genre)}_"
        named.append((spk, first + ids.slug(recording.title), recording))
    times, artists = Counter(utt for _, utt, _ in named), {spk for spk, _, _ in named}
    tracks = []
    for spk, utt, recording in named:
        if times[utt] > 1 or not spk and utt in artists:
            utt = f"{utt}_{ids.digest(recording.place)}"
        tracks.append(Track(utt, spk or utt, recording.genre, recording.path, recording.subset))
    return sorted(tracks, key=lambda track: track.utt)


def _check_path(path: str) -> None:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError as error:
        raise cli.UserError(f"{path!r}: the name is not UTF-8; rename the file") from error
    if path != path.strip() or path.endswith("|") or any(ord(c) < 32 for c in path):
        raise cli.UserError(
            f"{path!r}: a name that ends in a blank or '|' or holds a control character cannot stand in "
            "wav.scp; rename the file"
        )


def prepare_parser(doc: str | None) -> cli.KaldiParser:
    """Return the parser of a program that prepares a corpus, with what all of these take."""
    parser = cli.KaldiParser.of(doc)
    text = "utterances to leave out, one a line, a reason may follow it"
    parser.add_argument("--exclude", metavar="FILE", help=text)
    return parser


def leave_out(tracks: list[Track], path: str | None) -> list[Track]:
    """Return the tracks that the list of ``--exclude`` does not name; UserError for one that is not there."""
    if not path:
        return tracks
    known, excluded = {track.utt for track in tracks}, set()
    for number, line in enumerate(tables.read_text(path, "the list of --exclude").split("\n"), start=1):
        utt = line.partition(" ")[0].partition("\t")[0]
        if utt and utt not in known:
            raise cli.UserError(f"{path}:{number}: utterance '{utt}' is not in the corpus")
        excluded.add(utt)
    left = [track for track in tracks if track.utt not in excluded]
    cli.log(f"{path}: {len(tracks) - len(left)} tracks left out")
    return left


def write_data_dirs(
    root: Path, tracks: Sequence[Track], genres: Sequence[str], names: Mapping[str, str] | None = None
) -> None:
    """Write ``<root>/<subset>``: wav.scp utt2genre utt2spk spk2utt genres.txt, for every subset.

    ``names``, what people call a class where that is not its name here, go to ``genre2name``. UserError,
    before anything is written, if there is no track in test, or a class has none in train.
    """
    counts = {name: Counter[str]() for name in ("train", *sorted({track.subset for track in tracks}))}
    for track in tracks:
        counts[track.subset][track.genre] += 1
    if "test" not in counts:
        raise cli.UserError(f"{root}: no track is in test; change the split, the lists or the table's column")
    for genre in genres:
        if not counts["train"][genre]:
            found = ", ".join(f"{name}: {count[genre]}" for name, count in sorted(counts.items()))
            raise cli.UserError(
                f"{root}: class {genre} has no track in train ({found}); add some, change the split or take "
                "the class out"
            )
    for name, count in counts.items():
        members = [track for track in tracks if track.subset == name]
        utt2spk = {track.utt: track.spk for track in members}
        tables.write_table(root / name / "wav.scp", {track.utt: track.path for track in members})
        tables.write_table(root / name / "utt2genre", {track.utt: track.genre for track in members})
        tables.write_table(root / name / "utt2spk", utt2spk)
        tables.write_table(root / name / "spk2utt", invert(utt2spk))
        tables.write_classes(root / name / "genres.txt", genres)
        if names:
            tables.write_table(root / name / "genre2name", names)
        else:
            (root / name / "genre2name").unlink(missing_ok=True)
        for genre in genres:
            if not count[genre]:
                cli.warn(f"{name}: class {genre} has no track")
        per_class = " ".join(f"{genre} {count[genre]}" for genre in genres)
        artists = len(set(utt2spk.values()))
        cli.log(f"{root / name}: {len(members)} tracks by {artists} artists: {per_class}")
