"""What produced a result: commit, configuration, seed, data and network."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from steps import archive
from utils.cli import UserError, read_config, warn


def git_commit(folder: Path) -> str:
    """Return the commit of the checkout at ``folder``, with a note if tracked files differ from it."""

    def git(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, check=False, errors="replace"
        )

    try:
        head = git("rev-parse", "HEAD")
        if head.returncode != 0:
            return "unknown (not a git checkout)"
        changed = git("diff", "--quiet", "HEAD").returncode != 0
    except OSError:
        return "unknown (no git)"
    return head.stdout.strip() + (" with local changes" if changed else "")


def hash_texts(texts: dict[str, str]) -> str:
    """Return the sha256 over file names (without folders) and contents."""
    digest = hashlib.sha256()
    for path, text in texts.items():
        for part in (Path(path).name, text):
            data = part.encode()
            digest.update(f"{len(data)} ".encode() + data)
    return digest.hexdigest()


@dataclass(frozen=True)
class DataSummary:
    """Identity and size of a corpus directory."""

    sha256: str
    num_tracks: dict[str, int]
    num_frames: dict[str, int]


def summarise_data(data_dir: Path, sets: Sequence[str] = ("train", "test")) -> DataSummary:
    """Hash labels, artists and features of the sets, wherever they lie and however they are split.

    Raises
    ------
    UserError
        If a file is missing, or features and labels are not of the same tracks.
    """
    digest = hashlib.sha256()
    tracks, frames = {}, {}
    for part in sets:
        folder = data_dir / part
        labels = archive.read_table(folder / "utt2genre")
        artists = archive.read_table(folder / "utt2spk")
        frames[part] = 0
        seen = set()
        for utt, feats in archive.read_matrices(f"scp:{folder}/feats.scp"):
            if utt not in labels or utt not in artists:
                raise UserError(f"{folder}/feats.scp: utterance '{utt}' is not in utt2genre and utt2spk")
            seen.add(utt)
            rows, columns = feats.shape
            digest.update(f"{part} {utt} {labels[utt]} {artists[utt]} {rows} {columns} ".encode())
            digest.update(feats.tobytes())
            frames[part] += rows
        missing = sorted(set(labels) - seen)
        if missing:
            raise UserError(f"{folder}/feats.scp: utterance '{missing[0]}' of utt2genre is missing")
        tracks[part] = len(labels)
    return DataSummary(digest.hexdigest(), tracks, frames)


def read_options(path: Path) -> dict[str, str]:
    """Read a conf file as option name (without dashes) to value."""
    pairs = [text.removeprefix("--").partition("=") for _, text in read_config(path)]
    return {name: value for name, _, value in pairs}


def read_seed(exp_dir: Path, options: dict[str, str]) -> str:
    """Return the seed of the training as its record ``training.json`` or the options say, else '-'."""
    record = exp_dir / "training.json"
    if record.is_file():
        try:
            return str(json.loads(record.read_text(encoding="utf-8"))["seed"])
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{record}: not the record of a training ({error}); train the model again"
            ) from error
    return options.get("seed", "-")


@dataclass(frozen=True)
class Topology:
    """What the paper writes in brackets behind a model's name."""

    kind: str
    """LSTM or DNN."""
    dims: tuple[int, ...]
    """Input, output of each hidden layer (the projection of an LSTM), classes."""

    @property
    def text(self) -> str:
        """Dimensions joined by dashes."""
        return "-".join(str(dim) for dim in self.dims)


def read_topology(
    exp_dir: Path, options: dict[str, str], input_dim: int, num_classes: int
) -> Topology | None:
    """Tell the dimensions of a model from ``final.nnet`` or, where that is missing, from its options.

    Returns
    -------
    Topology or None
        None where there is neither, as for an SVM on the features alone.
    """
    if (exp_dir / "final.nnet").exists():
        from steps.nnet1.model_file import read_network

        network = read_network(exp_dir / "final.nnet")
        layers = [
            item for item in network.components if item.kind == "AffineTransform" or "Lstm" in item.kind
        ]
        kind = "LSTM" if any("Lstm" in item.kind for item in layers) else "DNN"
        return Topology(kind, (network.input_dim, *(item.output_dim for item in layers)))
    hidden = options.get("proj-dim", options.get("hid-dim"))
    if hidden is None:
        return None
    layers_text = options.get("num-layers", options.get("hid-layers", "1"))
    if not hidden.isdigit() or not layers_text.isdigit():
        warn(f"{exp_dir}: cannot tell the topology from the options of its configuration")
        return None
    kind = "LSTM" if "proj-dim" in options else "DNN"
    return Topology(kind, (input_dim, *[int(hidden)] * int(layers_text), num_classes))


def read_texts(paths: Sequence[Path]) -> dict[str, str]:
    """Read configuration files as path to content."""
    texts = {}
    for path in paths:
        try:
            texts[str(path)] = path.read_text(encoding="utf-8")
        except OSError as error:
            raise UserError(f"{path}: cannot read the configuration: {error.strerror}") from error
    return texts
