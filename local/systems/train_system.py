#!/usr/bin/env python3
"""Train one of the five published systems on the tracks of a data directory.

Reads utt2genre, utt2spk and genres.txt of <data-dir> and <feats-dir>/<kind>.scp; writes <exp-dir>/model.npz,
named arrays, and <exp-dir>/training.json, what made them. With --network FILE what is trained is the network
of sig2014, from <feats-dir>/frames.scp, and only FILE is written.

Usage: local/systems/train_system.py --system NAME [options] <data-dir> <feats-dir> <exp-dir>
e.g.:  local/systems/train_system.py --system lee2009 --config conf/systems/lee2009.conf data/synth/train \
         exp/synth_lee2009/feats_train exp/synth_lee2009
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from steps.arrays import write_arrays
from steps.scoring.reference import Reference, read_artists, read_reference
from steps.systems import registry
from steps.systems.tracks import Tracks
from utils import atomic, cli, provenance


def open_tracks(reference: Reference, feats_dir: Path, kinds: Sequence[str]) -> Tracks:
    """Return the tracks of a data directory with the archives of their features."""
    features = {kind: f"scp:{feats_dir}/{kind}.scp" for kind in kinds}
    utts, artists = list(reference.genre), read_artists(reference)
    return Tracks(utts, reference.classes, reference.labels, artists, features)


def main(argv: list[str] | None = None) -> int:
    """Train a system, or its network."""
    parser = cli.KaldiParser.of(__doc__)
    parser.add_argument("--network", default="", metavar="FILE", help="train the network of sig2014")
    options = registry.parse(parser, sys.argv[1:] if argv is None else argv)
    system = registry.load(options.system)
    reference = read_reference(options.data_dir)
    kinds = ("frames",) if options.network else system.KINDS
    tracks = open_tracks(reference, options.feats_dir, kinds)
    tracks.require_spread()
    if options.network:
        write_arrays(Path(options.network), system.fit_network(tracks, options))
        return 0
    exp = options.exp_dir
    write_arrays(exp / "model.npz", system.fit(tracks, options))
    paths = [options.config] if options.config else []
    with atomic.replacing(exp / "system.conf") as file:  # what features of further tracks are made with
        file.write("".join(provenance.read_texts(paths).values()))
    machines = ["cpu" if options.use_gpu == "no" else f"network with --use-gpu={options.use_gpu}"]
    record = provenance.training_record(paths, options.seed, machines, system=options.system)
    provenance.write_record(exp, record)
    cli.log(f"trained {options.system} on {len(tracks.utts)} tracks: {exp}/model.npz")
    return 0


if __name__ == "__main__":
    cli.run(main)
