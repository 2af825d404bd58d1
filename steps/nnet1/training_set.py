"""The data directories of a training: lists in shuffled order, dimensions, and a hash of what is in them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from steps import archive
from utils import atomic
from utils.cli import UserError


@dataclass(frozen=True)
class TrainingSet:
    """Rspecifiers of both parts, columns of a frame, number of classes, hash of the data."""

    tr_feats: str
    tr_labels: str
    cv_feats: str
    cv_labels: str
    feat_dim: int
    num_classes: int
    data_hash: str


def shuffled(table: dict[str, str], seed: int) -> dict[str, str]:
    """Return the table in an order that depends on the seed's low 32 bits and the set of its keys alone."""
    keys = sorted(table)
    return {keys[i]: table[keys[i]] for i in np.random.default_rng(seed % 2**32).permutation(len(keys))}


def open_training_set(
    data_tr: str, data_cv: str, transform: str, directory: Path, *, seed: int, feat_dim: int = 0
) -> TrainingSet:
    """Check two data directories and write the shuffled list of the first to ``<directory>/train.scp``.

    Parameters
    ----------
    data_tr, data_cv : str
        Folders with ``feats.scp`` and ``labels.scp``; the first with ``genres.txt``, too.
    transform : str
        The feature transform; its content counts as data.
    directory : Path
        Of the experiment.
    seed : int
        Of the order of the list.
    feat_dim : int
        Columns that the features must have, or 0.

    Raises
    ------
    UserError
        If a file is missing or empty, or the features have another width.
    """
    tables = {}
    for folder in (data_tr, data_cv):
        for name in ("feats.scp", "labels.scp"):
            path = Path(folder) / name
            tables[path] = archive.read_scp(path)
            if not tables[path]:
                raise UserError(f"{path}: no utterance in it; check the split into train_tr and train_cv")
    tr_list, genres = directory / "train.scp", Path(data_tr) / "genres.txt"
    classes = [line for line in archive.read_lines(genres) if line.strip()]
    feats = Path(data_tr) / "feats.scp"
    width = next(archive.read_matrices(f"scp:{feats}"))[1].shape[1]
    if feat_dim and width != feat_dim:
        raise UserError(f"{feats}: the features have {width} columns, the configuration says {feat_dim}")
    with atomic.replacing(tr_list) as file:
        file.writelines(f"{key} {value}\n" for key, value in shuffled(tables[feats], seed).items())
    return TrainingSet(
        f"scp:{tr_list}",
        f"scp:{Path(data_tr) / 'labels.scp'}",
        f"scp:{Path(data_cv) / 'feats.scp'}",
        f"scp:{Path(data_cv) / 'labels.scp'}",
        width,
        len(classes),
        data_hash(tables.values(), [genres, Path(transform)]),
    )


def data_hash(tables: Iterable[dict[str, str]], files: Iterable[Path]) -> str:
    """Hash keys, offsets and the bytes of the archives behind script files, and further files.

    The paths themselves do not count: the same data elsewhere are the same data.
    """
    digest = hashlib.sha256()
    known: dict[str, bytes] = {}
    for table in tables:
        for key, name in table.items():
            path, colon, offset = name.rpartition(":")
            path, offset = (path, offset) if colon and offset.isdigit() else (name, "")
            if path not in known:
                known[path] = path.encode() if path.endswith("|") else _file_hash(path)
            digest.update(f"{key} {offset} ".encode() + known[path])
    for file in files:
        digest.update(_file_hash(str(file)))
    return digest.hexdigest()


def _file_hash(path: str) -> bytes:
    name = path.partition("[")[0] if not Path(path).exists() else path
    digest = hashlib.sha256()
    with Path(name).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.digest()
