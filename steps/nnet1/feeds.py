"""Where the minibatches of a pass come from: one by one from the host, or from a table on the GPU.

Utterances that fit are read into the GPU's memory once and stay there from epoch to epoch; a minibatch is
then a few rows of the table, picked on the GPU itself. Which rows, the shuffler and the cutting of streams
say that also work on the CPU: they are given row numbers in place of features. Utterances that do not fit
are cut on the CPU by a thread, ahead of their use.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch

from steps.nnet1.inputs import TrainingData, Utterance
from steps.nnet1.minibatches import Frames, Minibatch, Streams
from utils import cli
from utils.read_ahead import read_ahead

AHEAD = 8
SHARE = 0.8  # of the GPU's free memory that a table and what it is made of may take


_NONE = torch.zeros(0, dtype=torch.bool)


class Rows(NamedTuple):
    """What an update needs, on the device: features, targets and weights of rows; streams that begin anew."""

    feats: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor
    new: torch.Tensor


class Feed:
    """Minibatches from the host: iterating puts one after the other in place and yields its frames.

    ``fetch`` returns the one in place. On a GPU it is always the same memory, as a recorded update wants it.
    """

    def __init__(self, batches: Iterable[Minibatch], device: torch.device) -> None:
        self.batches, self.device = batches, device
        self.present: Rows | None = None

    def __iter__(self) -> Iterator[int]:
        """Yield the number of frames of each minibatch once it can be fetched."""
        if self.device.type == "cpu":
            for batch in self.batches:
                self.present = _rows(batch)
                yield batch.frames
            return
        pinned = (
            (batch.frames, Rows(*(part.pin_memory() for part in _rows(batch)))) for batch in self.batches
        )
        for frames, rows in read_ahead(pinned, AHEAD):
            if self.present is None:
                self.present = Rows(*(part.to(self.device) for part in rows))
            else:
                for here, part in zip(self.present, rows, strict=True):
                    here.copy_(part, non_blocking=True)
            yield frames

    def fetch(self) -> Rows:
        """Return the minibatch in place."""
        if self.present is None:
            raise RuntimeError("no minibatch has been put in place")
        return self.present


def _rows(batch: Minibatch) -> Rows:
    new = torch.tensor(batch.new, dtype=torch.bool) if batch.new else _NONE
    return Rows(batch.feats, batch.targets, batch.weights, new)


@dataclass
class Plan:
    """Rows of the table for every minibatch of a pass, and the frames and utterances that each brings.

    ``feats`` and ``targets`` are row numbers [minibatches, rows], ``weights`` has their shape, ``new``
    [minibatches, streams].
    """

    feats: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor
    new: torch.Tensor
    frames: list[int]
    done: list[int]

    def to(self, device: torch.device) -> "Plan":
        """Return the plan with its tensors on a device."""
        moved = {name: getattr(self, name).to(device) for name in ("feats", "targets", "weights", "new")}
        return replace(self, **moved)


def make_plan(weights: list[torch.Tensor], how: Frames | Streams, *, training: bool) -> Plan:
    """Cut utterances of these frame weights, whose rows follow each other from 1 on; row 0 is zeros."""
    begun = 0

    def numbered() -> Iterator[Utterance]:
        nonlocal begun
        first = 1
        for weight in weights:
            begun += 1
            rows = torch.arange(first, first + len(weight))[:, None]
            first += len(weight)
            yield Utterance("", rows, rows, weight)

    cut = [(batch, begun) for batch in how.of(numbered(), training=training)]
    if not cut:
        empty = torch.zeros(0, 0, dtype=torch.int64)
        return Plan(empty, empty, empty, empty, [], [])
    parts = zip(*(_rows(batch) for batch, _ in cut), strict=True)
    feats, targets, planned, new = (torch.stack(part) for part in parts)
    frames, done = [batch.frames for batch, _ in cut], [number for _, number in cut]
    return Plan(feats[..., 0], targets[..., 0], planned, new, frames, done)


@dataclass
class Table:
    """All utterances of some data on a device, one row a frame behind a row of zeros."""

    feats: torch.Tensor
    targets: torch.Tensor
    weights: list[torch.Tensor]
    plans: dict[tuple[Frames | Streams, bool], Plan] = field(default_factory=dict)

    def plan(self, how: Frames | Streams, *, training: bool) -> Plan:
        """Return the plan of a pass, made once."""
        if (how, training) not in self.plans:
            plan = make_plan(self.weights, how, training=training)
            self.plans[how, training] = plan.to(self.feats.device)
        return self.plans[how, training]


def read_table(data: TrainingData, device: torch.device, room: float) -> Table | None:
    """Read all utterances; ``None`` if they and the table made of them take more than ``room`` bytes."""
    feats: list[torch.Tensor] = []
    targets: list[torch.Tensor] = []
    weights: list[torch.Tensor] = []
    size = 0
    for utterance in read_ahead(data, AHEAD):
        feats.append(utterance.feats.to(device))
        targets.append(utterance.targets.to(device))
        weights.append(utterance.weights)
        size += 4 * (feats[-1].numel() + targets[-1].numel())
        if 2 * size > room:
            return None
    if not weights:
        return Table(torch.zeros(1, 0), torch.zeros(1, 0), [])
    return Table(_below_zeros(feats), _below_zeros(targets), weights)


def _below_zeros(parts: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat([parts[0].new_zeros(1, parts[0].shape[1]), *parts])


class TableFeed(Feed):
    """Minibatches out of a table; the place in the plan is on the device, where ``fetch`` moves it on."""

    def __init__(self, data: TrainingData, table: Table, plan: Plan) -> None:
        super().__init__((), table.feats.device)
        self.data, self.table, self.plan = data, table, plan
        self.place = torch.zeros(1, dtype=torch.int64, device=self.device)

    def __iter__(self) -> Iterator[int]:
        """See :class:`Feed`."""
        for frames, done in zip(self.plan.frames, self.plan.done, strict=True):
            self.data.counts.done = done
            yield frames
        self.data.counts.done = len(self.table.weights)

    def fetch(self) -> Rows:
        """Return the minibatch at the place in the plan, and go to the next."""
        plan = self.plan
        feats, targets, weights, new = (
            part.index_select(0, self.place)[0] for part in (plan.feats, plan.targets, plan.weights, plan.new)
        )
        self.place += 1
        return Rows(
            self.table.feats.index_select(0, feats), self.table.targets.index_select(0, targets), weights, new
        )


def open_feed(data: TrainingData, how: Frames | Streams, device: torch.device, *, training: bool) -> Feed:
    """Choose how the minibatches of a pass come to the device."""
    if device.type == "cpu":
        return Feed(how.of(data, training=training), device)
    if device not in data.tables:
        room = SHARE * torch.cuda.mem_get_info(device)[0]
        data.tables[device] = read_table(data, device, room)
        table = data.tables[device]
        if table is None:
            cli.log(
                f"{data.feats}: does not fit into the GPU's memory; read ahead by a thread in every epoch"
            )
        else:
            cli.log(f"{data.feats}: {len(table.feats) - 1} frames stay in the GPU's memory")
    else:
        data.reading = 0.0
    table = data.tables[device]
    if table is None:
        return Feed(how.of(data, training=training), device)
    return TableFeed(data, table, table.plan(how, training=training))
