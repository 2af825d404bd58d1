"""What trainings share: options of the two tools, opening of data, and one run from model in to model out."""

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any

from steps.nnet1 import components as nn
from steps.nnet1 import epoch, products
from steps.nnet1.inputs import TrainingData
from steps.nnet1.loss import REPORT_FRAMES
from steps.nnet1.minibatches import Frames, Streams
from steps.nnet1.model_file import read_network, write_network
from steps.nnet1.net import Net
from steps.nnet1.options import TrainOptions, add_standard_options
from utils import cli
from utils.cli import UserError


def training_parser(doc: str | None) -> cli.KaldiParser:
    """Make a parser with the options that every training tool has; ``doc`` is its docstring."""
    parser = cli.KaldiParser.of(doc)
    products.add_device_options(parser)
    add = parser.add_argument
    for item in fields(TrainOptions):
        name, text = item.name.replace("_", "-"), item.name.replace("_", " ")
        add(f"--{name}", type=cli.finite_float, default=item.default, help=text)
    add("--cross-validate", type=cli.boolean, default=False, help="only measure the loss")
    add("--feature-transform", default="", help="network that the features pass first")
    add("--frame-weights", default="", help="rspecifier of a weight for each frame")
    add("--objective-function", choices=("xent",), default="xent", help="cross-entropy, the only one")
    add("--length-tolerance", type=int, default=5, help="cut lengths that differ by less")
    add("--max-frames", type=int, default=360000, help="leave out longer utterances")
    add("--binary", type=cli.boolean, default=True, help="write the model in binary")
    add("--allow-pipes", type=cli.boolean, default=False, help="run commands in rspecifiers")
    # Without effect on streams, as in Kaldi: train_scheduler.sh gives them to any --train-tool.
    add("--minibatch-size", type=cli.positive_int, default=256, help="frames an update")
    add("--randomize", type=cli.boolean, default=True, help="shuffle the frames")
    add("--randomizer-size", type=cli.positive_int, default=32768, help="frames shuffled together")
    add("--randomizer-seed", type=int, default=777, help="seed of the shuffling")
    parser.set_defaults(loss_report_frames=REPORT_FRAMES, dump_interval=0)  # of one of them
    add_standard_options(parser)
    return parser


def open_data(
    places: tuple[str, str],
    network: nn.Network,
    how: Frames | Streams,
    transform: str | Path,
    *,
    model: str | Path = "the initial network",
    **more: Any,
) -> TrainingData:
    """Open features and targets (rspecifiers) for a network; ``transform`` may be empty.

    ``more`` are further fields of ``TrainingData``. UserError if network, transform and ``how`` do not fit.
    """
    net = Net(read_network(transform)) if transform else None
    for component in network.components:
        found = getattr(component, "num_stream", how.num_stream)
        if found != how.num_stream:
            made = f"was made for <NumStream> {found}; use --num-stream={found} instead of {how.num_stream}"
            raise UserError(f"{model}: <{component.kind}> {made}")
    if net and (given := net.network.output_dim) != network.input_dim:
        raise UserError(f"{transform}: gives {given} columns, {model} takes {network.input_dim}")
    width = net.network.input_dim if net else network.input_dim
    if isinstance(how, Streams):
        more["length_tolerance"] = 0
    return TrainingData(*places, width, network.output_dim, transform=net, **more)


def run_training(args: argparse.Namespace, how: Frames | Streams) -> None:
    """Read the model, go through the data once, write the model, with Kaldi's log lines.

    Every ``--dump-interval`` utterances, on the CPU, also as ``<model-out>_utt<N>``.
    """
    training = not args.cross_validate
    if training != (args.model_out is not None):
        raise UserError("training needs <model-out>, and --cross-validate=true writes none")
    net = Net(read_network(args.model_in), products.select_device(args), num_stream=how.num_stream)
    places = (args.feature_rspecifier, args.targets_rspecifier)
    names = ("frame_weights", "length_tolerance", "max_frames", "allow_pipes")
    more = {name: getattr(args, name) for name in names}
    data = open_data(places, net.network, how, args.feature_transform, model=args.model_in, **more)
    what = "TRAINING" if training else "CROSS-VALIDATION"
    cli.log(f"Seeding by srand with : {args.randomizer_seed}")
    cli.log(f"{what} STARTED")
    options = TrainOptions.of(args) if training else None
    dumped, every = 0, args.dump_interval

    def dump(_frames: int, _loss: float) -> None:
        nonlocal dumped
        if (reached := data.counts["done"] // every) > dumped:
            dumped = reached
            write_network(net.export(), f"{args.model_out}_utt{reached * every}", args.binary)

    watch = dump if training and every > 0 and net.device.type == "cpu" else None
    more = {"where": str(args.model_in), "report_frames": args.loss_report_frames}
    result = epoch.run(net, data, how, options, watch=watch, **more)
    if training:
        write_network(net.export(), args.model_out, args.binary)
    rate, modern = result.frames / max(result.seconds, 1e-9), net.network.generation == "modern"
    speed = f"fps{rate:g}"
    if modern and isinstance(how, Frames):
        share = 100 * result.waiting / max(result.seconds, 1e-9)
        speed = f"processing {rate:g} frames per sec; i/o time {share:g}%"
    order = "RANDOMIZED" if args.randomize else "NOT-RANDOMIZED"
    cli.log(f"{data.counted()} [{what}, {order}, {result.seconds / 60:g} min, {speed}]")
    if modern:
        cli.log(result.xent.report_per_class())
    cli.log(result.xent.report())
