#!/usr/bin/env python3
"""Decide the genres of a set of tracks by a trained system, and score the decisions.

Reads <exp-dir>/model.npz and <feats-dir>/<kind>.scp; writes <out-dir>/accuracy.json (Seg_acc; son2008 also
TransSeg_acc, for which the audio of these tracks took part in training; leo2012 also FullSeg_acc, without its
filter) and <out-dir>/predictions_<accuracy>.tsv.

Usage: local/systems/score_system.py --system NAME <data-dir> <feats-dir> <exp-dir> <out-dir>
e.g.:  local/systems/score_system.py --system lee2009 data/synth/test exp/synth_lee2009/feats_test \
         exp/synth_lee2009 exp/synth_lee2009/score_test
"""

from local.systems.train_system import open_tracks
from steps.scoring.reference import read_reference
from steps.scoring.scores import write_decisions
from steps.systems import registry
from utils import cli


def main(argv: list[str] | None = None) -> int:
    """Score one set of tracks."""
    parser = cli.KaldiParser.of(__doc__)
    parser.add_argument("--system", choices=registry.NAMES, required=True, help="which of the systems")
    args = parser.parse_args(argv)
    system = registry.load(args.system)
    reference = read_reference(args.data_dir)
    tracks = open_tracks(reference, args.feats_dir, system.KINDS)
    model = registry.read_arrays(args.exp_dir / "model.npz")
    found = {name: (scores_of(model, tracks), note) for name, (scores_of, note) in system.SCORES.items()}
    write_decisions(args.out_dir, reference, found)
    return 0


if __name__ == "__main__":
    cli.run(main)
