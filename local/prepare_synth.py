#!/usr/bin/env python3
"""Prepare the embedded corpus: its tracks.csv becomes Kaldi data directories.

    local/prepare_synth.py <corpus-dir> <data-dir>
    e.g.: local/prepare_synth.py corpora/synth data/synth

Reads <corpus-dir>/tracks.csv (see local/make_synth_corpus.py). Writes <data-dir>/{train,test}/ with wav.scp,
utt2genre, utt2spk, spk2utt and genres.txt. An utterance is <artist>-<genre>-<number> and the speaker is the
artist.
"""

from __future__ import annotations

import csv
from pathlib import Path

from local import synth
from local.corpus.tracks import Track, prepare_parser, write_data_dirs
from utils import cli, tables


def get_parser() -> cli.KaldiParser:
    """Return the parser of the command line."""
    return prepare_parser("prepare_synth.py [options] <corpus-dir> <data-dir>", __doc__)


def read_tracks(corpus: Path) -> list[Track]:
    """Read tracks.csv; UserError with ``path:line`` for a missing table, column or file."""
    table = corpus / "tracks.csv"
    if not table.is_file():
        raise cli.UserError(f"{table}: not found; make the corpus first: local/make_synth_corpus.py {corpus}")
    reader = csv.DictReader(tables.read_text(table).split("\n"))
    if tuple(reader.fieldnames or ()) != synth.TABLE_HEADER:
        raise cli.UserError(f"{table}:1: expected the columns {','.join(synth.TABLE_HEADER)}")
    tracks = []
    for row in reader:
        path = corpus / (row["path"] or "")
        if None in row.values() or not path.is_file():
            raise cli.UserError(
                f"{table}:{reader.line_num}: {path} is missing; make the corpus again: "
                f"local/make_synth_corpus.py {corpus}"
            )
        tracks.append(Track(path.stem, row["artist"], row["genre"], str(path), row["split"]))
    return sorted(tracks, key=lambda track: track.utt)


def main(argv: list[str] | None = None) -> int:
    """Write the data directories of both sides."""
    args = get_parser().parse_args(argv)
    write_data_dirs(args.data_dir, read_tracks(args.corpus_root), list(synth.GENRES))
    return 0


if __name__ == "__main__":
    cli.run(main)
