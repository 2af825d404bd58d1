#!/usr/bin/env python3
"""Prepare the embedded corpus: its tracks.csv becomes Kaldi data directories.

    local/prepare_synth.py <corpus-dir> <data-dir>
    e.g.: local/prepare_synth.py corpora/synth data/synth

Reads <corpus-dir>/tracks.csv (see local/make_synth_corpus.py). Writes <data-dir>/{train,test}/ with wav.scp,
utt2genre, utt2spk, spk2utt and genres.txt. An utterance is <artist>-<genre>-<number> and the speaker is the
artist. Nothing is written unless every file is there and no artist is on both sides.
"""

from __future__ import annotations

from pathlib import Path

from local.synth.plan import GENRES, SPLITS, TABLE_HEADER
from utils import atomic, cli, tables


def get_parser() -> cli.KaldiParser:
    """Return the parser of the command line."""
    parser = cli.KaldiParser(usage="prepare_synth.py [options] <corpus-dir> <data-dir>", description=__doc__)
    parser.add_argument("corpus_dir", type=Path)
    parser.add_argument("data_dir", type=Path)
    return parser


def read_tracks(corpus: Path) -> list[dict[str, str]]:
    """Read and check tracks.csv.

    Raises
    ------
    UserError
        With ``path:line`` for a missing table, column or file, and for an unknown genre or split.
    """
    table = corpus / "tracks.csv"
    if not table.is_file():
        raise cli.UserError(f"{table}: not found; make the corpus first: local/make_synth_corpus.py {corpus}")
    lines = tables.csv_rows(table, tables.read_text(table))
    _, header = next(lines, (1, []))
    if tuple(header) != TABLE_HEADER:
        raise cli.UserError(
            f"{table}:1: expected the columns {','.join(TABLE_HEADER)}, got {','.join(header)}"
        )
    rows = []
    for line, fields in lines:
        where = f"{table}:{line}"
        if len(fields) != len(TABLE_HEADER):
            raise cli.UserError(f"{where}: expected {len(TABLE_HEADER)} fields, got {len(fields)}")
        row = dict(zip(TABLE_HEADER, fields, strict=True))
        if row["genre"] not in GENRES:
            raise cli.UserError(
                f"{where}: unknown genre '{row['genre']}', expected one of {' '.join(GENRES)}"
            )
        if row["split"] not in SPLITS:
            raise cli.UserError(f"{where}: unknown split '{row['split']}', expected train or test")
        if not (corpus / row["path"]).is_file():
            raise cli.UserError(
                f"{where}: {corpus / row['path']} is missing; make the corpus again: "
                f"local/make_synth_corpus.py {corpus} keeps what is there"
            )
        rows.append(row)
    return rows


def check_sides(corpus: Path, rows: list[dict[str, str]]) -> None:
    """Make sure that every genre is on both sides and no artist and no utterance is twice.

    Raises
    ------
    UserError
        Naming the genre, the artist or the utterance.
    """
    for split in SPLITS:
        for genre in GENRES:
            if not any(row["split"] == split and row["genre"] == genre for row in rows):
                raise cli.UserError(f"{corpus}/tracks.csv: no {split} track of the class {genre}")
    sides = {split: {row["artist"] for row in rows if row["split"] == split} for split in SPLITS}
    if both := sorted(sides["train"] & sides["test"]):
        raise cli.UserError(f"{corpus}/tracks.csv: artists on both sides of the split: {' '.join(both)}")
    stems = [Path(row["path"]).stem for row in rows]
    if twice := sorted({stem for stem in stems if stems.count(stem) > 1}):
        raise cli.UserError(f"{corpus}/tracks.csv: tracks listed twice: {' '.join(twice)}")
    for row in rows:
        if not Path(row["path"]).stem.startswith(f"{row['artist']}-"):
            raise cli.UserError(
                f"{corpus}/tracks.csv: {row['path']} does not begin with its artist {row['artist']}"
            )


def write_side(corpus: Path, rows: list[dict[str, str]], folder: Path) -> None:
    """Write one data directory."""
    utts = {Path(row["path"]).stem: row for row in rows}
    speakers: dict[str, list[str]] = {}
    for utt in sorted(utts):
        speakers.setdefault(utts[utt]["artist"], []).append(utt)
    tables.write_table(folder / "wav.scp", {utt: corpus / row["path"] for utt, row in utts.items()})
    tables.write_table(folder / "utt2genre", {utt: row["genre"] for utt, row in utts.items()})
    tables.write_table(folder / "utt2spk", {utt: row["artist"] for utt, row in utts.items()})
    tables.write_table(folder / "spk2utt", {speaker: " ".join(names) for speaker, names in speakers.items()})
    with atomic.replacing(folder / "genres.txt") as file:
        file.write("".join(f"{genre}\n" for genre in GENRES))


def main(argv: list[str] | None = None) -> int:
    """Write the data directories of both sides."""
    args = get_parser().parse_args(argv)
    rows = read_tracks(args.corpus_dir)
    check_sides(args.corpus_dir, rows)
    for split in SPLITS:
        side = [row for row in rows if row["split"] == split]
        write_side(args.corpus_dir, side, args.data_dir / split)
        artists = len({row["artist"] for row in side})
        cli.log(f"{args.data_dir / split}: {len(side)} tracks of {artists} artists in {len(GENRES)} classes")
    return 0


if __name__ == "__main__":
    cli.run(main)
