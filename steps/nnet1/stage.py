"""From a stage program's options to a trainer: data, initial network, experiment."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

from steps.nnet1 import kernels, training_set
from steps.nnet1.components import Network
from steps.nnet1.device import add_device_options, select_device
from steps.nnet1.experiment import Experiment
from steps.nnet1.initialize import initialize
from steps.nnet1.inputs import TrainingData
from steps.nnet1.model_file import read_network, write_network
from steps.nnet1.options import TrainOptions
from steps.nnet1.prototype import default_generation, read_prototype
from steps.nnet1.tool import check_streams, open_transform
from steps.nnet1.training import Pass, Trainer
from utils import atomic, cli
from utils.cli import UserError

ARGUMENTS = "<data-tr> <data-cv> <feature-transform> <exp-dir>"
_NOT_COUNTED = (
    "config",
    "use_gpu",
    "num_threads",
    "kernels",
    "max_iters",
    "select",
    "nnet_init",
    "data_tr",
    "data_cv",
    "transform",
    "exp_dir",
)


def learn_rate(text: str) -> str:
    """Check a learning rate and keep its digits, because the schedules print it as it was given."""
    if cli.finite_float(text) <= 0:
        raise argparse.ArgumentTypeError(f"expected a learning rate above 0, got '{text}'")
    return text


def stage_parser(program: str, description: str | None) -> cli.KaldiParser:
    """Make a parser with the arguments and options that both stage programs have."""
    parser = cli.KaldiParser(f"local/{program} [options] {ARGUMENTS}", description)
    for name in ("data_tr", "data_cv", "transform", "exp_dir"):
        parser.add_argument(name)
    add = parser.add_argument
    add("--seed", type=int, default=777, help="of initial network, list order and shuffling (default: 777)")
    add("--feat-dim", type=int, default=0, help="columns that the features must have (default: any)")
    add("--nnet-init", default="", help="initial network (default: a new one)")
    add("--momentum", type=cli.finite_float, default=0.0, help="momentum (default: 0)")
    add("--l1-penalty", type=cli.finite_float, default=0.0, help="L1 penalty (default: 0)")
    add("--l2-penalty", type=cli.finite_float, default=0.0, help="L2 penalty (default: 0)")
    add_device_options(parser)
    return parser


def make_network(args: argparse.Namespace, lines: Iterable[str], name: str) -> Network:
    """Write ``<exp-dir>/nnet.proto`` and ``<exp-dir>/<name>``, the initial network, and return it."""
    directory = Path(args.exp_dir)
    if args.nnet_init:
        network = read_network(args.nnet_init)
    else:
        with atomic.replacing(directory / "nnet.proto") as file:
            file.writelines(f"{line}\n" for line in lines)
        protos, _ = read_prototype(directory / "nnet.proto")
        network = initialize(protos, args.seed, default_generation(protos))
    write_network(network, directory / name)
    return network


def open_trainer(
    args: argparse.Namespace,
    prototype: Callable[[int, int], Iterable[str]],
    run: Pass,
    *,
    init_name: str,
    num_stream: int = 1,
    framewise: bool = False,
    length_tolerance: int = 5,
) -> tuple[Trainer, Network]:
    """Check data and configuration and open the experiment, which may be under way.

    Parameters
    ----------
    args : Namespace
        Of a :func:`stage_parser` with more options; all but those of the run count as configuration.
    prototype : callable
        Gives the lines of the network's prototype for ``(feat_dim, num_classes)``.
    run : callable
        Makes one pass over the data.
    init_name : str
        File name of the initial network.
    num_stream, framewise, length_tolerance
        See ``Net``, ``open_transform``, ``TrainingData``.

    Returns
    -------
    trainer : Trainer
    network : Network
        The initial one.
    """
    device = select_device(args)
    directory = Path(args.exp_dir)
    directory.mkdir(parents=True, exist_ok=True)
    transform = open_transform(args.transform, device, framewise=framewise)
    if transform is None:
        raise UserError("<feature-transform> is empty; make one with cmvn_to_nnet.py")
    data = training_set.open_training_set(
        args.data_tr, args.data_cv, args.transform, directory, seed=args.seed, feat_dim=args.feat_dim
    )
    if data.feat_dim != transform.network.input_dim:
        raise UserError(
            f"{args.transform}: takes {transform.network.input_dim} columns, "
            f"the features in {args.data_tr} have {data.feat_dim}"
        )
    counted = {
        name.replace("_", "-"): value for name, value in vars(args).items() if name not in _NOT_COUNTED
    }
    counted["data"] = data.data_hash
    if args.nnet_init:
        counted["nnet-init"] = training_set.data_hash([], [Path(args.nnet_init)])
    arithmetic = {
        "device": device.type,
        "num-threads": args.num_threads,
        "kernels": kernels.identity() if device.type == "cpu" else "torch",
    }
    experiment = Experiment(directory, counted, arithmetic)
    network = make_network(args, prototype(transform.network.output_dim, data.num_classes), init_name)
    check_streams(network, num_stream, args.nnet_init)
    dims = (transform.network.output_dim, data.num_classes)
    if (network.input_dim, network.output_dim) != dims:
        raise UserError(
            f"{args.nnet_init}: goes from {network.input_dim} to {network.output_dim} columns, "
            f"the data from {dims[0]} to {dims[1]} classes"
        )

    def passing(feats: str, labels: str) -> TrainingData:
        return TrainingData(
            feats,
            labels,
            data.feat_dim,
            data.num_classes,
            transform=lambda x: transform.feedforward(x.to(device)),
            length_tolerance=length_tolerance,
        )

    options = TrainOptions(0.0, args.momentum, args.l1_penalty, args.l2_penalty)
    tr_data, cv_data = passing(data.tr_feats, data.tr_labels), passing(data.cv_feats, data.cv_labels)
    return Trainer(experiment, tr_data, cv_data, run, device, num_stream, options), network
