#!/usr/bin/env python3
"""Give every frame of a data directory the class of its track, as Kaldi posteriors.

Reads utt2genre, genres.txt (line number - 1 is the class index) and utt2num_frames; writes
labels.{ark,scp}, the targets of the training tools. Kaldi's recipes get the same from ali-to-post.

Usage: local/make_frame_labels.py <data-dir>
e.g.:  local/make_frame_labels.py data/synth/train_tr
"""

from steps import archive
from steps.scoring.reference import read_num_frames, read_reference
from utils import cli


def main(argv: list[str] | None = None) -> int:
    """Write the labels."""
    args = cli.KaldiParser.of(__doc__).parse_args(argv)
    reference = read_reference(args.data_dir)
    num_frames = read_num_frames(reference)
    target = f"ark,scp:{args.data_dir}/labels.ark,{args.data_dir}/labels.scp"
    with archive.Writer(target, kind="posterior") as writer:
        for utt, label in reference.genre.items():
            writer.write(utt, [[(label, 1.0)]] * num_frames[utt])
    return 0


if __name__ == "__main__":
    cli.run(main)
