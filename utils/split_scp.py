#!/usr/bin/env python3
"""Split a file by lines into contiguous parts whose sizes differ by one at most, as Kaldi's split_scp.pl.

Usage: split_scp.py [--at-most N] <scp> <output>...
 e.g.: utils/split_scp.py in.scp out.1.scp out.2.scp
        nj=$(utils/split_scp.py --at-most 8 data/synth/train/wav.scp exp/wav.JOB.scp)

Fewer lines than parts are an error; with --at-most, there are fewer parts then. How many is printed.
"""

from pathlib import Path

from utils import atomic, cli


def main(argv: list[str] | None = None) -> int:
    """Split the file."""
    parser = cli.KaldiParser.of(__doc__)
    parser.add_argument("--at-most", type=cli.positive_int, metavar="N", help="parts, numbered for JOB")
    args = parser.parse_args(argv)
    data, outputs = args.scp.read_bytes(), args.outputs
    lines = [line + b"\n" for line in data.removesuffix(b"\n").split(b"\n")] if data else []
    if args.at_most:
        numbers = range(1, max(1, min(args.at_most, len(lines))) + 1)
        outputs = [Path(str(outputs[0]).replace("JOB", str(number))) for number in numbers]
    parts = len(outputs)
    if len(lines) < parts:
        raise cli.UserError(f"{args.scp}: cannot split {len(lines)} lines into {parts} parts")
    size, larger = divmod(len(lines), parts)  # the larger parts first
    for part, path in enumerate(outputs):
        begin = part * size + min(part, larger)
        with atomic.replacing(path, mode="wb") as stream:
            stream.writelines(lines[begin : begin + size + (part < larger)])
    if args.at_most:
        print(parts)
    return 0


if __name__ == "__main__":
    cli.run(main)
