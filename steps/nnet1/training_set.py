"""The two data directories of a training: the list in shuffled order, dimensions, what is read of them."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from steps import archive
from steps.nnet1.inputs import TrainingData
from steps.nnet1.minibatches import Frames, Streams
from steps.nnet1.options import select_device
from steps.nnet1.tool import open_transform
from utils import atomic, tables
from utils.cli import UserError


def shuffled(table: dict[str, str], seed: int) -> dict[str, str]:
    """Return the table in an order that depends on the seed's low 32 bits and the set of its keys alone."""
    keys = sorted(table)
    return {keys[i]: table[keys[i]] for i in np.random.default_rng(seed % 2**32).permutation(len(keys))}


@dataclass
class TrainingSet:
    """Both parts of the data of an experiment, and the dimensions that its network must have."""

    tr: TrainingData
    cv: TrainingData
    device: torch.device
    input_dim: int
    num_classes: int
    tr_frames: int


def open_training_set(args: argparse.Namespace, how: Frames | Streams) -> TrainingSet:
    """Choose the device, check two data directories, and write ``<exp-dir>/train.scp`` in shuffled order.

    The directories have ``feats.scp`` and ``labels.scp``, the first one ``genres.txt``, too. That a file is
    missing or empty or the features are not as wide as the configuration says is a ``UserError``.
    """
    device = select_device(args)
    transform = open_transform(args.transform, framewise=isinstance(how, Streams))
    if transform is None:
        raise UserError("<feature-transform> is empty; make one with cmvn_to_nnet.py")
    for folder in (args.data_tr, args.data_cv):
        for name in ("feats.scp", "labels.scp"):
            if not tables.read_scp(Path(folder) / name):
                raise UserError(
                    f"{folder}/{name}: no utterance in it; check the split into train_tr and train_cv"
                )
    tr_dir, feats = Path(args.data_tr), Path(args.data_tr) / "feats.scp"
    num_classes = sum(1 for line in tables.read_lines(tr_dir / "genres.txt") if line.strip())
    width = next(archive.read_matrices(f"scp:{feats}"))[1].shape[1]
    if args.feat_dim and width != args.feat_dim:
        raise UserError(f"{feats}: the features have {width} columns, the configuration says {args.feat_dim}")
    if width != transform.network.input_dim:
        raise UserError(
            f"{args.transform}: takes {transform.network.input_dim} columns, "
            f"the features in {args.data_tr} have {width}"
        )
    tr_list = Path(args.exp_dir) / "train.scp"
    with atomic.replacing(tr_list) as file:
        table = shuffled(tables.read_scp(feats), args.seed)
        file.writelines(f"{key} {value}\n" for key, value in table.items())
    counts = tr_dir / "utt2num_frames"
    tr_frames = sum(map(int, tables.read_table(counts).values())) if counts.exists() else 0
    tr, cv = (
        TrainingData(
            f"scp:{scp}",
            f"scp:{folder}/labels.scp",
            width,
            num_classes,
            transform=transform,
            length_tolerance=how.length_tolerance,
        )
        for scp, folder in ((tr_list, tr_dir), (Path(args.data_cv) / "feats.scp", args.data_cv))
    )
    return TrainingSet(tr, cv, device, transform.network.output_dim, num_classes, tr_frames)
