#!/usr/bin/env python3
"""Prepare GTZAN: <genre>.NNNNN.{au,wav}, ten classes of 100.

Writes <data-dir>/{train,test}: a stratified share of the excerpts is tested, with exact replicas and excerpts
of one recording on one side. GTZAN does not name its artists: the speaker of an excerpt is its group of
repetitions, so that local/make_folds.py does not divide these either. jazz.00054 is left out of the WAV
release, where it is corrupt.

Source of the list: B. L. Sturm, "The GTZAN dataset: Its contents, its faults, their effects on
evaluation, and its future use", arXiv:1306.1461, 2013. A pair too many costs nothing, one too few leaks.

Usage: local/prepare_gtzan.py [options] <corpus-root> <data-dir>
e.g.:  local/prepare_gtzan.py --test-percent 10 /corpora/gtzan data/gtzan
"""

from local.corpus import ids
from local.corpus.tracks import Track, check_missing, prepare_parser, write_corpus
from utils import cli

GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")

#: Unreadable in the widespread WAV release of the corpus; the original .au decodes.
CORRUPT = "jazz.00054"

#: The numbers of exact replicas (50 excerpts too many, with one across classes) and, behind the bar, of
#: different excerpts of one recording; what overlaps is one group.
REPEATED = {
    "classical": "| 42 53, 51 80",
    "country": "| 8 51, 52 60",
    "disco": "50 51 70, 55 60 89, 71 74, 98 99 | 38 78",
    "hiphop": "39 45, 76 78 | 1 42, 46 65, 47 67, 48 68, 49 69, 50 72",
    "jazz": "33 51, 34 53, 35 55, 36 58, 37 60, 38 62, 39 65, 40 67, 42 68, 43 69, 44 70, 45 71, 46 72 |",
    "metal": "4 13, 34 94, 40 61, 41 62, 42 63, 43 64, 44 65, 45 66 |",
    "pop": "15 22, 30 31, 45 46, 47 80, 52 57, 54 60, 56 59, 67 71, 87 90 "
    "| 15 21 22, 47 48 51, 52 54, 57 60, 68 73",
    "reggae": "3 54, 5 56, 8 57, 10 60, 13 58, 41 69, 73 74, 75 91 92, 80 81 82 | 7 59, 33 44",
}


def repetition_groups() -> dict[str, str]:
    """Return for every excerpt that is repeated the first excerpt of its group."""
    groups = [{"metal.00058", "rock.00016"}]  # the one replica that is in two classes
    for genre, lists in REPEATED.items():
        for numbers in filter(str.strip, lists.replace("|", ",").split(",")):
            names = {f"{genre}.{int(number):05d}" for number in numbers.split()}
            touching = [group for group in groups if group & names]
            groups = [group for group in groups if not group & names] + [names.union(*touching)]
    return {name: min(group) for group in groups for name in group}


def main(argv: list[str] | None = None) -> int:
    """Prepare the corpus."""
    parser = prepare_parser(__doc__, splits_by_seed=True)
    parser.add_argument("--allow-missing", type=int, default=0, help="excerpts that may be missing")
    args = parser.parse_args(argv)
    names = [f"{genre}.{number:05d}" for genre in GENRES for number in range(100)]
    root, depths = args.corpus_root.resolve(), ("*/*.wav", "*/*/*.wav", "*/*.au", "*/*/*.au")
    found = {path.stem: path for depth in depths for path in root.glob(depth)}
    if CORRUPT in found and found[CORRUPT].suffix == ".wav":
        cli.log(f"{found.pop(CORRUPT)}: known to be corrupt, left out")
    missing = [name for name in names if name not in found and name != CORRUPT]
    check_missing(missing, len(names), args.allow_missing)
    first, tracks = repetition_groups(), []
    for name in filter(found.get, names):
        spk, rest = ids.slug(first.get(name, name)), ids.slug(name)
        utt = spk if spk == rest else f"{spk}-{rest}"
        tracks.append(Track(str(found[name]), name.partition(".")[0], utt=utt, spk=spk))
    write_corpus(args, tracks, GENRES, dict.fromkeys(("train", "test"), "GTZAN does not name them"))
    return 0


if __name__ == "__main__":
    cli.run(main)
