"""One pass over the data: train a network or measure its loss."""

import ctypes
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import torch

from steps.nnet1.feeds import Feed, open_feed
from steps.nnet1.inputs import Counts, TrainingData
from steps.nnet1.loss import REPORT_FRAMES, Xent
from steps.nnet1.minibatches import Frames, Minibatch, Streams
from steps.nnet1.net import Net
from steps.nnet1.options import TrainOptions
from steps.recorded import Recorded, own_stream
from utils import cli
from utils.cli import UserError

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's malloc.h


@dataclass
class EpochResult:
    """Loss and counts of a pass, its frames, and how long it took: all of it, and reading."""

    xent: Xent
    counts: Counts
    seconds: float
    frames: int
    reading: float


def run(
    net: Net,
    data: TrainingData,
    how: Frames | Streams,
    options: TrainOptions | None,
    *,
    where: str = "training",
    report_frames: int = REPORT_FRAMES,
    watch: Callable[[int, float], None] | None = None,
) -> EpochResult:
    """Run ``nnet-train-frmshuff`` or ``bd-nnet-train-lstm-streams`` once; without options, cross-validate.

    ``where`` begins messages and errors; ``watch`` is called after each minibatch with the frames and the
    average loss so far. UserError if the network cannot be trained so, or the loss is none or no number.
    """
    if isinstance(how, Frames) and net.lstms:
        raise UserError("a network with an LSTM is trained by nnet_train_lstm_streams.py, not frame by frame")
    _keep_memory()
    for lstm in net.lstms:
        lstm.start_utterance()
    feed = open_feed(data, how, net.device, training=options is not None)
    result = over(net, data, feed, options, where=where, report_frames=report_frames, watch=watch)
    if result.counts.done < how.num_stream:
        cli.warn(
            f"{where}: {result.counts.done} utterances for {how.num_stream} streams; "
            "the streams without one ran on frames of weight 0"
        )
    return result


def _keep_memory() -> None:
    """Let glibc keep what is freed: it would map the tensors of every minibatch anew, a page at a time."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_M_MMAP_MAX, 0)


def one_update(net: Net, xent: Xent, feed: Feed, options: TrainOptions | None) -> None:
    """Take the minibatch in place through the network and back; nothing here waits for a GPU."""
    feats, targets, weights, new = feed.fetch()
    net.reset_streams(new)
    if options is None:
        xent.eval(net.propagate(feats), targets, weights)
    else:
        net.train((feats, targets, weights), xent, options)


def over(
    net: Net,
    data: TrainingData,
    batches: Iterable[Minibatch] | Feed,
    options: TrainOptions | None,
    *,
    where: str = "training",
    report_frames: int = REPORT_FRAMES,
    watch: Callable[[int, float], None] | None = None,
) -> EpochResult:
    """Go through minibatches that were made of the data; see :func:`run`."""
    started = time.monotonic()
    if options is not None:
        net.check_trainable()
        net.reset_momentum()
    xent = Xent(net.network.output_dim, net.network.generation, report_frames, net.device)
    feed = batches if isinstance(batches, Feed) else Feed(batches, net.device)
    update: Callable[[], None] = partial(one_update, net, xent, feed, options)
    if net.device.type == "cuda":
        update = Recorded(update, "Updates on the GPU")
    frames = 0
    with torch.no_grad(), own_stream(net.device):
        for number in feed:
            update()
            frames += number
            if xent.note(number):
                xent.check_finite(where)
            if watch is not None:
                watch(frames, xent.avg_loss)
        xent.read()
        xent.check_finite(where)
    if xent.num_frames == 0:
        raise UserError(
            f"{where}: not one minibatch of frames with targets; give a smaller --minibatch-size, "
            f"or more data. {data.counts}"
        )
    return EpochResult(xent, data.counts, time.monotonic() - started, frames, data.reading)
