"""Training of small networks that see whole tracks, cross-fitted, in plain torch: parts of the fused system.

Frames are whitened within their tracks, pass a layer with dropout and perhaps an LSTM in both directions,
and are pooled over the track, whose label is the target. One network is trained on each fold's training
tracks, by AdamW on random crops, all side by side; training ends for all when their mean loss on the tracks
that each has not seen ceases to fall, so that every track has a say in it. The same held-out posteriors are
those of the training tracks: none comes from a network that saw the track or, where artists are known, its
artist. A new track gets the mean log posteriors of all networks (:mod:`steps.classifiers.networks`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from steps.classifiers.ensemble import Folds, track_losses
from steps.nnet1.feature_transform import whitening
from utils import cli


@dataclass(frozen=True)
class NetworkOptions:
    """Options of conf/best/{dnn,lstm,attention}.conf; none depends on the number of tracks or frames."""

    feats: str = "feats"  # which frames
    hidden: int = 128  # units of the first layer
    memory: int = 0  # cells of the LSTM in each direction; 0 for none
    attention: int = 0  # whether (1) frames are weighed as another layer says, or (0) all the same
    dropout: tuple[float, ...] = (0.5,)  # shares; of several the one with the smallest held-out loss
    weight_decay: float = 0.01
    learn_rate: float = 0.001
    shrinkage: float = 0.1  # of the covariance that whitens
    streams: int = 16  # tracks of an update
    crop: int = 32  # frames of each of them
    interval: int = 20  # updates between two looks at the tracks that were held out
    patience: int = 5  # looks without a loss that is smaller by 1 % until training ends
    max_updates: int = 4000
    seed: int = 777


class TrackNetwork(nn.Module):
    """From whitened frames (streams, num_frames, dim) to logits (streams, C) of the track."""

    def __init__(
        self, dim: int, num_classes: int, hidden: int, memory: int, attention: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.enter = nn.Linear(dim, hidden)
        self.memory = nn.LSTM(hidden, memory, batch_first=True, bidirectional=True) if memory else None
        width = 2 * memory or hidden
        self.attend = nn.Linear(width, 1) if attention else None
        self.leave = nn.Linear(width, num_classes)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Pool the frames' logits by their mean, which is that of log posteriors, or units by attention."""
        units = self.drop(torch.relu(self.enter(frames)))
        if self.memory is not None:
            units = self.drop(self.memory(units)[0])
        if self.attend is None:
            return self.leave(units).mean(dim=1)
        return self.leave((torch.softmax(self.attend(units), dim=1) * units).sum(dim=1))


class _Training:
    """One network on the training tracks of one fold."""

    def __init__(
        self,
        tracks: Sequence[torch.Tensor],
        labels: np.ndarray,
        network: TrackNetwork,
        options: NetworkOptions,
    ) -> None:
        self.tracks, self.labels, self.network, self.options = tracks, labels, network, options
        self.rng = np.random.default_rng(torch.initial_seed())
        self.queue: list[int] = []
        self.adam = torch.optim.AdamW(
            network.parameters(), options.learn_rate, weight_decay=options.weight_decay
        )

    def _crops(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the next crops, equally long; every track comes once before one comes again."""
        count = min(self.options.streams, len(self.tracks))
        if len(self.queue) < count:
            self.queue += self.rng.permutation(len(self.tracks)).tolist()
        chosen, self.queue = self.queue[:count], self.queue[count:]
        length = min(self.options.crop, *(len(self.tracks[t]) for t in chosen))
        starts = [self.rng.integers(len(self.tracks[t]) - length + 1) for t in chosen]
        crops = [self.tracks[t][s : s + length] for t, s in zip(chosen, starts, strict=True)]
        return torch.stack(crops).float(), torch.from_numpy(self.labels[chosen])

    def run(self) -> None:
        """Train until the next look at the tracks that were held out."""
        self.network.train()
        for _ in range(self.options.interval):
            crops, labels = self._crops()
            self.adam.zero_grad()
            nn.functional.cross_entropy(self.network(crops), labels).backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            self.adam.step()
        self.network.eval()


def cross_fit(
    tracks: Callable[[], Iterable[np.ndarray]],
    labels: np.ndarray,
    num_classes: int,
    folds: Folds,
    options: NetworkOptions,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Train a network a fold on what ``tracks`` reads, each dropout in turn, and keep the best of these.

    Returns their arrays and held-out log posteriors (num_tracks, C).
    """
    names = [str(number) for number in range(len(labels))]
    each = dict(zip(names, names, strict=True))  # within tracks: no class is needed
    weight, bias = whitening(zip(names, tracks(), strict=True), each, options.shrinkage)
    white = [torch.from_numpy((frames @ weight.T + bias).astype(np.float32)).half() for frames in tracks()]
    best: dict[str, np.ndarray] = {}
    held, least = np.zeros((0, 0)), np.inf
    for dropout in options.dropout:
        trainings = []
        for number, (train, _) in enumerate(folds):
            torch.manual_seed(options.seed + number)
            shape = (options.hidden, options.memory, options.attention, dropout)
            network = TrackNetwork(len(bias), num_classes, *shape)
            trainings.append(_Training([white[t] for t in train], labels[train], network, options))
        arrays, found, loss, updates = _train(trainings, white, labels, folds, options)
        cli.log(f"dropout {dropout:g}: held-out loss {loss:.4f}, {updates} updates of {len(folds)} networks")
        if loss < least:
            best, held, least = arrays, found, loss
    return {"weight": weight, "bias": bias, **best}, held


def _train(
    trainings: Sequence[_Training],
    white: Sequence[torch.Tensor],
    labels: np.ndarray,
    folds: Folds,
    options: NetworkOptions,
) -> tuple[dict[str, np.ndarray], np.ndarray, float, int]:
    """Train until the held-out loss ceases to fall; return states, log posteriors and loss there; updates."""
    arrays: dict[str, np.ndarray] = {}
    best, least, since, updates = np.zeros((0, 0)), np.inf, 0, 0
    while since < options.patience and updates < options.max_updates:
        updates += options.interval
        found = np.zeros((len(labels), trainings[0].network.leave.out_features))
        for training, (_, held) in zip(trainings, folds, strict=True):
            training.run()
            with torch.no_grad():
                logits = torch.cat([training.network(white[t][None].float()) for t in held])
                found[held] = torch.log_softmax(logits.double(), dim=1).numpy()
        loss = float(track_losses(found, labels).mean())
        since += 1
        if loss < 0.99 * least:
            best, least, since = found, loss, 0
            arrays = {
                f"{number}.{name}": value.numpy().copy()
                for number, training in enumerate(trainings)
                for name, value in training.network.state_dict().items()
            }
    return arrays, best, least, updates
