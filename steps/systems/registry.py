"""The systems by name: their options, features, training and decisions, behind one interface."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from steps.systems import hol2008, lee2009, leo2012, sig2014, son2008, spectra
from steps.systems.tracks import Arrays, Tracks
from utils import atomic, cli
from utils.cli import UserError

Features = Callable[[spectra.Sliceable, Namespace, Arrays, torch.device], dict[str, NDArray]]
Scores = Callable[[Arrays, Tracks], NDArray]


def _no_options(parser: ArgumentParser) -> None:
    """Add nothing."""


@dataclass(frozen=True)
class System:
    """One of the published systems.

    Attributes
    ----------
    kinds : tuple of str
        Features that tracks are decided by.
    features : callable
        ``(signal, options, network, device)`` -> matrix of each kind; reads the signal once.
    fit : callable
        ``(tracks, options)`` -> arrays.
    scores : mapping of str to callable
        Name of the accuracy to ``(arrays, tracks)`` -> scores of shape (n, C). The first is the published rule.
    notes : mapping of str to str
        What results.txt says beside an accuracy.
    add_options : callable
        Adds the system's options to a parser.
    num_trained : bool
        Whether a network is trained first (``fit_network``), from features of its own (``network_features``).
    """

    kinds: tuple[str, ...]
    features: Features
    fit: Callable[[Tracks, Namespace], Arrays]
    scores: dict[str, Scores]
    notes: dict[str, str] = field(default_factory=dict)
    add_options: Callable[[ArgumentParser], None] = _no_options
    network_features: Features | None = None


SYSTEMS = {
    "lee2009": System(
        ("modulation",),
        lambda signal, *_: lee2009.features(signal),
        lee2009.fit,
        {"Seg_acc": lee2009.scores},
        {"Seg_acc": "lee2009 at 22 050 Hz: 316 values instead of 332"},
    ),
    "son2008": System(
        ("gaussians", "patterns"),
        lambda signal, *_: son2008.features(signal),
        son2008.fit,
        {"Seg_acc": son2008.scores, "TransSeg_acc": son2008.transductive_scores},
        {
            "Seg_acc": "son2008, a re-design: distances, EM and regularisers are our choice; inductive",
            "TransSeg_acc": "son2008, a re-design; transductive: the audio of the test tracks took part in training",
        },
        son2008.add_options,
    ),
    "hol2008": System(
        ("bases",),
        lambda signal, options, *_: hol2008.features(signal, options),
        hol2008.fit,
        {"Seg_acc": hol2008.scores},
        {"Seg_acc": "hol2008 from its abstract: bands, rank and mixtures are our choice"},
        hol2008.add_options,
    ),
    "leo2012": System(
        ("gaussians",),
        lambda signal, *_: leo2012.features(signal),
        leo2012.fit,
        {"Seg_acc": leo2012.scores, "FullSeg_acc": leo2012.full_scan_scores},
        {
            "Seg_acc": "leo2012 from its abstract: FastMap filter, exact divergences, 1-NN",
            "FullSeg_acc": "leo2012 without the filter: the exact divergence to every training track",
        },
        leo2012.add_options,
    ),
    "sig2014": System(
        ("activations",),
        lambda signal, _, network, device: {"activations": sig2014.activations(signal, network, device)},
        sig2014.fit,
        {"Seg_acc": sig2014.scores},
        {"Seg_acc": "sig2014 with its network trained on this corpus's training tracks"},
        sig2014.add_options,
        lambda signal, options, *_: {"frames": sig2014.sampled_frames(signal, options)},
    ),
}


def parse(parser: cli.KaldiParser, argv: Sequence[str]) -> Namespace:
    """Parse a command line that names a system (``--system NAME``) and holds this system's options."""
    chooser = ArgumentParser(add_help=False, allow_abbrev=False)
    chooser.add_argument("--system", choices=sorted(SYSTEMS), default="")
    name = chooser.parse_known_args(list(argv))[0].system
    parser.add_argument("--system", choices=sorted(SYSTEMS), required=True, help="which of the systems")
    parser.add_argument("--seed", type=int, default=777, help="of everything random (default: 777)")
    if name:
        SYSTEMS[name].add_options(parser)
    return parser.parse_args(argv)


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Write named arrays as npz: nothing in it is code, and the same arrays are the same bytes."""
    with atomic.replacing(path, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_arrays(path: str | Path) -> Arrays:
    """Read the arrays of :func:`write_arrays`; nothing is executed.

    Raises
    ------
    UserError
        If the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except OSError as error:
        raise UserError(f"{path}: cannot read the system: {error.strerror or error}; train it") from error
    except Exception as error:  # noqa: BLE001 (zip, struct and value errors of many kinds)
        raise UserError(f"{path}: not a trained system ({error}); train it again") from error
