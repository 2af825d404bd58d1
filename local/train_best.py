#!/usr/bin/env python3
"""Train the system `best`: shrinkage LDAs on pieces of each track and on the order of its frames.

Reads utt2genre, utt2spk and the frames of <data-dir>/train that conf/best/best.conf names, and with
--networks "A B" the out-of-fold posteriors <exp>_A/post_train_crossfit/post.scp. Settings, parts and
calibration are chosen by cross-validation on these tracks, by artist where artists are known. Writes
<exp>_best/best.npz, training.json and score_train/: predictions of the training tracks, each by LDAs, parts
and calibration that it had no part in.

Usage: local/train_best.py [options] <data-dir> <exp>
e.g.:  local/train_best.py --config conf/best/best.conf data/synth exp/synth
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from steps.classifiers.ensemble import Folds
from steps.classifiers.model import Part, Trained, cross_calibrated, train, write_ensemble
from steps.classifiers.pieces import STATISTICS
from steps.classifiers.score import write_score
from steps.classifiers.tracks import mean_log_posteriors, read_pieces, with_projections
from steps.scoring.reference import Reference, read_artists, read_reference
from steps.scoring.svm_training import SvmOptions, fold_count, make_folds, positive_floats
from utils import cli, provenance


def part_list(text: str) -> tuple[Part, ...]:
    """Parse ``name:feats:frames:statistics,…``."""
    parts = []
    for word in text.split(","):
        fields = word.split(":")
        if len(fields) != 4 or not set(fields[3].split("+")) <= set(STATISTICS):
            raise argparse.ArgumentTypeError(
                f"expected <name>:<features>:<frames>:<{'|'.join(STATISTICS)}>, got '{word}'"
            )
        frames = cli.finite_float(fields[2])
        if frames < 0:
            raise argparse.ArgumentTypeError(f"expected a length of at least 0 frames, got '{word}'")
        parts.append(Part(fields[0], fields[1], frames, fields[3]))
    if len({part.name for part in parts}) != len(parts):
        raise argparse.ArgumentTypeError(f"a part has the name of another one: '{text}'")
    return tuple(parts)


def get_parser() -> cli.KaldiParser:
    """Return the command line."""
    parser = cli.KaldiParser("local/train_best.py [options] <data-dir> <exp>", __doc__)
    add = parser.add_argument
    parts = part_list("short:feats:4:mean")
    add("--parts", type=part_list, default=parts, help="LDAs, see conf/best/best.conf")
    add("--further-parts", type=part_list, default=(), help="those that must show their use")
    add("--shrinkages", type=positive_floats, default=(0.2, 0.4, 0.6), help="to choose from, up to 1")
    add("--folds", type=fold_count, default=10, help="folds of the cross-validation")
    text = "standard errors that a part must be missed by"
    add("--part-doubt", type=cli.finite_float, default=-1.0, help=text)
    add("--further-doubt", type=cli.finite_float, default=1.0, help=f"{text}: further ones, networks")
    add("--seed", type=int, default=777, help="of the folds")
    add("--networks", default="", metavar='"A B"', help="networks with out-of-fold posteriors")
    add("data_dir", type=Path)
    add("exp", type=Path, help="experiments without _<model>")
    return parser


def known_parts(parts: tuple[Part, ...], data_dir: Path) -> list[Part]:
    """Return the parts whose frames are there, and say which are left out."""
    kept = []
    for part in parts:
        scp = data_dir / f"{part.feats}.scp"
        if scp.is_file():
            kept.append(part)
        else:
            cli.log(
                f"{scp}: no such file; part '{part.name}' is left out (--scattering-config makes features)"
            )
    if not kept:
        raise cli.UserError(f"{data_dir}: no features of any part; run stage 2")
    return kept


def describe(trained: Trained, labels: np.ndarray, how: str) -> str:
    """Say how the system was chosen."""
    words = []
    names = {member.name for member in trained.ensemble.members}
    for name, scores in trained.out_of_fold.items():
        right = int((scores.argmax(axis=1) == labels).sum())
        words.append(f"{name} {right}{'' if name in names else ' (left out)'}")
    return f"right in {how} cross-validation on train, of {len(labels)}: {', '.join(words)}"


def split(reference: Reference, labels: np.ndarray, options: argparse.Namespace) -> tuple[Folds, str]:
    """Return the folds of the training tracks, and what they keep apart."""
    given = SvmOptions(folds=options.folds, seed=options.seed)
    folds, grouped = make_folds(labels, read_artists(reference), reference.classes, given)
    held = np.concatenate([part for _, part in folds])
    if len(held) != len(labels):
        raise cli.UserError(f"{reference.path}: too few tracks of a class for {options.folds} folds")
    return folds, f"{len(folds)}-fold {'artist-grouped' if grouped else 'stratified'}"


def main(argv: list[str] | None = None) -> int:
    """Train the system."""
    args = get_parser().parse_args(argv)
    reference = read_reference(args.data_dir / "train")
    labels = reference.labels
    folds, how = split(reference, labels, args)
    if shared := {part.name for part in args.parts} & {part.name for part in args.further_parts}:
        raise cli.UserError(f"--further-parts: '{min(shared)}' is among --parts; give it another name")
    parts = with_projections(reference, known_parts(args.parts + args.further_parts, reference.path))
    given: dict = dict(read_pieces(reference, parts))
    doubts = {part.name: args.part_doubt if part in args.parts else args.further_doubt for part in parts}
    for name in args.networks.split():
        post = args.exp.with_name(f"{args.exp.name}_{name}") / "post_train_crossfit" / "post.scp"
        given[name] = mean_log_posteriors(reference, post)
        doubts[name] = args.further_doubt
    trained = train(parts, given, labels, reference.classes, folds, sorted(args.shrinkages), doubts)
    out = args.exp.with_name(f"{args.exp.name}_best")
    held = cross_calibrated(trained.out_of_fold, labels, folds, doubts)
    notes = describe(trained, labels, how)
    write_score(out / "score_train", reference, held, f"out of fold; {notes}")
    write_ensemble(out / "best.npz", trained.ensemble)
    chosen = {member.name: member.shrinkage for member in trained.ensemble.members}
    record = provenance.training_record([args.config], args.seed, notes=notes, shrinkages=chosen)
    provenance.write_record(out, record)
    cli.log(f"{notes}; wrote {out}/best.npz")
    return 0


if __name__ == "__main__":
    cli.run(main)
