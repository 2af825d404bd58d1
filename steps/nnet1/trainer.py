"""Whole trainings in one process: Karel's scheduler over frames, kaldi-lstm's loop over streams.

Every epoch starts as a new process of Kaldi's would: no momentum, the same seed. So an interrupted
training continues from the last epoch's network alone and ends with the same bits.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import torch

from steps import native
from steps.nnet1 import epoch as one_pass
from steps.nnet1 import lstm_native, products, schedule
from steps.nnet1.components import AffineTransform, Lstm, LstmProjectedStreams, Network, to_test_time
from steps.nnet1.experiment import Experiment
from steps.nnet1.initialize import initialize
from steps.nnet1.minibatches import Frames, Streams
from steps.nnet1.model_file import read_network, write_network
from steps.nnet1.net import Net
from steps.nnet1.options import TrainOptions, add_device_options
from steps.nnet1.prototype import default_generation, read_prototype
from steps.nnet1.schedule import Epoch
from steps.nnet1.tool import check_streams
from steps.nnet1.training_set import TrainingSet
from utils import atomic, cli, progress, provenance
from utils.cli import UserError

ARGUMENTS = "<data-tr> <data-cv> <feature-transform> <exp-dir>"


def learn_rate(text: str) -> str:
    """Check a learning rate and keep its digits, because the schedules print it as it was given."""
    if cli.finite_float(text) <= 0:
        raise argparse.ArgumentTypeError(f"expected a learning rate above 0, got '{text}'")
    return text


def trainer_parser(program: str, description: str | None) -> cli.KaldiParser:
    """Make a parser with the arguments and options of every program that trains an experiment."""
    parser = cli.KaldiParser(f"{program} [options] {ARGUMENTS}", description)
    for name in ("data_tr", "data_cv", "transform", "exp_dir"):
        parser.add_argument(name)
    add = parser.add_argument
    add("--seed", type=int, default=777, help="of initial network, list order and shuffling")
    add("--feat-dim", type=int, default=0, help="columns that the features must have")
    add("--nnet-init", default="", help="initial network")
    for name in ("momentum", "l1-penalty", "l2-penalty"):
        add(f"--{name}", type=cli.finite_float, default=0.0, help=name.replace("-", " "))
    text = "finished epochs are kept from an interrupted run under the same key; without one: start over"
    add("--key", default="", help=text)
    text = "keep the networks of all epochs, not of the last and the best alone"
    add("--keep-networks", type=cli.boolean, default=False, help=text)
    add_device_options(parser)
    return parser


def machine(args: argparse.Namespace, device: torch.device, network: Network) -> str:
    """Describe what computes, e.g. ``cpu, kernels large=torch,gradient=torch, 1 threads, AMD EPYC``."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, kernels {args.kernels}"
    for component in network.components:
        if isinstance(component, Lstm):
            lstm_native.fastest(component, 1)
    return f"cpu, kernels {products.identity()}, {args.num_threads} threads, {native.processor_name()}"


def repeat_kernels(machines: list[str]) -> None:
    """Use what an interrupted training was computed with last, if that was on such a processor."""
    begun = re.fullmatch(r"cpu, kernels (\S+), \d+ threads, (.*)", machines[-1]) if machines else None
    if begun is not None and begun[2] == native.processor_name():
        products.use(begun[1])


def make_network(args: argparse.Namespace, data: TrainingSet, lines: Iterable[str], name: str) -> Network:
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
    dims = (data.input_dim, data.num_classes)
    if (network.input_dim, network.output_dim) != dims:
        raise UserError(
            f"{args.nnet_init}: goes from {network.input_dim} to {network.output_dim} columns, "
            f"the data from {dims[0]} to {dims[1]} classes"
        )
    return network


def topology(network: Network) -> dict[str, object]:
    """Return what the paper writes in brackets: kind, and the dimensions of input and layers."""
    layers = [part for part in network.components if isinstance(part, AffineTransform | Lstm)]
    kind = "LSTM" if any(isinstance(part, Lstm) for part in layers) else "DNN"
    return {"kind": kind, "dims": [network.input_dim, *(part.output_dim for part in layers)]}


class Trainer:
    """An experiment, its data, and how to go through them; ``network`` is the initial one.

    ``args`` are those of a :func:`trainer_parser` with ``--max-iters``.
    """

    def __init__(
        self, args: argparse.Namespace, data: TrainingSet, how: Frames | Streams, network: Network
    ) -> None:
        check_streams(network, how.num_stream, args.nnet_init)
        self.args, self.data, self.how, self.network = args, data, how, network
        self.experiment, self.initial_loss = Experiment(Path(args.exp_dir), args.key), math.nan
        if args.kernels == "auto":
            repeat_kernels(self.experiment.record.get("machines", []))
        here = machine(args, data.device, network)
        cli.log(f"Training on {here}")
        configuration = [args.config] if args.config else []
        shape = topology(network)
        self.experiment.begin(provenance.training_record(configuration, args.seed, [here], network=shape))

    def _net(self, network: Network) -> Net:
        return Net(network, self.data.device, num_stream=self.how.num_stream)

    def start(self, name: str) -> Epoch:
        """Measure the initial network and log the epochs, unless that was done; return iteration 0."""
        initial = self.experiment.initial
        if initial is None:
            where = "the initial network"
            result = one_pass.run(self._net(self.network), self.data.cv, self.how, None, where=where)
            loss, accuracy = schedule.six_digits(result.xent.avg_loss), result.xent.frame_accuracy
            initial = Epoch(0, "0", math.nan, loss, cv_acc=accuracy, seconds=result.seconds, nnet=name)
            self.experiment.add(initial)
        self.initial_loss = initial.cv_loss
        cli.log(f"CROSSVAL PRERUN AVG.LOSS {initial.cv_loss:.4f} (Xent),")
        for epoch in self.experiment.epochs:
            cli.log(f"{schedule.iteration_line(epoch, self.args.max_iters)} (done before)")
        schedule.check_divergence(self.experiment.epochs, initial.cv_loss)
        return initial

    def epoch(self, network: Network, iteration: int, learn_rate: str) -> tuple[Network, Epoch]:
        """Train a network for one epoch and cross-validate it; the epoch has no name and verdict yet."""
        where = f"epoch {iteration}, learning rate {learn_rate}"
        net, args = self._net(network), self.args
        options = TrainOptions(float(learn_rate), args.momentum, args.l1_penalty, args.l2_penalty)
        held_out = self.experiment.epochs[-1].cv_loss if self.experiment.epochs else self.initial_loss

        def watch(frames: int, loss: float) -> None:
            progress.report(
                frames,
                self.data.tr_frames,
                "frames",
                label=self.experiment.directory.name,
                epoch=iteration,
                epochs=args.max_iters,
                train_loss=loss,
                held_out_loss=held_out,
            )

        trained = one_pass.run(net, self.data.tr, self.how, options, where=where, watch=watch)
        self.data.tr_frames = trained.frames
        valid = one_pass.run(net, self.data.cv, self.how, None, where=where)
        done = Epoch(
            iteration,
            learn_rate,
            schedule.six_digits(trained.xent.avg_loss),
            schedule.six_digits(valid.xent.avg_loss),
            trained.xent.frame_accuracy,
            valid.xent.frame_accuracy,
            seconds=trained.seconds + valid.seconds,
        )
        return net.export(), done

    def finish_epoch(self, network: Network, epoch: Epoch) -> None:
        """Keep the network, the line, and look whether training has run away."""
        epochs = self.experiment.epochs
        schedule.check_divergence([epoch], math.inf)
        self.experiment.save_network(network, epoch.nnet)
        self.experiment.add(epoch)
        cli.log(schedule.iteration_line(epoch, self.args.max_iters))
        schedule.check_divergence(epochs, self.initial_loss)
        if schedule.over_fits(epochs, self.initial_loss):
            cli.warn(
                f"{epoch}: the cross-validation loss was above the initial {self.initial_loss:g} for "
                f"{schedule.DIVERGED_AFTER} epochs (now {epoch.cv_loss:g}, in training {epoch.tr_loss:g}): "
                "over-fitting, or too high a --learn-rate"
            )
        if not self.args.keep_networks:
            accepted = [done for done in epochs if done.accepted]
            best = min(epochs, key=lambda done: done.cv_loss)
            self.experiment.keep_networks({done.nnet for done in (*accepted[-1:], best, epoch)})

    def write_final(self, chosen: Epoch, targets_delay: int = 0) -> None:
        """Write ``final.nnet`` and ``final_test.nnet``, its form for whole utterances."""
        directory = self.experiment.directory
        network = self.experiment.load_network(chosen.nnet)
        write_network(network, directory / "final.nnet")
        if any(isinstance(component, LstmProjectedStreams) for component in network.components):
            network = to_test_time(network, targets_delay)
        write_network(network, directory / "final_test.nnet")
        if text := schedule.half_way(chosen, self.data.num_classes):
            cli.warn(text)
        self.experiment.write(half_way=text)
        cli.log(f"Succeeded training the Neural Network : '{directory}/final.nnet' ({chosen.nnet})")


def train_karel(trainer: Trainer, options: schedule.KarelOptions, base: str) -> None:
    """Train as ``steps/nnet/train_scheduler.sh`` does, and write ``final.nnet``, the best network.

    A training that diverges, or without an epoch better than the initial network, is a ``UserError``.
    """
    experiment, initial = trainer.experiment, trainer.start(f"{base}.init")
    state = schedule.KarelState(options.learn_rate, initial.cv_loss, initial.nnet)
    for done in experiment.epochs:
        state, _ = schedule.karel_step(options, state, done, base)
    while not state.finished and state.iteration < options.max_iters:
        network = experiment.load_network(state.best)
        network, done = trainer.epoch(network, state.iteration + 1, state.learn_rate)
        state, done = schedule.karel_step(options, state, done, base)
        trainer.finish_epoch(network, done)
        if state.notice:
            cli.log(state.notice)
    if state.finished:
        cli.log(state.finished)
    if state.best == initial.nnet:
        last = (experiment.epochs or [initial])[-1]
        raise UserError(
            f"{last}: none of the epochs in {experiment.directory} was better than the initial network, "
            f"whose cross-validation loss was {initial.cv_loss:g} (now {last.cv_loss:g}); use "
            f"{'a lower' if last.cv_loss > initial.cv_loss else 'another'} --learn-rate"
        )
    trainer.write_final(next(epoch for epoch in experiment.epochs if epoch.nnet == state.best))


def train_kaldi_lstm(
    trainer: Trainer, options: schedule.KaldiLstmOptions, *, select: str, targets_delay: int
) -> None:
    """Train as kaldi-lstm's loop does, every epoch from the last one's network; write ``final.nnet``.

    ``select`` says which network that is: ``last`` as in kaldi-lstm, or ``best-cv``, the one with the lowest
    cross-validation loss.
    """
    experiment, network = trainer.experiment, trainer.network
    trainer.start("nnet.init")
    rates = schedule.kaldi_lstm_rates(options)
    if experiment.epochs:
        network = experiment.load_network(experiment.epochs[-1].nnet)
    for iteration in range(len(experiment.epochs) + 1, options.max_iters + 1):
        network, done = trainer.epoch(network, iteration, rates[iteration - 1])
        trainer.finish_epoch(network, replace(done, nnet=f"nnet.iter{iteration}"))
    chosen = experiment.epochs[-1]
    if select == "best-cv":
        chosen = min(experiment.epochs, key=lambda epoch: epoch.cv_loss)
    trainer.write_final(chosen, targets_delay)
