#!/usr/bin/env python3
"""Train one of the five published systems on the tracks of a data directory, or let it decide about them.

Training reads utt2genre, utt2spk and genres.txt of <data-dir> and <feats-dir>/<kind>.scp; writes
<exp-dir>/model.npz, named arrays, and <exp-dir>/training.json, what made them. With --network FILE what is
trained is the network of sig2014, from <feats-dir>/frames.scp, and only FILE is written. With --score DIR
<exp-dir>/model.npz decides, and DIR gets predictions and accuracy.json: Seg_acc; of son2008 TransSeg_acc,
for which the audio of these tracks took part in training; of leo2012 FullSeg_acc, without its filter.

Usage: local/systems/system.py --system NAME [options] <data-dir> <feats-dir> <exp-dir>
e.g.:  local/systems/system.py --system lee2009 --config conf/systems/lee2009.conf data/synth/train \
         exp/synth_lee2009/feats_train exp/synth_lee2009
"""

import sys
from pathlib import Path

from steps.arrays import read_model, write_arrays
from steps.scoring.reference import read_artists, read_reference
from steps.scoring.scores import write_decisions
from steps.systems import registry
from steps.systems.tracks import Tracks
from utils import atomic, cli, provenance


def main(argv: list[str] | None = None) -> int:
    """Train a system, or its network, or score one set of tracks."""
    parser = cli.KaldiParser.of(__doc__)
    parser.add_argument("--network", default="", metavar="FILE", help="train the network of sig2014")
    parser.add_argument("--score", default="", metavar="DIR", help="decide, and write the results there")
    options = registry.parse(parser, sys.argv[1:] if argv is None else argv)
    system, exp = registry.load(options.system), options.exp_dir
    reference = read_reference(options.data_dir)
    kinds = ("frames",) if options.network else system.KINDS
    features = {kind: f"scp:{options.feats_dir}/{kind}.scp" for kind in kinds}
    tracks = Tracks(reference.path, reference.classes, reference.genre, read_artists(reference), features)
    if options.score:
        model = read_model(exp / "model.npz", "a trained system", dict)
        found = {name: (scores_of(model, tracks), note) for name, (scores_of, note) in system.SCORES.items()}
        write_decisions(Path(options.score), reference, found)
        return 0
    tracks.require_spread()
    if options.network:
        write_arrays(Path(options.network), system.fit_network(tracks, options))
        return 0
    write_arrays(exp / "model.npz", system.fit(tracks, options))
    paths = [options.config] if options.config else []
    with atomic.replacing(exp / "system.conf") as file:  # what features of further tracks are made with
        file.write("".join(provenance.read_texts(paths).values()))
    machines = ["cpu" if options.use_gpu == "no" else f"network with --use-gpu={options.use_gpu}"]
    record = provenance.training_record(paths, options.seed, machines, system=options.system)
    provenance.write_record(exp, record)
    cli.log(f"trained {options.system} on {len(reference.genre)} tracks: {exp}/model.npz")
    return 0


if __name__ == "__main__":
    cli.run(main)
