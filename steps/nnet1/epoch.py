"""One pass over the data: train a network or measure its loss; Kaldi's closing lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch

from steps.nnet1 import frames as frame_buffer
from steps.nnet1 import streams
from steps.nnet1.inputs import Counts, TrainingData
from steps.nnet1.length_buffer import LengthBuffer, batches
from steps.nnet1.loss import Xent
from steps.nnet1.options import TrainOptions
from steps.nnet1.runtime import Net
from utils import cli
from utils.cli import UserError

PROGRESS_SECONDS = 60


@dataclass
class EpochResult:
    """Loss and counts of a pass, and how long it took."""

    xent: Xent
    counts: Counts
    seconds: float

    def log(self, *, cross_validate: bool, randomized: bool | None, short: bool = False) -> None:
        """Write Kaldi's closing lines to stderr.

        ``randomized`` is None for tools that never say it, ``short`` true for those that say ``fps``.
        """
        words = ["CROSS-VALIDATION" if cross_validate else "TRAINING"]
        if randomized is not None:
            words.append("RANDOMIZED" if randomized else "NOT-RANDOMIZED")
        speed = self.xent.num_frames / max(self.seconds, 1e-9)
        if short or self.xent.generation == "2014":
            words += [f"{self.seconds / 60:g} min", f"fps{speed:g}"]
        else:
            words += [f"{self.seconds / 60:g} min", f"processing {speed:g} frames per sec."]
        cli.log(f"{self.counts} [{', '.join(words)}]")
        if self.xent.generation == "modern":
            cli.log(self.xent.report_per_class())
        cli.log(self.xent.report())


def _minibatch(net: Net, xent: Xent, batch, options: TrainOptions | None) -> None:
    y = net.propagate(batch.feats.to(net.device))
    diff = xent.eval(y, batch.targets.to(net.device), batch.weights.to(net.device))
    if options is not None:
        net.backpropagate(diff, options)


def _pass(
    net: Net,
    data: TrainingData,
    batches: Iterable,
    options: TrainOptions | None,
    where: str,
    after_batch: Callable[[], None] | None = None,
) -> EpochResult:
    started = told = time.monotonic()
    if options is not None:
        net.check_trainable()
        net.reset_momentum()
    xent = Xent(net.network.output_dim, net.network.generation)
    with torch.no_grad():
        for batch in batches:
            if hasattr(batch, "new"):
                net.set_lengths(batch.lengths)
                net.reset_streams(batch.new)
            _minibatch(net, xent, batch, options)
            xent.check_finite(where)
            if after_batch is not None:
                after_batch()
            if time.monotonic() - told > PROGRESS_SECONDS:
                told = time.monotonic()
                cli.log(f"{where}: after {xent.num_frames:g} frames, AvgLoss so far {xent.avg_loss:g}")
    if xent.num_frames == 0:
        raise UserError(f"{where}: not one minibatch of frames with targets. {data.counts}")
    return EpochResult(xent, data.counts, time.monotonic() - started)


def frame_epoch(
    net: Net,
    data: TrainingData,
    options: TrainOptions | None,
    *,
    minibatch_size: int = 256,
    randomizer_size: int = 32768,
    seed: int | None = None,
    where: str = "training",
) -> EpochResult:
    """Run ``nnet-train-frmshuff`` once; ``options`` is None for cross-validation.

    ``seed`` is that of the frames' permutation, None for the order of the data.
    """
    if net.lstms:
        raise UserError("a network with an LSTM is trained by nnet_train_lstm_streams.py, not frame by frame")
    batches = frame_buffer.minibatches(
        data, minibatch_size=minibatch_size, randomizer_size=randomizer_size, seed=seed
    )
    return _pass(net, data, batches, options, where)


def stream_epoch(
    net: Net,
    data: TrainingData,
    options: TrainOptions | None,
    *,
    batch_size: int = 20,
    targets_delay: int = 5,
    where: str = "training",
    after_batch: Callable[[], None] | None = None,
) -> EpochResult:
    """Run ``bd-nnet-train-lstm-streams`` once; ``options`` is None for cross-validation."""
    for lstm in net.lstms:
        lstm.start_utterance()
    batches = streams.delayed_chunks(
        data, num_stream=net.num_stream, batch_size=batch_size, targets_delay=targets_delay
    )
    result = _pass(net, data, batches, options, where, after_batch)
    if result.counts.done < net.num_stream:
        cli.warn(
            f"{where}: {result.counts.done} utterances for {net.num_stream} streams; "
            "the streams without one ran on frames of weight 0"
        )
    return result


def multistream_epoch(
    net: Net,
    data: TrainingData,
    options: TrainOptions | None,
    *,
    batch_size: int = 20,
    where: str = "training",
) -> EpochResult:
    """Run ``nnet-train-multistream`` once; ``options`` is None for cross-validation."""
    for lstm in net.lstms:
        lstm.start_utterance()
    batches = streams.padded_chunks(data, num_stream=net.num_stream, batch_size=batch_size)
    return _pass(net, data, batches, options, where)


def utterance_epoch(
    net: Net, data: TrainingData, options: TrainOptions | None, *, where: str = "training"
) -> EpochResult:
    """Run ``nnet-train-perutt`` once: an utterance is a minibatch and an update."""
    chunks = (
        streams.Chunk(utterance.feats, utterance.targets, utterance.weights, [True], None)
        for utterance in data
    )
    return _pass(net, data, chunks, options, where)


def multistream_utterance_epoch(
    net: Net,
    data: TrainingData,
    options: TrainOptions | None,
    *,
    num_streams: int = 4,
    max_frames: int = 8000,
    where: str = "training",
) -> EpochResult:
    """Run ``nnet-train-multistream-perutt`` once: several whole utterances are a minibatch and an update."""
    buffer = LengthBuffer(data.read_feats())
    groups = batches(buffer, data.prepared(buffer), num_streams=num_streams, max_frames=max_frames)

    def chunks() -> Iterator[streams.Chunk]:
        for group in groups:
            net.num_stream = len(group)
            for lstm in net.lstms:
                lstm.num_stream = len(group)
                lstm.start_utterance()
            yield streams.whole_utterances(group)

    return _pass(net, data, chunks(), options, where)
