"""Where the minibatches of a pass come from: one by one from the host, or from a table on the GPU.

Utterances that fit are read into the GPU's memory once and stay there from epoch to epoch; a minibatch is
then a few rows of the table, picked on the GPU itself. Which rows, the shuffler and the cutting of streams
say that also work on the CPU: they are given row numbers in place of features. Utterances that do not fit
are cut on the CPU by a thread, ahead of their use.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch

from steps.nnet1.inputs import TrainingData, Utterance
from steps.nnet1.minibatches import Frames, Minibatch, Streams
from utils import cli
from utils.read_ahead import read_ahead

AHEAD = 8
SHARE = 0.8  # of the GPU's free memory that a table and what it is made of may take

Rows = Sequence[torch.Tensor]
"""What an update needs, on the device: features, targets and weights of rows; streams that begin anew."""


class Feed:
    """Minibatches from the host: iterating puts one after the other in place and yields its frames.

    ``fetch`` returns the one in place. On a GPU it is always the same memory, as a recorded update wants it.
    """

    def __init__(self, batches: Iterable[Minibatch], device: torch.device) -> None:
        self.batches, self.device = batches, device
        self.present: Rows = ()

    def __iter__(self) -> Iterator[int]:
        """Yield the number of frames of each minibatch once it can be fetched."""
        if self.device.type == "cpu":
            for *rows, frames in self.batches:
                self.present = rows
                yield frames
            return
        pinned = (([part.pin_memory() for part in rows], frames) for *rows, frames in self.batches)
        for rows, frames in read_ahead(pinned, AHEAD):
            if not self.present:
                self.present = [part.to(self.device) for part in rows]
            else:
                for here, part in zip(self.present, rows, strict=True):
                    here.copy_(part, non_blocking=True)
            yield frames

    def fetch(self) -> Rows:
        """Return the minibatch in place."""
        return self.present


@dataclass
class Table:
    """All utterances of some data on a device, one row a frame behind a row of zeros."""

    feats: torch.Tensor
    targets: torch.Tensor
    weights: list[torch.Tensor]
    plans: dict[tuple[Frames | Streams, bool], tuple[Rows, Sequence[int]]] = field(default_factory=dict)

    def plan(self, how: Frames | Streams, *, training: bool) -> tuple[Rows, Sequence[int]]:
        """Return what the minibatches of a pass take, made once, and the frames of each.

        That is row numbers of features and targets [minibatches, rows], weights, and flags of streams.
        """
        if (how, training) not in self.plans:
            numbers = torch.arange(1, len(self.feats))[:, None].split([len(part) for part in self.weights])
            cut = list(how.of(map(Utterance, numbers, numbers, self.weights), training=training))
            *parts, frames = zip(*cut, strict=True) if cut else ((),) * 5
            rows = [torch.stack(part).to(self.feats.device) for part in parts if cut]
            self.plans[how, training] = [part.flatten(1) for part in rows], frames
        return self.plans[how, training]


def read_table(data: TrainingData, device: torch.device, room: float) -> Table | None:
    """Read all utterances; ``None`` if they and the table made of them take more than ``room`` bytes."""
    feats, targets = (torch.zeros(1, width, device=device) for width in (data.width, data.num_classes))
    parts, weights, size = [(feats, targets)], [], 0
    for utterance in read_ahead(data, AHEAD):
        parts.append((utterance.feats.to(device), utterance.targets.to(device)))
        weights.append(utterance.weights)
        size += sum(part.nbytes for part in parts[-1])
        if 2 * size > room:
            return None
    feats, targets = map(torch.cat, zip(*parts, strict=True))
    return Table(feats, targets, weights)


class TableFeed(Feed):
    """Minibatches out of a table; the place in the plan is on the device, where ``fetch`` moves it on."""

    def __init__(self, table: Table, how: Frames | Streams, *, training: bool) -> None:
        super().__init__((), table.feats.device)
        self.table = table
        self.plan, self.frames = table.plan(how, training=training)
        self.place = torch.zeros(1, dtype=torch.int64, device=self.device)

    def __iter__(self) -> Iterator[int]:
        """See :class:`Feed`."""
        return iter(self.frames)

    def fetch(self) -> Rows:
        """Return the minibatch at the place in the plan, and go to the next."""
        feats, targets, weights, new = (part.index_select(0, self.place)[0] for part in self.plan)
        self.place += 1
        table = self.table
        return table.feats.index_select(0, feats), table.targets.index_select(0, targets), weights, new


def open_feed(data: TrainingData, how: Frames | Streams, device: torch.device, *, training: bool) -> Feed:
    """Choose how the minibatches of a pass come to the device."""
    if device.type != "cpu" and device not in data.tables:
        table = read_table(data, device, SHARE * torch.cuda.mem_get_info(device)[0])
        data.tables[device] = table
        text = "does not fit into the GPU's memory; read ahead by a thread in every epoch"
        if table is not None:
            text = f"{len(table.feats) - 1} frames stay in the GPU's memory"
        cli.log(f"{data.feats}: {text}")
    if (table := data.tables.get(device)) is None:
        return Feed(how.of(data, training=training), device)
    return TableFeed(table, how, training=training)
