#!/usr/bin/env python3
"""Write everything that a trained system needs into one zip: no code, no pickle, with checksums.

Where a network would make it larger than --max-megabytes, its weights are rounded (to 12 bits, or as many as
fit), which is said on stderr and in the zip's manifest: posteriors then differ a little from the
experiment's. With --exact true they never do.

Usage: local/export_system.sh [options] <exp-dir> <zip>
e.g.:  local/export_system.sh exp/ismir04_lstm_512/svm_fusion fusion.zip
"""

from pathlib import Path

from steps.classify import parts
from utils import cli


def main(argv: list[str] | None = None) -> int:
    """Export one system."""
    parser = cli.KaldiParser.of(__doc__)
    add = parser.add_argument
    add("--data", type=Path, default=None, metavar="DIR", help="data/<corpus> of the experiment")
    add("--exact", type=cli.boolean, default=False, help="keep all bits of large networks")
    text = "round weights if the zip would be larger"
    add("--max-megabytes", type=cli.finite_float, default=parts.MAX_MEGABYTES, help=text)
    args = parser.parse_args(argv)
    system = parts.collect(args.exp_dir, args.data)
    rounded = parts.export(system, args.zip, exact=args.exact, max_megabytes=args.max_megabytes)
    if rounded:
        cli.warn(f"{args.zip}: {rounded}: below {args.max_megabytes:g} MB; --exact true keeps all bits")
    cli.log(f"{args.zip}: {system.kind}, {' '.join(system.classes)}, {args.zip.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    cli.run(main, echo=False)
