"""Whole trainings in one process: Karel's scheduler over frames, kaldi-lstm's loop over streams.

Every epoch starts as a new process of Kaldi's would: no momentum, the same seed. So an interrupted
training continues from the last epoch's network alone and ends with the same bits.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from steps.nnet1 import epoch as one_pass
from steps.nnet1 import kernels, lstm_native, products, schedule
from steps.nnet1.components import AffineTransform, Lstm, LstmProjectedStreams, Network, to_test_time
from steps.nnet1.experiment import Experiment, record_under
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
    for name, what in (("momentum", "momentum"), ("l1-penalty", "L1 penalty"), ("l2-penalty", "L2 penalty")):
        add(f"--{name}", type=cli.finite_float, default=0.0, help=what)
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
    return f"cpu, kernels {products.identity()}, {args.num_threads} threads, {kernels.processor_name()}"


def repeat_kernels(args: argparse.Namespace) -> None:
    """Let ``auto`` be what an interrupted training under the same key was begun with on such a processor."""
    machines = record_under(Path(args.exp_dir), args.key).get("machines", [])
    begun = re.fullmatch(r"cpu, kernels (\S+), \d+ threads, (.*)", machines[-1]) if machines else None
    if begun is not None and args.kernels == "auto" and begun[2] == kernels.processor_name():
        products.use(begun[1])


def make_network(args: argparse.Namespace, data: TrainingSet, lines: Iterable[str], name: str) -> Network:
    """Write ``<exp-dir>/nnet.proto`` and ``<exp-dir>/<name>``, the initial network, and return it.

    Raises
    ------
    UserError
        If ``--nnet-init`` does not fit the data.
    """
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
    """An experiment, its data, and how to go through them.

    Parameters
    ----------
    args : Namespace
        Of a :func:`trainer_parser`.
    data : TrainingSet
        From :func:`open_training_set`.
    how : Frames or Streams
        The minibatches.
    network : Network
        The initial one.
    """

    def __init__(
        self, args: argparse.Namespace, data: TrainingSet, how: Frames | Streams, network: Network
    ) -> None:
        check_streams(network, how.num_stream, args.nnet_init)
        self.data, self.how, self.network = data, how, network
        self.options = TrainOptions(0.0, args.momentum, args.l1_penalty, args.l2_penalty)
        self.keep_networks = args.keep_networks
        repeat_kernels(args)
        here = machine(args, data.device, network)
        cli.log(f"Training on {here}")
        record = provenance.training_record(
            [args.config] if args.config else [],
            args.seed,
            [here],
            network=topology(network),
        )
        self.experiment = Experiment(Path(args.exp_dir), args.key, record)

    def _net(self, network: Network) -> Net:
        return Net(network, self.data.device, num_stream=self.how.num_stream)

    def start(self, name: str) -> Epoch:
        """Measure the initial network, unless that was done; returns iteration 0."""
        if self.experiment.initial is None:
            where = "the initial network"
            result = one_pass.run(self._net(self.network), self.data.cv, self.how, None, where=where)
            loss = schedule.six_digits(result.xent.avg_loss)
            self.experiment.record(
                Epoch(
                    0,
                    "0",
                    float("nan"),
                    loss,
                    cv_acc=result.xent.frame_accuracy,
                    seconds=result.seconds,
                    nnet=name,
                )
            )
        initial = self.experiment.initial
        if initial is None:
            raise UserError("the initial network was not measured")
        cli.log(f"CROSSVAL PRERUN AVG.LOSS {initial.cv_loss:.4f} (Xent),")
        return initial

    def resumed(self, initial: Epoch, max_iters: int) -> list[Epoch]:
        """Log the epochs that were done before and return them."""
        for epoch in self.experiment.epochs:
            cli.log(f"{schedule.iteration_line(epoch, max_iters)} (done before)")
        schedule.check_divergence(self.experiment.epochs, initial.cv_loss)
        return self.experiment.epochs

    def epoch(
        self, network: Network, iteration: int, learn_rate: str, max_iters: int
    ) -> tuple[Network, Epoch]:
        """Train a network for one epoch and cross-validate it; the epoch has no name and verdict yet."""
        where = f"epoch {iteration}, learning rate {learn_rate}"
        net = self._net(network)
        options = replace(self.options, learn_rate=float(learn_rate))
        watch = partial(self._tell, iteration, max_iters)
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

    def _tell(self, iteration: int, max_iters: int, frames: int, loss: float) -> None:
        before = [*filter(None, [self.experiment.initial]), *self.experiment.epochs]
        progress.report(
            frames,
            self.data.tr_frames,
            "frames",
            label=self.experiment.directory.name,
            epoch=iteration,
            epochs=max_iters,
            train_loss=loss,
            held_out_loss=before[-1].cv_loss,
        )

    def finish_epoch(self, network: Network, epoch: Epoch, initial: Epoch, max_iters: int) -> None:
        """Keep the network, the line, and look whether training has run away."""
        schedule.check_divergence([epoch], float("inf"))
        self.experiment.save_network(network, epoch.nnet)
        self.experiment.record(epoch)
        cli.log(schedule.iteration_line(epoch, max_iters))
        schedule.check_divergence(self.experiment.epochs, initial.cv_loss)
        if schedule.over_fits(self.experiment.epochs, initial.cv_loss):
            cli.warn(
                f"epoch {epoch.iteration}, learning rate {epoch.learn_rate}: the cross-validation loss was "
                f"above the initial {initial.cv_loss:g} for {schedule.DIVERGED_AFTER} epochs (now "
                f"{epoch.cv_loss:g}, in training {epoch.tr_loss:g}): over-fitting, or too high a --learn-rate"
            )
        if not self.keep_networks:
            accepted = [done for done in self.experiment.epochs if done.accepted]
            best = min(self.experiment.epochs, key=lambda done: done.cv_loss)
            kept = {done.nnet for done in (*accepted[-1:], best, epoch)}
            self.experiment.keep_networks(kept)

    def write_final(self, name: str, targets_delay: int) -> None:
        """Write ``final.nnet`` and ``final_test.nnet``, its form for whole utterances."""
        directory = self.experiment.directory
        network = self.experiment.load_network(name)
        write_network(network, directory / "final.nnet")
        if any(isinstance(component, LstmProjectedStreams) for component in network.components):
            network = to_test_time(network, targets_delay)
        write_network(network, directory / "final_test.nnet")
        text = schedule.half_way(self.experiment.epochs, name, self.data.num_classes)
        if text:
            cli.warn(text)
        provenance.write_record(directory, {**provenance.read_record(directory), "half_way": text})
        cli.log(f"Succeeded training the Neural Network : '{directory}/final.nnet' ({name})")


def train_karel(trainer: Trainer, options: schedule.KarelOptions, base: str) -> None:
    """Train as ``steps/nnet/train_scheduler.sh`` does, and write ``final.nnet``, the best network.

    Raises
    ------
    UserError
        If training diverges or no epoch is better than the initial network.
    """
    experiment = trainer.experiment
    initial = trainer.start(f"{base}.init")
    state = schedule.karel_start(options, initial.cv_loss, initial.nnet)
    done_before = trainer.resumed(initial, options.max_iters)
    state = schedule.karel_replay(options, state, done_before, base)
    while not state.finished and state.iteration < options.max_iters:
        if state.best == initial.nnet:
            network = read_network(experiment.directory / initial.nnet)
        else:
            network = experiment.load_network(state.best)
        network, done = trainer.epoch(network, state.iteration + 1, state.learn_rate, options.max_iters)
        state, judged = schedule.karel_step(options, state, done.tr_loss, done.cv_loss, base)
        judged = replace(judged, tr_acc=done.tr_acc, cv_acc=done.cv_acc, seconds=done.seconds)
        trainer.finish_epoch(network, judged, initial, options.max_iters)
        if state.notice:
            cli.log(state.notice)
    if state.finished:
        cli.log(state.finished)
    if state.best == initial.nnet:
        last = experiment.epochs[-1] if experiment.epochs else initial
        other = "a lower" if last.cv_loss > initial.cv_loss else "another"
        raise UserError(
            f"epoch {last.iteration}, learning rate {last.learn_rate}: none of the epochs in "
            f"{experiment.directory} was better than the initial network, whose cross-validation loss was "
            f"{initial.cv_loss:g} (now {last.cv_loss:g}); use {other} --learn-rate"
        )
    trainer.write_final(state.best, 0)


def train_kaldi_lstm(
    trainer: Trainer, options: schedule.KaldiLstmOptions, *, select: str, targets_delay: int
) -> None:
    """Train as kaldi-lstm's loop does, every epoch from the last one's network; write ``final.nnet``.

    ``select`` says which network that is: ``last`` as in kaldi-lstm, or ``best-cv``, the one with the lowest
    cross-validation loss.

    Raises
    ------
    UserError
        If training diverges.
    """
    experiment, network = trainer.experiment, trainer.network
    initial = trainer.start("nnet.init")
    rates = schedule.kaldi_lstm_rates(options)
    done_before = trainer.resumed(initial, options.max_iters)
    if done_before:
        network = experiment.load_network(done_before[-1].nnet)
    for iteration in range(len(done_before) + 1, options.max_iters + 1):
        network, done = trainer.epoch(network, iteration, rates[iteration - 1], options.max_iters)
        done = replace(done, nnet=f"nnet.iter{iteration}")
        trainer.finish_epoch(network, done, initial, options.max_iters)
    chosen = experiment.epochs[-1]
    if select == "best-cv":
        chosen = min(experiment.epochs, key=lambda epoch: epoch.cv_loss)
    trainer.write_final(chosen.nnet, targets_delay)
