#!/usr/bin/env python3
"""Prepare the embedded corpus: its tracks.csv (local/make_synth_corpus.py) becomes Kaldi data directories.

An utterance is <artist>-<genre>-<number> and the speaker is the artist.

Usage: local/prepare_synth.py [options] <corpus-dir> <data-dir>
e.g.:  local/prepare_synth.py corpora/synth data/synth
"""

import csv

from local import synth
from local.corpus.tracks import Track, prepare_parser, write_corpus
from utils import cli, tables


def main(argv: list[str] | None = None) -> int:
    """Write the data directories of both sides."""
    args = prepare_parser(__doc__).parse_args(argv)
    table = tables.read_text(args.corpus_dir / "tracks.csv", "the table of tracks")
    tracks = []
    for row in csv.DictReader(table.splitlines()):
        path = args.corpus_dir / row["path"]
        tracks.append(Track(str(path), row["genre"], row["split"], utt=path.stem, spk=row["artist"]))
    write_corpus(args, tracks, list(synth.GENRES))
    return 0


if __name__ == "__main__":
    cli.run(main)
