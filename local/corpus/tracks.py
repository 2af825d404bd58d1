"""From a list of recordings with class and artist to Kaldi data directories."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.corpus import ids, overlap
from utils import cli, tables
from utils.data_dir import invert


@dataclass(frozen=True)
class Recording:
    """One recording of a corpus; ``place`` is its path within the corpus, the same wherever that lies.

    Without an artist the track is its own artist. The title tells it from the artist's other recordings. A
    subset, ``train`` or ``test``, may be undecided yet.
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
    depends on nothing but the recording and those it would be confused with. UserError if a path cannot
    stand in a Kaldi table.
    """
    named = []
    for recording in recordings:
        _check_path(recording.path)
        title = ids.slug(recording.title)
        if recording.artist:
            spk = ids.slug(recording.artist)
            named.append((spk, f"{spk}-{title}", recording))
        else:
            named.append(("", f"{ids.slug(recording.genre)}_{title}", recording))
    times = Counter(utt for _, utt, _ in named)
    artists = {spk for spk, _, _ in named}
    tracks = []
    for spk, utt, recording in named:
        if times[utt] > 1 or not spk and utt in artists:
            utt = f"{utt}_{ids.digest(recording.place)}"
        tracks.append(Track(utt, spk or utt, recording.genre, recording.path, recording.subset))
    return sorted(tracks, key=lambda track: track.utt)


def prepare_parser(usage: str, description: str | None) -> cli.KaldiParser:
    """Return the parser of a program that prepares a corpus, with what all of these take."""
    parser = cli.KaldiParser(usage, description)
    add = parser.add_argument
    add("--exclude", metavar="FILE", help="utterances to leave out, one a line, a reason may follow it")
    add("corpus_root", type=Path)
    add("data_dir", type=Path)
    return parser


def leave_out(tracks: Sequence[Track], path: str | None) -> list[Track]:
    """Return the tracks that the list of ``--exclude`` does not name.

    UserError with ``path:line`` for an utterance that is not in the corpus.
    """
    if not path:
        return list(tracks)
    known, excluded = {track.utt for track in tracks}, set()
    for number, line in enumerate(tables.read_text(path, "the list of --exclude").split("\n"), start=1):
        utt = line.partition(" ")[0].partition("\t")[0]
        if utt and utt not in known:
            raise cli.UserError(f"{path}:{number}: utterance '{utt}' is not in the corpus")
        excluded.add(utt)
    left = [track for track in tracks if track.utt not in excluded]
    cli.log(f"{path}: {len(tracks) - len(left)} tracks left out")
    return left


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


def write_data_dirs(
    root: str | Path, tracks: Sequence[Track], genres: Sequence[str], names: Mapping[str, str] | None = None
) -> None:
    """Write ``<root>/<subset>``: wav.scp utt2genre utt2spk spk2utt genres.txt, for every subset.

    ``names``, what people call a class where that is not its name here, go to ``genre2name``. UserError,
    before anything is written, if there is no track in test, or a class has none in train.
    """
    subsets: dict[str, list[Track]] = defaultdict(list)
    for track in tracks:
        subsets[track.subset].append(track)
    counts = {name: Counter(track.genre for track in members) for name, members in subsets.items()}
    if "test" not in subsets:
        raise cli.UserError(f"{root}: no track is in test; change the split, the lists or the table's column")
    for genre in genres:
        if not counts.get("train", Counter())[genre]:
            raise cli.UserError(
                f"{root}: class {genre} has no track in train "
                f"({', '.join(f'{name}: {count[genre]}' for name, count in sorted(counts.items()))}); "
                "add tracks, change the split or take the class out"
            )
    for name, members in sorted(subsets.items()):
        _write_data_dir(Path(root) / name, members, genres)
        if names:
            tables.write_table(Path(root) / name / "genre2name", names)
        else:
            (Path(root) / name / "genre2name").unlink(missing_ok=True)
        for genre in genres:
            if not counts[name][genre]:
                cli.warn(f"{name}: class {genre} has no track")
        per_class = " ".join(f"{genre} {counts[name][genre]}" for genre in genres)
        artists = len({track.spk for track in members})
        cli.log(f"{Path(root) / name}: {len(members)} tracks by {artists} artists: {per_class}")


def write_corpus(
    args: Namespace,
    tracks: Sequence[Track],
    genres: Sequence[str],
    unknown: Mapping[str, str],
    *,
    others: Sequence[str] = ("test",),
    names: Mapping[str, str] | None = None,
) -> None:
    """Write the data directories, and report what train shares with the ``others``.

    See :func:`write_data_dirs`, :func:`local.corpus.overlap.report` and :func:`prepare_parser`.
    """
    write_data_dirs(args.data_dir, tracks, genres, names)
    overlap.report(args.data_dir, others, unknown=unknown)


def _write_data_dir(target: Path, tracks: Sequence[Track], genres: Sequence[str]) -> None:
    utt2spk = {track.utt: track.spk for track in tracks}
    tables.write_table(target / "wav.scp", {track.utt: track.path for track in tracks})
    tables.write_table(target / "utt2genre", {track.utt: track.genre for track in tracks})
    tables.write_table(target / "utt2spk", utt2spk)
    tables.write_table(target / "spk2utt", invert(utt2spk))
    tables.write_classes(target / "genres.txt", genres)


def counts_table(counts: Mapping[str, int], expected: Mapping[str, int]) -> str:
    """Return ``class found/expected`` of every class, for a message."""
    return " ".join(f"{genre} {counts.get(genre, 0)}/{expected[genre]}" for genre in expected)
