#!/usr/bin/env python3
"""Write everything that a trained system needs into one zip: no code, no pickle, with checksums.

Where a network would make it larger than 40 MB, its weights are rounded, which is said on stderr and in the
zip's manifest: posteriors then differ a little from the experiment's.

Usage: local/export_system.sh [options] <exp-dir> <zip>
e.g.:  local/export_system.sh exp/ismir04_lstm_512/svm_fusion fusion.zip
"""

from steps.classify import parts
from steps.classify.decide import Classifier
from utils import cli


def main(argv: list[str] | None = None) -> int:
    """Export one system."""
    args = cli.KaldiParser.of(__doc__).parse_args(argv)
    if args.zip.is_dir():
        raise cli.UserError(f"{args.zip}: a folder; name the zip to write")
    system = parts.collect(args.exp_dir)
    Classifier(system)  # which says what does not fit
    if rounded := parts.export(system, args.zip):
        cli.warn(f"{args.zip}: {rounded}")
    if args.zip.stat().st_size >= parts.MAX_ZIP:
        cli.warn(f"{args.zip}: larger than {parts.MAX_ZIP / 1e6:.0f} MB all the same")
    cli.log(f"{args.zip}: {system.kind}, {' '.join(system.classes)}, {args.zip.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    cli.run(main, echo=False)
