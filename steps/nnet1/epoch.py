"""One pass over the data: train a network or measure its loss."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from steps.nnet1 import frames as frame_buffer
from steps.nnet1 import streams
from steps.nnet1.buffer_report import Reporter
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
    """Loss and counts of a pass, its frames, and how long it took: all of it, reading, the network alone."""

    xent: Xent
    counts: Counts
    seconds: float
    frames: int
    reading: float
    computing: float


def _minibatch(net: Net, xent: Xent, batch, options: TrainOptions | None, observer: Reporter | None) -> None:
    y = net.propagate(batch.feats.to(net.device))
    diff = xent.eval(y, batch.targets.to(net.device), batch.weights.to(net.device))
    if options is not None:
        if observer is not None:
            observer.observe(net, diff)
        net.backpropagate(diff, options)


def _counted(batches: Iterable, data: TrainingData, *, look_ahead: bool) -> Iterator[tuple[Any, int, bool]]:
    """Yield each batch, the utterances that were read for it and before, and whether it is the last.

    Without ``look_ahead`` no batch is known to be the last.
    """
    waiting: tuple[Any, int] | None = None
    for batch in batches:
        if not look_ahead:
            yield batch, data.counts.done, False
            continue
        if waiting is not None:
            yield *waiting, False
        waiting = (batch, data.counts.done)
    if waiting is not None:
        yield *waiting, True


def _pass(
    net: Net,
    data: TrainingData,
    batches: Iterable,
    options: TrainOptions | None,
    where: str,
    *,
    reporter: Reporter | None = None,
    after_batch: Callable[[int], None] | None = None,
    at_end: Callable[[], None] | None = None,
) -> EpochResult:
    started = told = time.monotonic()
    if options is not None:
        net.check_trainable()
        net.reset_momentum()
    xent = Xent(net.network.output_dim, net.network.generation)
    if reporter is not None:
        xent = Xent(xent.num_classes, xent.generation, reporter.loss_report_frames, reporter.tell)
    if reporter is not None and not reporter.speaks:
        reporter = None
    frames, computing = 0, 0.0
    with torch.no_grad():
        for batch, done, is_last in _counted(batches, data, look_ahead=reporter is not None):
            observer = reporter if frames == 0 or is_last else None
            if hasattr(batch, "new"):
                if observer is not None:
                    observer.expect(net, batch.new)
                net.set_streams(len(batch.new))
                net.set_lengths(batch.lengths)
                net.reset_streams(batch.new)
            before = time.monotonic()
            _minibatch(net, xent, batch, options, observer)
            computing += time.monotonic() - before
            xent.check_finite(where)
            if reporter is not None and frames == 0:
                reporter.write(net, 0)
            frames += batch.frames
            if after_batch is not None:
                after_batch(done)
            if time.monotonic() - told > PROGRESS_SECONDS:
                told = time.monotonic()
                cli.log(f"{where}: after {xent.num_frames:g} frames, AvgLoss so far {xent.avg_loss:g}")
    if xent.num_frames == 0:
        raise UserError(f"{where}: not one minibatch of frames with targets. {data.counts}")
    if at_end is not None:
        at_end()
    if reporter is not None:
        reporter.write(net, frames)
    return EpochResult(xent, data.counts, time.monotonic() - started, frames, data.reading, computing)


def frame_epoch(
    net: Net,
    data: TrainingData,
    options: TrainOptions | None,
    *,
    minibatch_size: int = 256,
    randomizer_size: int = 32768,
    seed: int | None = None,
    where: str = "training",
    reporter: Reporter | None = None,
) -> EpochResult:
    """Run ``nnet-train-frmshuff`` once; ``options`` is None for cross-validation.

    ``seed`` is that of the frames' permutation, None for the order of the data; ``reporter`` logs on the way.
    """
    if net.lstms:
        raise UserError("a network with an LSTM is trained by nnet_train_lstm_streams.py, not frame by frame")
    batches = frame_buffer.minibatches(
        data, minibatch_size=minibatch_size, randomizer_size=randomizer_size, seed=seed
    )
    return _pass(net, data, batches, options, where, reporter=reporter)


def stream_epoch(
    net: Net,
    data: TrainingData,
    options: TrainOptions | None,
    *,
    batch_size: int = 20,
    targets_delay: int = 5,
    where: str = "training",
    after_batch: Callable[[int], None] | None = None,
    reporter: Reporter | None = None,
) -> EpochResult:
    """Run ``bd-nnet-train-lstm-streams`` once; ``options`` is None for cross-validation.

    ``after_batch`` is called with the number of utterances so far.
    """
    for lstm in net.lstms:
        lstm.start_utterance()
    batches = streams.delayed_chunks(
        data, num_stream=net.num_stream, batch_size=batch_size, targets_delay=targets_delay
    )
    result = _pass(net, data, batches, options, where, reporter=reporter, after_batch=after_batch)
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
    reporter: Reporter | None = None,
) -> EpochResult:
    """Run ``nnet-train-multistream`` once; ``options`` is None for cross-validation.

    Utterances that were read, but discarded with the rest at the end, do not count as done.
    """
    begun = 0

    def chunks() -> Iterator[streams.Chunk]:
        nonlocal begun
        for chunk in streams.padded_chunks(data, num_stream=net.num_stream, batch_size=batch_size):
            begun += sum(chunk.new)
            yield chunk

    def tell_end() -> None:
        if reporter is not None:
            cli.log("No more data to re-fill one of the streams, end of the training!")
            cli.log("(remaining stubs of data are discarded, don't overtrain on them)")

    for lstm in net.lstms:
        lstm.start_utterance()
    result = _pass(net, data, chunks(), options, where, reporter=reporter, at_end=tell_end)
    result.counts.done = begun
    return result


def utterance_epoch(
    net: Net,
    data: TrainingData,
    options: TrainOptions | None,
    *,
    where: str = "training",
    reporter: Reporter | None = None,
) -> EpochResult:
    """Run ``nnet-train-perutt`` once: an utterance is a minibatch and an update."""
    chunks = (
        streams.Chunk(
            utterance.feats, utterance.targets, utterance.weights, [True], None, len(utterance.feats)
        )
        for utterance in data
    )
    return _pass(net, data, chunks, options, where, reporter=reporter)


def multistream_utterance_epoch(
    net: Net,
    data: TrainingData,
    options: TrainOptions | None,
    *,
    num_streams: int = 4,
    max_frames: int = 8000,
    where: str = "training",
    reporter: Reporter | None = None,
) -> EpochResult:
    """Run ``nnet-train-multistream-perutt`` once: several whole utterances are a minibatch and an update."""
    buffer = LengthBuffer(data.read_feats())
    groups = batches(buffer, data.prepared(buffer), num_streams=num_streams, max_frames=max_frames)
    return _pass(net, data, map(streams.whole_utterances, groups), options, where, reporter=reporter)
