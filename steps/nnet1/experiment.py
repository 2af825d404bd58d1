"""The directory of a training: its epochs, their networks, and what they were computed with.

Epochs are kept from an interrupted run only under the key that it was given (see utils/once.py); another
key, or none, starts over. ``training.json`` (see utils/provenance.py) holds the key and what the results say
of the training, with every commit and every machine (device, kernels, threads, processor) that took part.
Where these changed on the way, the bits are not those of one run: a warning, not a refusal. ``iters.tsv`` is
written after the network of its last line, so an epoch without a line is simply run again.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import astuple
from pathlib import Path
from typing import Any

from steps.nnet1.components import Network
from steps.nnet1.model_file import read_network, write_network
from steps.nnet1.schedule import Epoch
from utils import atomic, cli, provenance, tables
from utils.cli import UserError

COLUMNS = ("iter", "lr", "tr_loss", "tr_acc", "cv_loss", "cv_acc", "accepted", "seconds", "nnet")
KINDS: tuple[Callable[[str], Any], ...] = (int, str, *4 * (float,), lambda word: word == "true", float, str)


class Experiment:
    """An experiment's directory, made if it is missing; what it holds under another key is removed.

    ``rows`` are the initial network's cross-validation as iteration 0, and the epochs.
    """

    def __init__(self, directory: Path, key: str = "") -> None:
        self.directory, self.key = directory, key
        table, self.rows = directory / "iters.tsv", list[Epoch]()
        try:
            self.record = provenance.read_record(directory)
        except UserError as error:
            cli.warn(f"{error}: starting over")
            self.record = {}
        if key and self.record.get("key") == key and table.exists():
            self.rows = tables.read_tsv(table, COLUMNS, _parse, "remove it to start over")
        if not self.rows:
            self.record = {}
            directory.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(directory / "nnet", ignore_errors=True)
            for name in (provenance.RECORD, "iters.tsv", "final.nnet", "final_test.nnet"):
                (directory / name).unlink(missing_ok=True)

    def begin(self, record: Mapping[str, Any]) -> None:
        """Write ``training.json``, see ``utils.provenance.training_record``, and warn of another machine.

        The commits and machines of an interrupted training are kept in it.
        """
        commits = {*self.record.get("commit", "").split(", "), record["commit"]} - {""}
        machines, (here,) = self.record.get("machines", []), record["machines"]
        if machines and here not in machines:
            cli.warn(
                f"{self.directory}: begun on {machines[-1]}, goes on on {here}: "
                "not to the bit what an uninterrupted training gives"
            )
        machines = list(dict.fromkeys([*machines, here]))
        self.write(**{**record, "key": self.key, "commit": ", ".join(sorted(commits)), "machines": machines})

    def write(self, **facts: Any) -> None:
        """Add to what ``training.json`` says."""
        self.record |= facts
        provenance.write_record(self.directory, self.record)

    def load_network(self, row: Epoch) -> Network:
        """Read the network of a row: ``nnet/<name>``, or ``<name>`` if it is the initial one."""
        return read_network(self.directory / ("nnet" if row.iteration else "") / row.nnet)

    def add(self, row: Epoch, network: Network | None = None) -> None:
        """Write an epoch's network as ``nnet/<name>``, and then the row to ``iters.tsv``."""
        if network is not None:
            write_network(network, self.directory / "nnet" / row.nnet)
        self.rows.append(row)
        with atomic.replacing(self.directory / "iters.tsv") as file:
            file.write("\t".join(COLUMNS) + "\n")
            file.writelines("\t".join(map(_format, astuple(row))) + "\n" for row in self.rows)

    def remove_networks(self) -> None:
        """Remove all networks from ``nnet/`` but the last accepted, the best and the last one."""
        epochs = self.rows[1:]
        best = min(epochs, key=lambda epoch: epoch.cv_loss)
        kept = {
            epoch.nnet for epoch in (*[epoch for epoch in epochs if epoch.accepted][-1:], best, epochs[-1])
        }
        for path in (self.directory / "nnet").glob("*"):
            if path.name not in kept:
                path.unlink()


def _format(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _parse(row: dict[str, str]) -> Epoch:
    return Epoch(*(kind(row[name]) for name, kind in zip(COLUMNS, KINDS, strict=True)))
