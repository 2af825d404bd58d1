"""The directory of a training: what it was made with, its epochs, their networks.

``training.json`` says which configuration and data the networks in ``nnet/`` come from. The same ones
again continue where the last complete epoch ended; others start over; another arithmetic (device,
kernels, threads) is refused, because the bits would be mixed. ``iters.tsv`` is written after the
network of its last line, so an epoch without a line is simply run again.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path

from steps.nnet1.components import Network
from steps.nnet1.model_file import read_network, write_network
from steps.nnet1.schedule import Epoch
from utils import atomic, cli, text_file
from utils.cli import UserError

COLUMNS = ("iter", "lr", "tr_loss", "tr_acc", "cv_loss", "cv_acc", "accepted", "seconds", "nnet")
RECORD = "training.json"


class Experiment:
    """An experiment's directory.

    Parameters
    ----------
    directory : Path
        Made if it is missing.
    made_with : mapping
        Configuration and hash of the data: if it differs from the record, all begins anew.
    arithmetic : mapping
        Device, kernels, threads: see :meth:`check_arithmetic`.

    Raises
    ------
    UserError
        For an ``iters.tsv`` that cannot be read.
    """

    def __init__(
        self, directory: Path, made_with: Mapping[str, object], arithmetic: Mapping[str, object]
    ) -> None:
        self.directory = directory
        self._mixed = ""
        self.epochs: list[Epoch] = []
        self.initial: Epoch | None = None
        record = {"made_with": dict(made_with), "arithmetic": dict(arithmetic)}
        old = _read_json(directory / RECORD)
        if old is not None and (changed := _changed(old.get("made_with"), made_with)):
            cli.warn(f"{directory}: starting over, it was made with {changed}")
            old = None
        if old is None:
            self._clear()
            with atomic.replacing(directory / RECORD) as file:
                file.write(json.dumps(record, indent=1, sort_keys=True) + "\n")
            return
        self._read_epochs()
        self._mixed = _changed(old.get("arithmetic"), arithmetic) if self.initial else ""

    def check_arithmetic(self) -> None:
        """Refuse to run a further epoch with another arithmetic than that of the first ones.

        Raises
        ------
        UserError
            Naming what differs and what to do.
        """
        if self._mixed:
            raise UserError(
                f"{self.directory}: begun with {self._mixed}; "
                "continue it in the same way, or remove the directory"
            )

    def _clear(self) -> None:
        """Remove the networks and results of a former training."""
        self.directory.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.directory / "nnet", ignore_errors=True)
        for name in (RECORD, "iters.tsv", "final.nnet", "final_test.nnet"):
            (self.directory / name).unlink(missing_ok=True)

    def _read_epochs(self) -> None:
        path = self.directory / "iters.tsv"
        if not path.exists():
            return
        lines = text_file.read(path).splitlines()
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


def _read_json(path: Path) -> dict | None:
    """Return the record, or None if there is none that can be read."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _changed(old: object, new: Mapping[str, object]) -> str:
    """Name what differs, as ``learn-rate 0.1 instead of 0.2``; empty if nothing does."""
    before = old if isinstance(old, dict) else {}
    names = sorted(before.keys() | new.keys())
    parts = [
        f"{name} {before.get(name, 'unset')} instead of {new.get(name, 'unset')}"
        for name in names
        if before.get(name) != new.get(name)
    ]
    return ", ".join(parts)
