"""sig2014: a rectifier network with dropout on spectra; statistics of its activations; a random forest.

S. Sigtia, S. Dixon: Improved music feature learning with deep neural networks, ICASSP 2014. 73.4 % on
ISMIR2004 is quoted, probably with a network trained on GTZAN; here it is trained on the corpus's own training
tracks [O], on frames spread over the whole track instead of its first 30 s [O], so a better figure is no
mistake.

Input 513 magnitudes of frames of 1024 samples every 512 without a window [S], standardised by training [S];
three hidden layers; sizes, learning rate, momentum and dropout rate as in a published re-implementation [S]
but for fewer epochs and smaller batches [O]; activations of all layers, mean and deviation over 200 frames
every 100 [S]; 500 trees [S]; a track is decided by the majority of its windows [S].
"""

from argparse import Namespace
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from steps import mapped
from steps.nnet1.options import open_device
from steps.scattering.wav import Signal
from steps.scoring.svm import make_folds
from steps.systems import spectra
from steps.systems.tracks import Arrays, Tracks
from utils import cli, progress

FRAME, HOP = 1024, 512
WINDOW, WINDOW_HOP = 200, 100
LAYERS = (0, 3, 6)  # numbers of the hidden ones in the network, between rectifiers and dropout
GROWN_TOGETHER = 25  # trees
DEEPEST = 1000  # tree, by far
AT_ONCE = 200  # windows that go down the trees together
FIRST_MOMENTUM, LAST_MOMENTUM, RAMP = 0.5, 0.9, 0.25
LAST_RATE = 0.01  # share of the learning rate that is left at the end of the linear decay
OPTIONS = Namespace(
    num_units=500,
    drop_rate=0.25,
    learn_rate=0.1,
    batch_size=200,
    max_epochs=20,
    patience=5,
    frames_per_track=200,
    windows_per_track=50,
    num_trees=500,
)


def magnitudes(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the magnitudes of the FFT without a window, of shape (num_frames, 513)."""
    return np.sqrt(spectra.power_spectrum(frames, np.ones(FRAME))) / np.float32(spectra.FULL_SCALE)


def make_network(num_units: int, num_classes: int, drop_rate: float) -> nn.Sequential:
    """Return three layers of rectifiers with dropout at their outputs, and a linear one."""
    layers: list[nn.Module] = []
    width = FRAME // 2 + 1
    for _ in LAYERS:
        layers += [nn.Linear(width, num_units), nn.ReLU(), nn.Dropout(drop_rate)]
        width = num_units
    network = nn.Sequential(*layers, nn.Linear(width, num_classes))
    for layer in network:
        if isinstance(layer, nn.Linear):
            nn.init.uniform_(layer.weight, -0.1, 0.1)
            nn.init.zeros_(layer.bias)
    return network


def fit_network(tracks: Tracks, options: Namespace) -> Arrays:
    """Train the network on four fifths of the tracks, keep the epoch with the fewest errors on the others."""
    device = open_device(options.use_gpu)
    torch.manual_seed(options.seed)
    parts = dict(tracks.matrices("frames"))
    numbers = torch.from_numpy(np.concatenate([np.full(len(parts[i]), i) for i in sorted(parts)]))
    frames = torch.from_numpy(np.concatenate([parts[i] for i in sorted(parts)]))
    ((train, _), *_), _ = make_folds(tracks.labels, tracks.artists, tracks.classes, 5, options.seed)
    in_train = torch.from_numpy(np.isin(numbers, train))
    mean, deviation = frames[in_train].mean(dim=0), frames[in_train].std(dim=0).clamp_min(1e-8)
    frames = frames.sub_(mean).div_(deviation).to(device)  # half a gigabyte at ISMIR2004's size: no copies
    labels = torch.from_numpy(tracks.labels)[numbers].to(device)
    own, other = torch.nonzero(in_train)[:, 0], torch.nonzero(~in_train)[:, 0].to(device)
    network = make_network(options.num_units, len(tracks.classes), options.drop_rate).to(device)
    optimiser = torch.optim.SGD(network.parameters(), lr=options.learn_rate, momentum=FIRST_MOMENTUM)
    best, best_epoch, kept = -1, 0, {}
    for epoch in range(options.max_epochs):
        ramp = min(1.0, epoch / max(1.0, RAMP * options.max_epochs))
        for group in optimiser.param_groups:
            group["momentum"] = FIRST_MOMENTUM + ramp * (LAST_MOMENTUM - FIRST_MOMENTUM)
            group["lr"] = options.learn_rate * (1.0 - (1.0 - LAST_RATE) * epoch / options.max_epochs)
        network.train()
        for batch in own[torch.randperm(len(own))].to(device).split(options.batch_size):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(frames[batch]), labels[batch]).backward()
            optimiser.step()
        network.eval()
        with torch.no_grad():
            right = int((network(frames[other]).argmax(dim=1) == labels[other]).sum())
        progress.report(epoch + 1, options.max_epochs, "epochs", held_out_accuracy=100 * right / len(other))
        if right > best:
            best, best_epoch = right, epoch
            kept = {name: value.cpu().numpy().copy() for name, value in network.state_dict().items()}
        elif epoch - best_epoch >= options.patience:
            break
    if not np.isfinite(kept["0.weight"]).all():
        raise cli.UserError(f"the network diverged; use a --learn-rate below {options.learn_rate:g}")
    return {"mean": mean.numpy(), "deviation": deviation.numpy(), **kept}


def features(signal: Signal, options: Namespace, network: Arrays) -> dict[str, NDArray]:
    """Return mean and deviation of hidden outputs over 200 frames, every 100, (num_windows, 6 h).

    Without a network return magnitudes to train one on, of frames spread evenly, (frames_per_track, 513).
    """
    total = spectra.num_frames(len(signal), FRAME, HOP)
    if not network:
        wanted = np.linspace(0, total - 1, min(total, options.frames_per_track)).round().astype(int)
        pieces = (signal[i * HOP : i * HOP + FRAME] for i in np.unique(wanted))
        frames = [next(spectra.frame_blocks(piece, FRAME, HOP))[0] for piece in pieces]
        return {"frames": magnitudes(np.stack(frames))}
    device = open_device(options.use_gpu)
    arrays = {name: torch.from_numpy(value).to(device) for name, value in network.items()}

    def outputs() -> Iterator[NDArray]:
        for frames in spectra.frame_blocks(signal, FRAME, HOP):
            spectrum = torch.from_numpy(magnitudes(frames)).to(device)
            hidden = [(spectrum - arrays["mean"]) / arrays["deviation"]]
            for layer in LAYERS:
                weight, bias = arrays[f"{layer}.weight"], arrays[f"{layer}.bias"]
                hidden.append(nn.functional.linear(hidden[-1], weight, bias).relu())
            yield torch.cat(hidden[1:], dim=1).cpu().numpy()

    windows = map(torch.from_numpy, spectra.windows(outputs(), min(total, WINDOW), WINDOW_HOP))
    found = (torch.cat([some.mean(dim=0), some.std(dim=0, correction=0)]) for some in windows)
    count = spectra.num_frames(total, WINDOW, WINDOW_HOP)
    return {"activations": mapped.gathered((some.numpy()[np.newaxis] for some in found), count)}


def fit(tracks: Tracks, options: Namespace) -> Arrays:
    """Grow the forest on windows of the training tracks, at most windows_per_track of each."""
    from sklearn.ensemble import RandomForestClassifier  # a second; features do without it

    rows, labels = [], []
    for number, windows in tracks.matrices("activations"):
        rows.append(windows[:: max(1, -(-len(windows) // options.windows_per_track))].copy())
        labels.append(np.full(len(rows[-1]), tracks.labels[number]))
    every, classes = np.concatenate(rows), np.concatenate(labels)
    rows.clear()
    trees: list[Arrays] = []
    roots = [0]
    for number in range(0, options.num_trees, GROWN_TOGETHER):  # scikit-learn's trees are large
        count = min(GROWN_TOGETHER, options.num_trees - number)
        forest = RandomForestClassifier(count, random_state=options.seed + number, n_jobs=1)
        for tree in (grown.tree_ for grown in forest.fit(every, classes).estimators_):
            trees.append(
                {
                    "left": (tree.children_left + roots[-1]).astype(np.int32),
                    "right": (tree.children_right + roots[-1]).astype(np.int32),
                    "leaf": tree.children_left < 0,
                    "feature": tree.feature.astype(np.int32),
                    "threshold": tree.threshold.copy(),
                    "decision": tree.value[:, 0].argmax(axis=1).astype(np.int16),
                }
            )
            roots.append(roots[-1] + tree.node_count)
    joined = {name: np.concatenate([tree[name] for tree in trees]) for name in trees[0]}
    return {"present": forest.classes_, "roots": np.array(roots[:-1]), **joined}


def forest_shares(model: Arrays, rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the share of trees for each class that occurs, (n, C); leaves of full trees are pure."""
    every = np.arange(len(rows))[:, np.newaxis]
    node = np.tile(model["roots"], (len(rows), 1))
    for _ in range(DEEPEST):
        if (ended := model["leaf"][node]).all():
            break
        goes_left = rows[every, model["feature"][node]] <= model["threshold"][node]
        node = np.where(ended, node, np.where(goes_left, model["left"][node], model["right"][node]))
    else:
        raise ValueError("a tree does not end")
    return np.eye(len(model["present"]))[model["decision"][node]].mean(axis=1)


def scores(model: Arrays, tracks: Tracks) -> NDArray:
    """Return the share of windows that vote for each class, (n, C); the shares of trees break ties."""
    total = np.zeros((len(tracks.genre), len(model["present"])))
    for number, windows in tracks.matrices("activations"):
        parts = mapped.blocks(windows, AT_ONCE)
        shares = np.concatenate([forest_shares(model, part) for part in parts])
        votes = np.bincount(shares.argmax(axis=1), minlength=shares.shape[1]) / len(shares)
        total[number] = (votes + 1e-6 * shares.mean(axis=0)) / (1.0 + 1e-6)
    return tracks.spread(total, model["present"])


KINDS = ("activations",)
SHAPES = {
    **dict.fromkeys(("mean", "deviation"), "513"),
    **{"0.weight": "units 513", "9.weight": "classes units", "9.bias": "classes"},
    **dict.fromkeys(("3.weight", "6.weight"), "units units"),
    **dict.fromkeys(("0.bias", "3.bias", "6.bias"), "units"),
    **dict.fromkeys(("left", "right", "leaf", "feature", "threshold", "decision"), "nodes"),
}
SCORES = {"Seg_acc": (scores, "sig2014 with its network trained on this corpus's own training tracks")}
