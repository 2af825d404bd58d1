"""What the training tools share: options, arguments, and one run from model in to model out."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch

from steps.nnet1 import components as nn
from steps.nnet1.buffer_report import Reporter
from steps.nnet1.device import add_device_options, select_device
from steps.nnet1.epoch import EpochResult
from steps.nnet1.inputs import TrainingData
from steps.nnet1.loss import REPORT_FRAMES
from steps.nnet1.model_file import read_network, write_network
from steps.nnet1.options import TrainOptions, add_standard_options, add_train_options, train_options
from steps.nnet1.runtime import Net
from steps.nnet1.wording import WORDINGS, log_end, log_start
from utils import cli

ARGUMENTS = "<feature-rspecifier> <targets-rspecifier> <model-in> [<model-out>]"

Run = Callable[[Net, TrainingData, "TrainOptions | None", Reporter], EpochResult]


def training_parser(program: str, description: str | None) -> cli.KaldiParser:
    """Make a parser with the arguments and options that every training tool has."""
    parser = cli.KaldiParser(f"{program} [options] {ARGUMENTS}", description)
    for name in ("feats", "targets", "model_in"):
        parser.add_argument(name)
    parser.add_argument("model_out", nargs="?")
    add_train_options(parser)
    add_device_options(parser)
    add = parser.add_argument
    add("--cross-validate", type=cli.boolean, default=False, help="only measure the loss (default: false)")
    add("--feature-transform", default="", help="network that the features pass first")
    add("--frame-weights", default="", help="rspecifier of a weight for each frame")
    add("--objective-function", choices=("xent",), default="xent", help="cross-entropy, the only one")
    add("--length-tolerance", type=int, default=5, help="cut lengths that differ by less (default: 5)")
    add("--max-frames", type=int, default=360000, help="leave out longer utterances (default: 360000)")
    add("--binary", type=cli.boolean, default=True, help="write the model in binary (default: true)")
    add("--allow-pipes", type=cli.boolean, default=False, help="run commands in rspecifiers (default: false)")
    add_standard_options(parser)
    return parser


def add_loss_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--loss-report-frames``, which today's tools have."""
    text = f"log the loss of blocks of so many frames, 0: never (default: {REPORT_FRAMES})"
    parser.add_argument("--loss-report-frames", type=int, default=REPORT_FRAMES, help=text)


def add_dummy_options(parser: argparse.ArgumentParser) -> None:
    """Add the shuffling trainer's options, which ``train_scheduler.sh`` gives to any ``--train-tool``."""
    dummies = parser.add_argument_group("accepted and without effect, as in Kaldi")
    for name, default in (("minibatch-size", 256), ("randomizer-size", 32768), ("randomizer-seed", 777)):
        dummies.add_argument(f"--{name}", type=int, default=default)
    dummies.add_argument("--randomize", type=cli.boolean, default=False)


def parse_training(parser: cli.KaldiParser, argv: list[str] | None) -> argparse.Namespace:
    """Parse and check that training names an output and cross-validation does not."""
    args = parser.parse_args(argv)
    if args.cross_validate and args.model_out is not None:
        parser.error("cross-validation writes no model: leave <model-out> out")
    if not args.cross_validate and args.model_out is None:
        parser.error("training needs <model-out>")
    return args


def open_transform(path: str, device: torch.device | str = "cpu", *, framewise: bool = False) -> Net | None:
    """Read a feature transform; None for an empty path.

    ``framewise`` demands that it never looks at neighbouring frames.
    """
    if not path:
        return None
    transform = Net(read_network(path), device)
    kinds = [component.kind for component in transform.network.components]
    if framewise and (wrong := sorted({"Splice", "TimeShift"} & set(kinds))):
        raise cli.UserError(
            f"{path}: <{wrong[0]}> would mix the streams that this trainer interleaves; delay the targets "
            "with --targets-delay, or splice the features before"
        )
    return transform


def check_streams(network: nn.Network, num_stream: int, model: str) -> None:
    """Refuse a network that was made for another number of streams."""
    for index, component in enumerate(network.components, start=1):
        if isinstance(component, nn.LstmProjectedStreams) and component.num_stream != num_stream:
            raise cli.UserError(
                f"{model}: component {index} was made for <NumStream> {component.num_stream}; "
                f"use --num-stream={component.num_stream} instead of {num_stream}"
            )


def run_training(args: argparse.Namespace, tool: str, run: Run, **settings: object) -> None:
    """Read the model, go through the data once, write the model, with Kaldi's log lines.

    Parameters
    ----------
    args : Namespace
        Of a :func:`training_parser`.
    tool : str
        Whose words to log with, see ``wording``.
    run : callable
        Makes the pass; gets None as options for cross-validation.
    **settings
        ``num_stream``, ``framewise`` (see :func:`open_transform`) and fields of ``TrainingData``.
    """
    device = select_device(args)
    num_stream = int(settings.pop("num_stream", 1))  # type: ignore[call-overload]
    framewise = bool(settings.pop("framewise", False))
    net = Net(read_network(args.model_in), device, num_stream=num_stream)
    data = open_data(args, net, device, framewise=framewise, **settings)
    generation = net.network.generation
    report_frames = getattr(args, "loss_report_frames", REPORT_FRAMES)
    reporter = Reporter(generation, args.verbose, report_frames, WORDINGS[tool].of_streams)
    log_start(tool, generation, seed=args.randomizer_seed, cross_validate=args.cross_validate)
    result = run(net, data, None if args.cross_validate else train_options(args), reporter)
    if not args.cross_validate:
        write_network(net.export(), args.model_out, binary=args.binary)
    log_end(tool, result, cross_validate=args.cross_validate, randomize=args.randomize)


def open_data(
    args: argparse.Namespace, net: Net, device: torch.device, *, framewise: bool = False, **settings: object
) -> TrainingData:
    """Describe the training data of parsed arguments; nothing is read yet but the transform."""
    transform = open_transform(args.feature_transform, device, framewise=framewise)
    if transform is not None and transform.network.output_dim != net.network.input_dim:
        raise cli.UserError(
            f"{args.feature_transform}: gives {transform.network.output_dim} columns, "
            f"{args.model_in} takes {net.network.input_dim}"
        )
    settings = {"length_tolerance": args.length_tolerance, "max_frames": args.max_frames, **settings}
    return TrainingData(
        args.feats,
        args.targets,
        (transform or net).network.input_dim,
        net.network.output_dim,
        transform=None if transform is None else (lambda x: transform.feedforward(x.to(device))),
        frame_weights=args.frame_weights,
        allow_pipes=args.allow_pipes,
        **settings,  # type: ignore[arg-type]
    )
