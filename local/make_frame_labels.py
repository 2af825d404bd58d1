#!/usr/bin/env python3
"""Give every frame of a data directory the class of its track, as Kaldi posteriors.

Reads utt2genre, genres.txt (line number - 1 is the class index) and utt2num_frames; writes labels.ark and
labels.scp, one (index, 1.0) a frame: what nnet_train_frmshuff.py and nnet_train_lstm_streams.py take as
targets. Kaldi's recipes get the same from ali-to-post.

Usage: make_frame_labels.py <data-dir>
 e.g.: make_frame_labels.py data/synth/train_tr
"""

from __future__ import annotations

import re
from pathlib import Path

from steps import archive
from utils import cli, tables


def get_parser() -> cli.KaldiParser:
    """Return the command line of this program."""
    parser = cli.KaldiParser("make_frame_labels.py <data-dir>", __doc__)
    parser.add_argument("data_dir", type=Path)
    return parser


def read_labels(data_dir: Path) -> dict[str, tuple[int, int]]:
    """Return the class index and the number of frames of each utterance.

    Raises
    ------
    UserError
        If a track's class is not in genres.txt, or the tables do not list the same utterances.
    """
    genres = tables.read_lines(data_dir / "genres.txt")
    index = {genre: number for number, genre in enumerate(genres)}
    utt2genre = tables.read_table(data_dir / "utt2genre")
    utt2num_frames = tables.read_table(data_dir / "utt2num_frames")
    if different := sorted(utt2genre.keys() ^ utt2num_frames.keys()):
        raise cli.UserError(
            f"{data_dir}: utt2genre has {len(utt2genre)} utterances, utt2num_frames {len(utt2num_frames)}; "
            f"'{different[0]}' is in only one of them; compute the features of all tracks first"
        )
    labels = {}
    for utt, genre in utt2genre.items():
        if genre not in index:
            raise cli.UserError(
                f"{data_dir}/utt2genre: {utt}: class '{genre}' is not in genres.txt ({' '.join(genres)})"
            )
        frames = utt2num_frames[utt]
        if not re.fullmatch(r"[1-9][0-9]{0,7}", frames):
            raise cli.UserError(
                f"{data_dir}/utt2num_frames: {utt}: expected a number of frames, got '{frames}'"
            )
        labels[utt] = index[genre], int(frames)
    return labels


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit status."""
    args = get_parser().parse_args(argv)
    labels = read_labels(args.data_dir)
    target = f"ark,scp:{args.data_dir}/labels.ark,{args.data_dir}/labels.scp"
    with archive.Writer(target, kind="posterior") as writer:
        for utt, (label, frames) in labels.items():
            writer.write(utt, [[(label, 1.0)]] * frames)
    total = sum(frames for _, frames in labels.values())
    cli.log(f"{args.data_dir}: labels of {total} frames in {len(labels)} tracks")
    return 0


if __name__ == "__main__":
    cli.run(main)
