"""Training of small networks that see whole tracks, cross-fitted, in plain torch: parts of the fused system.

Frames are whitened within their tracks, pass a layer with dropout and perhaps an LSTM in both directions,
and are pooled over the track, whose label is the target. One network is trained on each fold's training
tracks, by AdamW on random crops, all side by side; training ends for all when their mean loss on the tracks
that each has not seen ceases to fall. Posteriors of training tracks are of the network that did not see them,
or their artists where these are known; a new track gets the mean log posteriors of all networks.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
import torch
from torch import nn

from steps.classifiers.ensemble import track_losses
from steps.nnet1.feature_transform import whitening
from steps.scoring.svm import Folds
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

    def __init__(self, dim: int, num_classes: int, options: NetworkOptions, dropout: float = 0.0) -> None:
        super().__init__()
        hidden, memory = options.hidden, options.memory
        self.drop = nn.Dropout(dropout)
        self.enter = nn.Linear(dim, hidden)
        self.memory = nn.LSTM(hidden, memory, batch_first=True, bidirectional=True) if memory else None
        self.attend = nn.Linear(2 * memory or hidden, 1) if options.attention else None
        self.leave = nn.Linear(2 * memory or hidden, num_classes)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Pool the frames' logits by their mean, which is that of log posteriors, or units by attention."""
        units = self.drop(torch.relu(self.enter(frames)))
        if self.memory is not None:
            units = self.drop(self.memory(units)[0])
        if self.attend is None:
            return self.leave(units).mean(dim=1)
        return self.leave((torch.softmax(self.attend(units), dim=1) * units).sum(dim=1))


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
        networks = []
        for number in range(len(folds)):
            torch.manual_seed(options.seed + number)
            networks.append(TrackNetwork(len(bias), num_classes, options, dropout))
        found, arrays, loss, updates = _train(networks, white, labels, folds, options)
        cli.log(f"dropout {dropout:g}: held-out loss {loss:.4f}, {updates} updates of {len(folds)} networks")
        if loss < least:
            best, held, least = arrays, found, loss
    return {"weight": weight, "bias": bias, **best}, held


def _crops(
    white: Sequence[torch.Tensor], labels: np.ndarray, train: np.ndarray, options: NetworkOptions, seed: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield crops of training tracks, equally long; every track comes once before one comes again."""
    rng = np.random.default_rng(seed)
    count = min(options.streams, len(train))
    queue: list[int] = []
    while True:
        if len(queue) < count:
            queue += train[rng.permutation(len(train))].tolist()
        chosen, queue = queue[:count], queue[count:]
        length = min(options.crop, *(len(white[t]) for t in chosen))
        starts = [rng.integers(len(white[t]) - length + 1) for t in chosen]
        crops = [white[t][s : s + length] for t, s in zip(chosen, starts, strict=True)]
        yield torch.stack(crops).float(), torch.from_numpy(labels[chosen])


def _train(
    networks: Sequence[TrackNetwork],
    white: Sequence[torch.Tensor],
    labels: np.ndarray,
    folds: Folds,
    options: NetworkOptions,
) -> tuple[np.ndarray, dict[str, np.ndarray], float, int]:
    """Train until the held-out loss ceases to fall; return log posteriors, arrays and loss there; updates."""
    crops = [_crops(white, labels, own, options, options.seed + n) for n, (own, _) in enumerate(folds)]
    adam_of = partial(torch.optim.AdamW, lr=options.learn_rate, weight_decay=options.weight_decay)
    adams = [adam_of(network.parameters()) for network in networks]
    arrays: dict[str, np.ndarray] = {}
    best, least, since, updates = np.zeros((0, 0)), np.inf, 0, 0
    while since < options.patience and updates < options.max_updates:
        updates += options.interval
        found = np.zeros((len(labels), networks[0].leave.out_features))
        for network, adam, some, (_, held) in zip(networks, adams, crops, folds, strict=True):
            network.train()
            for frames, classes in islice(some, options.interval):
                adam.zero_grad()
                nn.functional.cross_entropy(network(frames), classes).backward()
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                adam.step()
            network.eval()
            with torch.no_grad():
                logits = torch.cat([network(white[t][None].float()) for t in held])
                found[held] = torch.log_softmax(logits.double(), dim=1).numpy()
        loss = float(track_losses(found, labels).mean())
        since += 1
        if loss < 0.99 * least:
            best, least, since = found, loss, 0
            states = [network.state_dict() for network in networks]
            arrays = {name: torch.stack([state[name] for state in states]).numpy() for name in states[0]}
    return best, arrays, least, updates
