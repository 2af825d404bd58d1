#!/usr/bin/env python3
"""Split a file by lines into contiguous parts whose sizes differ by one at most, as Kaldi's split_scp.pl.

Usage: split_scp.py <most> <scp> <part>
 e.g.: nj=$(utils/split_scp.py 8 data/synth/train/wav.scp exp/wav.JOB.scp)

There are <most> parts, or as many as lines; their number is printed, and JOB in a part's name is its own.
"""

from pathlib import Path

from utils import atomic, cli


def main(argv: list[str] | None = None) -> int:
    """Split the file."""
    args = cli.KaldiParser.of(__doc__, most=cli.positive_int).parse_args(argv)
    with args.scp.open("rb") as file:
        lines = list(file)
    if not lines:
        raise cli.UserError(f"{args.scp}: empty")
    parts = min(args.most, len(lines))
    size, larger = divmod(len(lines), parts)  # the larger parts first
    for part in range(parts):
        begin = part * size + min(part, larger)
        with atomic.replacing(Path(str(args.part).replace("JOB", str(part + 1))), mode="wb") as stream:
            stream.writelines(lines[begin : begin + size + (part < larger)])
    print(parts)
    return 0


if __name__ == "__main__":
    cli.run(main)
