#!/usr/bin/env python3
"""Compute what one of the five published systems decides by, every track read once.

Reads 'scp:wav.scp' (one channel, 22 050 Hz); writes <out-dir>/<kind>.{ark,scp} for each kind of features that
the system has: modulation (lee2009), bases (hol2008), gaussians (leo2012), gaussians and patterns (son2008),
activations (sig2014, with --network; without it the frames that its network is trained on).

Usage: steps/compute_track_features.py --system NAME [options] <wav-rspecifier> <out-dir>
e.g.:  steps/compute_track_features.py --system hol2008 --config conf/systems/hol2008.conf \
         scp:data/synth/test/wav22k.scp exp/synth_hol2008/feats_test/1
"""

import sys
from contextlib import ExitStack

from steps import archive
from steps.arrays import read_model
from steps.scattering import wav
from steps.systems import registry, spectra
from utils import cli, progress


def main(argv: list[str] | None = None) -> int:
    """Compute the features of all tracks of a list."""
    parser = cli.KaldiParser.of(__doc__)
    parser.add_argument("--network", default="", metavar="FILE", help="trained network of sig2014")
    options = registry.parse(parser, sys.argv[1:] if argv is None else argv)
    compute = registry.load(options.system).features
    network = read_model(options.network, "a trained network", dict) if options.network else {}
    names = wav.read_names(options.wav_rspecifier)
    writers: dict[str, archive.Writer] = {}
    with ExitStack() as stack:
        for count, (utt, signal) in enumerate(wav.opened(names, spectra.SAMPLE_RATE), start=1):
            if not len(signal):
                raise cli.UserError(f"{utt}: there is no sound in it; leave the track out")
            for kind, matrix in compute(signal, options, network).items():
                if kind not in writers:
                    target = f"ark,scp:{options.out_dir}/{kind}.ark,{options.out_dir}/{kind}.scp"
                    writers[kind] = stack.enter_context(archive.Writer(target))
                writers[kind].write(utt, matrix.astype("float32", copy=False))
            progress.report(count, len(names), "tracks")
    cli.log(f"features of {len(names)} tracks")
    return 0


if __name__ == "__main__":
    cli.run(main)
