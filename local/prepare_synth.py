#!/usr/bin/env python3
"""Prepare the embedded corpus: its tracks.csv (local/make_synth_corpus.py) becomes Kaldi data directories.

Writes <data-dir>/{train,test}/ with wav.scp, utt2genre, utt2spk, spk2utt and genres.txt. An utterance is
<artist>-<genre>-<number> and the speaker is the artist.

Usage: local/prepare_synth.py [options] <corpus-dir> <data-dir>
e.g.:  local/prepare_synth.py corpora/synth data/synth
"""

from local import synth
from local.corpus import artists
from local.corpus.tracks import Track, prepare_parser, write_data_dirs
from utils import cli


def main(argv: list[str] | None = None) -> int:
    """Write the data directories of both sides."""
    args = prepare_parser(__doc__).parse_args(argv)
    tracks = []
    for place, row in artists.read_csv(args.corpus_dir / "tracks.csv").items():
        path = args.corpus_dir / place
        if not path.is_file():
            raise cli.UserError(f"{path} of tracks.csv is missing; make the corpus again")
        spk, genre, split = (row.get(name, "") for name in ("artist", "genre", "split"))
        tracks.append(Track(path.stem, spk, genre, str(path), split))
    write_data_dirs(args.data_dir, sorted(tracks, key=lambda track: track.utt), list(synth.GENRES))
    return 0


if __name__ == "__main__":
    cli.run(main)
