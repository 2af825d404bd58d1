"""Whole trainings in one process: Karel's scheduler over frames, kaldi-lstm's loop over streams.

Every epoch starts as a new process of Kaldi's would: no momentum, the same seed. So an interrupted
training continues from the last epoch's network alone and ends with the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from steps.nnet1 import schedule
from steps.nnet1.components import LstmProjectedStreams, Network
from steps.nnet1.convert import to_test_time
from steps.nnet1.epoch import EpochResult
from steps.nnet1.experiment import Experiment
from steps.nnet1.inputs import TrainingData
from steps.nnet1.model_file import read_network, write_network
from steps.nnet1.options import TrainOptions
from steps.nnet1.runtime import Net
from steps.nnet1.schedule import Epoch
from utils import cli, disk_space
from utils.cli import UserError

Pass = Callable[[Net, TrainingData, "TrainOptions | None", str], EpochResult]


@dataclass
class Trainer:
    """An experiment, its data, and how to make one pass over them."""

    experiment: Experiment
    tr_data: TrainingData
    cv_data: TrainingData
    run: Pass
    device: torch.device
    num_stream: int = 1
    options: TrainOptions = TrainOptions()

    def _net(self, network: Network) -> Net:
        return Net(network, self.device, num_stream=self.num_stream)

    def start(self, network: Network, name: str, max_iters: int) -> Epoch:
        """Measure the initial network, unless that was done; returns iteration 0.

        Raises
        ------
        UserError
            If the disk lacks the space for the networks of all epochs to come.
        """
        num_bytes = 4 * sum(tensor.numel() for _, _, tensor in network.params())
        num_files = max(0, max_iters - len(self.experiment.epochs)) + 2  # final.nnet, final_test.nnet
        disk_space.require(self.experiment.directory, num_files * num_bytes)
        if self.experiment.initial is None:
            result = self.run(self._net(network), self.cv_data, None, "the initial network")
            loss = schedule.six_digits(result.xent.avg_loss)
            epoch = Epoch(
                0, "0", loss, loss, cv_acc=result.xent.frame_accuracy, seconds=result.seconds, nnet=name
            )
            self.experiment.record(replace(epoch, tr_loss=float("nan")))
        initial = self.experiment.initial
        if initial is None:
            raise UserError("the initial network was not measured")
        cli.log(f"CROSSVAL PRERUN AVG.LOSS {initial.cv_loss:.4f} (Xent),")
        return initial

    def epoch(self, network: Network, iteration: int, learn_rate: str) -> tuple[Network, Epoch]:
        """Train a network for one epoch and cross-validate it; the epoch has no name and verdict yet."""
        self.experiment.check_arithmetic()
        where = f"epoch {iteration}, learning rate {learn_rate}"
        net = self._net(network)
        options = replace(self.options, learn_rate=float(learn_rate))
        trained = self.run(net, self.tr_data, options, where)
        valid = self.run(net, self.cv_data, None, where)
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


def train_karel(trainer: Trainer, options: schedule.KarelOptions, network: Network, base: str) -> None:
    """Train as ``steps/nnet/train_scheduler.sh`` does, and write ``final.nnet``, the best network.

    Raises
    ------
    UserError
        If training diverges or no epoch is better than the initial network.
    """
    experiment = trainer.experiment
    initial = trainer.start(network, f"{base}.init", options.max_iters)
    state = schedule.karel_start(options, initial.cv_loss, initial.nnet)
    state = schedule.karel_replay(options, state, experiment.epochs, base)
    for epoch in experiment.epochs:
        cli.log(f"{schedule.iteration_line(epoch, options.max_iters)} (done before)")
    schedule.check_divergence(experiment.epochs, initial.cv_loss)
    while not state.finished and state.iteration < options.max_iters:
        if state.best == initial.nnet:
            network = read_network(experiment.directory / initial.nnet)
        else:
            network = experiment.load_network(state.best)
        network, done = trainer.epoch(network, state.iteration + 1, state.learn_rate)
        state, judged = schedule.karel_step(options, state, done.tr_loss, done.cv_loss, base)
        trainer.finish_epoch(
            network,
            replace(judged, tr_acc=done.tr_acc, cv_acc=done.cv_acc, seconds=done.seconds),
            initial,
            options.max_iters,
        )
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
    write_final(experiment, state.best, 0)


def train_kaldi_lstm(
    trainer: Trainer, options: schedule.KaldiLstmOptions, network: Network, *, select: str, targets_delay: int
) -> None:
    """Train as kaldi-lstm's loop does, every epoch from the last one's network; write ``final.nnet``.

    ``select`` says which network that is: ``last`` as in kaldi-lstm, or ``best-cv``, the one with the lowest
    cross-validation loss.

    Raises
    ------
    UserError
        If training diverges.
    """
    experiment = trainer.experiment
    initial = trainer.start(network, "nnet.iter0", options.max_iters)
    rates = schedule.kaldi_lstm_rates(options)
    for epoch, rate in zip(experiment.epochs, rates, strict=False):
        if float(epoch.learn_rate) != float(rate):
            raise UserError(
                f"{experiment.directory}: epoch {epoch.iteration} had the learning rate {epoch.learn_rate}, "
                f"not {rate}; remove the directory to start over"
            )
        cli.log(f"{schedule.iteration_line(epoch, options.max_iters)} (done before)")
    schedule.check_divergence(experiment.epochs, initial.cv_loss)
    if experiment.epochs:
        network = experiment.load_network(experiment.epochs[-1].nnet)
    else:
        experiment.save_network(network, "nnet.iter0")
    for iteration in range(len(experiment.epochs) + 1, options.max_iters + 1):
        network, done = trainer.epoch(network, iteration, rates[iteration - 1])
        done = replace(done, nnet=f"nnet.iter{iteration}")
        trainer.finish_epoch(network, done, initial, options.max_iters)
    chosen = experiment.epochs[-1]
    if select == "best-cv":
        chosen = min(experiment.epochs, key=lambda epoch: epoch.cv_loss)
    write_final(experiment, chosen.nnet, targets_delay)


def write_final(experiment: Experiment, name: str, targets_delay: int) -> None:
    """Write ``final.nnet`` and its test-time form ``final_test.nnet``, the same where nothing is delayed."""
    network = experiment.load_network(name)
    write_network(network, experiment.directory / "final.nnet")
    if any(isinstance(component, LstmProjectedStreams) for component in network.components):
        network = to_test_time(network, targets_delay)
    write_network(network, experiment.directory / "final_test.nnet")
    cli.log(f"Succeeded training the Neural Network : '{experiment.directory}/final.nnet' ({name})")
