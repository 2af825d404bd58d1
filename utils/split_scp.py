#!/usr/bin/env python3
"""Split a file by lines into contiguous parts whose sizes differ by one at most, as Kaldi's split_scp.pl.

Usage: split_scp.py <in.scp> <out.1.scp> [<out.2.scp> …]
   or: split_scp.py -j <num-jobs> <job> [--one-based] <in.scp> [<out.scp>]
 e.g.: split_scp.py data/synth/train/wav.scp exp/wav.1.scp exp/wav.2.scp

With -j, writes one part only (jobs count from 0, with --one-based from 1), to stdout if no file is named.
Fewer lines than parts are an error.
"""

from __future__ import annotations

import sys
from pathlib import Path

from utils import atomic, cli, data_dir


def get_parser() -> cli.KaldiParser:
    """Return the command line's parser."""
    parser = cli.KaldiParser(
        usage="split_scp.py [-j <num-jobs> <job>] <in.scp> [<out.scp> …]", description=__doc__
    )
    parser.add_argument("-j", nargs=2, type=int, metavar=("NUM_JOBS", "JOB"), help="write this part only")
    parser.add_argument("--one-based", action="store_true", help="-j counts jobs from 1")
    parser.add_argument("scp", type=Path)
    parser.add_argument("outputs", type=Path, nargs="*")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Split the file."""
    parser = get_parser()
    args = parser.parse_args(argv)
    parts, job = len(args.outputs), None
    if args.j:
        parts, job = args.j[0], args.j[1] - int(args.one_based)
        if parts < 1 or not 0 <= job < parts or len(args.outputs) > 1:
            parser.error(f"-j {args.j[0]} {args.j[1]}: expected one of the jobs and at most one output file")
    elif not parts:
        parser.error("expected output files")
    data = args.scp.read_bytes()
    lines = [line + b"\n" for line in data.removesuffix(b"\n").split(b"\n")] if data else []
    if len(lines) < parts:
        raise cli.UserError(f"{args.scp}: cannot split {len(lines)} lines into {parts} parts")
    pieces = [b"".join(piece) for piece in data_dir.split_evenly(lines, parts)]
    if job is not None:
        pieces = [pieces[job]]
        if not args.outputs:
            sys.stdout.buffer.write(pieces[0])
    for path, piece in zip(args.outputs, pieces, strict=False):
        with atomic.replacing(path, mode="wb") as stream:
            stream.write(piece)
    return 0


if __name__ == "__main__":
    cli.run(main)
