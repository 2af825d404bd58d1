"""The directory of a training: its epochs, their networks, and what they were computed with.

Epochs are kept from an interrupted run only under the key that it was given (see utils/once.py); another
key, or none, starts over. ``training.json`` (see utils/provenance.py) holds the key and what the results say
of the training, with every commit and every machine (device, kernels, threads, processor) that took part.
Where these changed on the way, the bits are not those of one run: a warning, not a refusal. ``iters.tsv`` is
written after the network of its last line, so an epoch without a line is simply run again.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from steps.nnet1.components import Network
from steps.nnet1.model_file import read_network, write_network
from steps.nnet1.schedule import Epoch
from utils import atomic, cli, provenance, tables
from utils.cli import UserError

COLUMNS = ("iter", "lr", "tr_loss", "tr_acc", "cv_loss", "cv_acc", "accepted", "seconds", "nnet")


class Experiment:
    """An experiment's directory.

    Parameters
    ----------
    directory : Path
        Made if it is missing.
    key : str
        What is kept is valid only under this key; nothing is kept under an empty one.
    record : mapping
        What to record, see ``utils.provenance.training_record``.

    Raises
    ------
    UserError
        For an ``iters.tsv`` that cannot be read.
    """

    def __init__(self, directory: Path, key: str = "", record: Mapping[str, Any] | None = None) -> None:
        self.directory = directory
        self.epochs: list[Epoch] = []
        self.initial: Epoch | None = None
        now = {"key": key, **(record or {})}
        before = record_under(directory, key)
        if before:
            self._read_epochs()
        if self.initial is None:
            self._clear()
        else:
            now = _joined(directory, before, now)
        provenance.write_record(directory, now)

    def _clear(self) -> None:
        """Remove the networks and results of a former training."""
        self.epochs, self.initial = [], None
        self.directory.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.directory / "nnet", ignore_errors=True)
        for name in (provenance.RECORD, "iters.tsv", "final.nnet", "final_test.nnet"):
            (self.directory / name).unlink(missing_ok=True)

    def _read_epochs(self) -> None:
        path = self.directory / "iters.tsv"
        if not path.exists():
            return
        lines = tables.read_text(path).removesuffix("\n").split("\n")
        if not lines or lines[0].split("\t") != list(COLUMNS):
            raise UserError(
                f"{path}:1: expected the columns {' '.join(COLUMNS)}; remove the file to start over"
            )
        for number, line in enumerate(lines[1:], start=2):
            try:
                epoch = _parse(line)
            except ValueError as error:
                raise UserError(f"{path}:{number}: {error}; remove the file to start over") from error
            if epoch.iteration != number - 2:
                raise UserError(f"{path}:{number}: expected iteration {number - 2}, got {epoch.iteration}")
            if epoch.iteration:
                self.epochs.append(epoch)
            else:
                self.initial = epoch

    def save_network(self, network: Network, name: str) -> None:
        """Write ``nnet/<name>``."""
        write_network(network, self.directory / "nnet" / name)

    def load_network(self, name: str) -> Network:
        """Read ``nnet/<name>``."""
        return read_network(self.directory / "nnet" / name)

    def keep_networks(self, names: Collection[str]) -> None:
        """Remove all networks from ``nnet/`` but these."""
        folder = self.directory / "nnet"
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name not in names:
                path.unlink()

    def record(self, epoch: Epoch) -> None:
        """Add an epoch, or the cross-validation of the initial network as iteration 0, to ``iters.tsv``."""
        if epoch.iteration:
            self.epochs.append(epoch)
        else:
            self.initial = epoch
        rows = ([self.initial] if self.initial else []) + self.epochs
        with atomic.replacing(self.directory / "iters.tsv") as file:
            file.write("\t".join(COLUMNS) + "\n")
            file.writelines(_format(row) for row in rows)


def record_under(directory: Path, key: str) -> dict[str, Any]:
    """Return what was recorded under the same key; empty if nothing was or it cannot be read."""
    try:
        record = provenance.read_record(directory)
    except UserError as error:
        cli.warn(f"{error}: starting over")
        return {}
    return record if key and record.get("key") == key else {}


def _joined(directory: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record with the commits and machines of both, and warn where they differ."""
    commits = {*str(before.get("commit", "")).split(", "), str(now.get("commit", ""))} - {""}
    machines = [*before.get("machines", [])]
    for machine in now.get("machines", []):
        if machines and machine not in machines:
            cli.warn(
                f"{directory}: begun on {machines[-1]}, goes on on {machine}: "
                "not to the bit what an uninterrupted training gives"
            )
            machines.append(machine)
    return {**now, "commit": ", ".join(sorted(commits)), "machines": machines}


def _format(epoch: Epoch) -> str:
    values = (
        str(epoch.iteration),
        epoch.learn_rate,
        f"{epoch.tr_loss:g}",
        f"{epoch.tr_acc:g}",
        f"{epoch.cv_loss:g}",
        f"{epoch.cv_acc:g}",
        "true" if epoch.accepted else "false",
        f"{epoch.seconds:.1f}",
        epoch.nnet,
    )
    return "\t".join(values) + "\n"


def _parse(line: str) -> Epoch:
    words = line.split("\t")
    if len(words) != len(COLUMNS):
        raise ValueError(f"expected {len(COLUMNS)} columns, got {len(words)}")
    tr_loss, tr_acc, cv_loss, cv_acc = (float(word) for word in words[2:6])
    if not math.isfinite(cv_loss):
        raise ValueError(f"the cross-validation loss is {cv_loss}")
    return Epoch(
        int(words[0]),
        words[1],
        tr_loss,
        cv_loss,
        tr_acc,
        cv_acc,
        words[6] == "true",
        float(words[7]),
        words[8],
    )
