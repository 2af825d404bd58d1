#!/usr/bin/env python3
"""Train the system `best`: shrinkage LDAs on pieces of each track and on the order of its frames.

Reads utt2genre, utt2spk and the frames of <data-dir>/train that conf/best/best.conf names, and with
--networks "A B" the out-of-fold posteriors <exp>_A/post_train_crossfit/post.scp; networks that see whole
tracks are trained here, one for each --network-config (steps/classifiers/cross_fit.py). Settings, parts and
calibration are chosen by cross-validation on these tracks, by artist where artists are known. Writes
<exp>_best/best.npz, training.json and score_train/: predictions of the training tracks, each by LDAs, parts
and calibration that it had no part in.

Usage: local/train_best.py [options] <data-dir> <exp>
e.g.:  local/train_best.py --config conf/best/best.conf data/synth exp/synth
"""

import argparse
import re
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from steps.classifiers.ensemble import Trained, cross_calibrated, train
from steps.classifiers.machines import KINDS, LDA
from steps.classifiers.model import (
    NETWORK,
    POSTERIORS,
    VOTE,
    Part,
    frames_file,
    read_frames,
    read_pieces,
    write_ensemble,
)
from steps.classifiers.pieces import STATISTICS, movements
from steps.scoring.reference import Reference, read_artists, read_reference
from steps.scoring.scores import write_decisions
from steps.scoring.svm import Folds, make_folds, positive_floats
from utils import cli, provenance


def part_list(text: str) -> tuple[Part, ...]:
    """Parse ``name:feats:frames:statistics[:classifier],…``."""
    statistic, classifier = "|".join([*STATISTICS, "order"]), "|".join(KINDS)
    pattern = rf"([^:]+):([^:]+):(\d+\.?\d*):((?:{statistic})(?:\+(?:{statistic}))*)(?::({classifier}))?"
    parts = []
    for word in text.split(","):
        if not (match := re.fullmatch(pattern, word)):
            expected = f"<name>:<features>:<frames>:<{statistic}>[:<{classifier}>]"
            raise argparse.ArgumentTypeError(f"expected {expected}, got '{word}'")
        name, feats, frames, statistics, kind = match.groups(LDA)
        parts.append(Part(name, feats, float(frames), statistics, kind))
    return tuple(parts)


def get_parser() -> cli.KaldiParser:
    """Return the command line."""
    parser = cli.KaldiParser.of(__doc__)
    add = parser.add_argument
    add("--parts", type=part_list, default="short:feats:4:mean", help="LDAs, see conf/best/best.conf")
    add("--further-parts", type=part_list, default=(), help="those that must show their use")
    add("--shrinkages", type=positive_floats, default=(0.2, 0.4, 0.6), help="to choose from, up to 1")
    add("--costs", type=positive_floats, default=(0.01, 0.1, 1.0, 10.0), help="of svm, rbf and logistic")
    add("--folds", type=cli.positive_int, default=10, help="folds of the cross-validation")
    add("--part-doubt", type=cli.finite_float, default=-1.0, help="standard errors that it must be missed by")
    add("--further-doubt", type=cli.finite_float, default=1.0, help="the same of further parts and networks")
    add("--seed", type=int, default=777, help="of the folds")
    add("--networks", default="", metavar='"A B"', help="networks with out-of-fold posteriors")
    add("--network-config", action="append", default=[], metavar="FILE", help="as conf/best/attention.conf")
    return parser


def train_networks(reference: Reference, args: argparse.Namespace) -> Iterator[tuple[Part, np.ndarray]]:
    """Cross-fit the networks that have a configuration; return them and log posteriors of their tracks."""
    if not args.network_config:
        return  # without torch, which takes seconds to import
    from steps.classifiers.cross_fit import NetworkOptions, cross_fit

    folds, _ = split(reference, 5, args.seed)  # a network each
    for path in args.network_config:
        parser = cli.KaldiParser("conf/best/<network>.conf", "Networks that see whole tracks.")
        for item in fields(NetworkOptions):
            kind = positive_floats if isinstance(item.default, tuple) else type(item.default)
            parser.add_argument(f"--{item.name.replace('_', '-')}", type=kind, default=item.default)
        values = vars(parser.parse_args(["--config", path]))
        options = NetworkOptions(**{item.name: values[item.name] for item in fields(NetworkOptions)})

        def read(feats: str = options.feats) -> Iterator[np.ndarray]:
            return (frames for _, frames in read_frames(reference, feats))  # as sorted as utt2genre

        arrays, held = cross_fit(read, reference.labels, len(reference.classes), folds, options)
        yield Part(Path(path).stem, options.feats, 0.0, NETWORK, arrays=arrays), held


def split(reference: Reference, folds: int, seed: int) -> tuple[Folds, str]:
    """Return the folds of the training tracks, and what they keep apart."""
    pairs, grouped = make_folds(reference.labels, read_artists(reference), reference.classes, folds, seed)
    if sum(len(held) for _, held in pairs) != len(reference.labels):
        raise cli.UserError(f"{reference.path}: too few tracks of a class for {folds} folds")
    return pairs, f"{len(pairs)}-fold {'artist-grouped' if grouped else 'stratified'}"


def train_system(reference: Reference, args: argparse.Namespace) -> tuple[Trained, np.ndarray, str]:
    """Train as the command line says, on the tracks of the data directory ``reference``.

    Returns what was trained; calibrated log posteriors (num_tracks, C) of these tracks, each by what it had
    no part in; and how the system was chosen.
    """
    labels, networks = reference.labels, args.networks.split()
    folds, how = split(reference, args.folds, args.seed)
    posteriors = f"{args.exp}_{{}}/post_train_crossfit/post.scp"
    parts = []
    for part in args.parts + args.further_parts:
        scp = frames_file(reference.path, part.feats, posteriors)
        if not scp.is_file() or (part.network and part.network not in networks):
            why = "is not there, or its network not of --networks"
            cli.log(f"part '{part.name}' is left out: {scp} {why}; see --scattering-config, --post-crossfit")
            continue
        if "order" in part.statistics.split("+"):
            tracks = (frames for _, frames in read_frames(reference, part.feats, posteriors))
            part = replace(part, arrays={"projection": movements(tracks)})
        parts.append(part)
    if not parts:
        raise cli.UserError(f"{reference.path}: no features of any part; run stage 2")
    parts += [Part(name, f"{POSTERIORS}{name}", 0.0, VOTE) for name in networks]
    given = read_pieces(reference, parts, posteriors)
    for part, scores in train_networks(reference, args):
        parts.append(part)
        given[part.name] = list(scores[:, np.newaxis])
    if len(given) < len(parts):
        raise cli.UserError(f"two parts have one name: {' '.join(part.name for part in parts)}")
    doubts = {part.name: args.part_doubt if part in args.parts else args.further_doubt for part in parts}
    grids = sorted(args.shrinkages), sorted(args.costs)
    trained = train(parts, given, labels, reference.classes, folds, grids[0], doubts, grids[1])
    held = cross_calibrated(trained.out_of_fold, labels, folds, doubts)
    kept = {member.name for member in trained.ensemble.members}
    words = []
    for name, scores in trained.out_of_fold.items():
        right = int((scores.argmax(axis=1) == labels).sum())
        words.append(f"{name} {right}{'' if name in kept else ' (left out)'}")
    return trained, held, f"right in {how} cross-validation on train, of {len(labels)}: {', '.join(words)}"


def main(argv: list[str] | None = None) -> int:
    """Train the system."""
    args = get_parser().parse_args(argv)
    reference = read_reference(args.data_dir / "train")
    trained, held, notes = train_system(reference, args)
    out = args.exp.with_name(f"{args.exp.name}_best")
    found = {"Seg_acc": (np.exp(held), f"out of fold; {notes}")}
    write_decisions(out / "score_train", reference, found, probabilities=True)
    write_ensemble(out / "best.npz", trained.ensemble)
    chosen = {part.name: part.setting for part in trained.ensemble.members}
    texts = [*filter(None, [args.config]), *args.network_config]
    record = provenance.training_record(texts, args.seed, notes=notes, shrinkages=chosen)
    provenance.write_record(out, record)
    cli.log(f"{notes}; wrote {out}/best.npz")
    return 0


if __name__ == "__main__":
    cli.run(main)
