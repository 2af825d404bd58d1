"""The two data directories of a training: the list in shuffled order, dimensions, what is read of them."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import torch

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
    """Choose the device, open two data directories, and write ``<exp-dir>/train.scp`` in shuffled order.

    The directories have ``feats.scp`` and ``labels.scp``, the first one ``genres.txt``, too.
    """
    device = select_device(args)
    transform = open_transform(str(args.feature_transform), framewise=isinstance(how, Streams))
    if transform is None:
        raise UserError("<feature-transform> is empty; make one with cmvn_to_nnet.py")
    width = transform.network.input_dim
    if args.feat_dim not in (0, width):
        text = f"takes {width} columns, the configuration says {args.feat_dim}"
        raise UserError(f"{args.feature_transform}: {text}")
    tr_list, counts = args.exp_dir / "train.scp", args.data_tr / "utt2num_frames"
    with atomic.replacing(tr_list) as file:
        table = shuffled(tables.read_scp(args.data_tr / "feats.scp"), args.seed)
        file.writelines(f"{key} {value}\n" for key, value in table.items())
    num_classes = len(tables.read_classes(args.data_tr / "genres.txt"))
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
        for scp, folder in ((tr_list, args.data_tr), (args.data_cv / "feats.scp", args.data_cv))
    )
    return TrainingSet(tr, cv, device, transform.network.output_dim, num_classes, tr_frames)
