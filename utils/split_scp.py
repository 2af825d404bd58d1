#!/usr/bin/env python3
"""Split a file by lines into contiguous parts whose sizes differ by one at most, as Kaldi's split_scp.pl.

Usage: split_scp.py <in.scp> <out.1.scp> [<out.2.scp> …]
 e.g.: split_scp.py data/synth/train/wav.scp exp/wav.1.scp exp/wav.2.scp

Fewer lines than parts are an error.
"""

from __future__ import annotations

from pathlib import Path

from utils import atomic, cli, data_dir


def get_parser() -> cli.KaldiParser:
    """Return the command line's parser."""
    parser = cli.KaldiParser(usage="split_scp.py <in.scp> <out.scp> …", description=__doc__)
    parser.add_argument("scp", type=Path)
    parser.add_argument("outputs", type=Path, nargs="+")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Split the file."""
    args = get_parser().parse_args(argv)
    data, parts = args.scp.read_bytes(), len(args.outputs)
    lines = [line + b"\n" for line in data.removesuffix(b"\n").split(b"\n")] if data else []
    if len(lines) < parts:
        raise cli.UserError(f"{args.scp}: cannot split {len(lines)} lines into {parts} parts")
    for path, piece in zip(args.outputs, data_dir.split_evenly(lines, parts), strict=True):
        with atomic.replacing(path, mode="wb") as stream:
            stream.writelines(piece)
    return 0


if __name__ == "__main__":
    cli.run(main)
