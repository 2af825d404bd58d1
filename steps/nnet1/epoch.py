"""One pass over the data: train a network or measure its loss."""

import ctypes
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from steps.nnet1.feeds import Feed, open_feed
from steps.nnet1.inputs import TrainingData
from steps.nnet1.loss import REPORT_FRAMES, Xent
from steps.nnet1.minibatches import Frames, Streams
from steps.nnet1.net import Net
from steps.nnet1.options import TrainOptions
from steps.recorded import Recorded, own_stream
from utils import cli
from utils.cli import UserError

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's malloc.h


@dataclass
class EpochResult:
    """Loss of a pass, its frames, and how many seconds it took: all of it, and waiting for minibatches."""

    xent: Xent
    frames: int = 0
    seconds: float = 0.0
    waiting: float = 0.0


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
    started = ready = time.monotonic()
    _keep_memory()
    if isinstance(how, Frames) and net.lstms:
        raise UserError("a network with an LSTM is trained by nnet_train_lstm_streams.py, not frame by frame")
    if options is not None:
        net.check_trainable()
    for layer in net.layers:
        layer.reset()
    for lstm in net.lstms:
        lstm.start_utterance()
    feed = open_feed(data, how, net.device, training=options is not None)
    xent = Xent(net.network.output_dim, net.network.generation, report_frames, net.device, where)
    update: Callable[[], None] = partial(one_update, net, xent, feed, options)
    if net.device.type == "cuda":
        update = Recorded(update, "Updates on the GPU")
    result = EpochResult(xent)
    with torch.no_grad(), own_stream(net.device):
        for frames in feed:
            result.waiting += time.monotonic() - ready
            update()
            result.frames += frames
            xent.note(frames)
            if watch is not None:
                watch(result.frames, xent.avg_loss)
            ready = time.monotonic()
        xent.read()
    result.seconds = time.monotonic() - started
    if xent.num_frames == 0:
        text = "not one minibatch of frames with targets; give a smaller --minibatch-size, or more data."
        raise UserError(f"{where}: {text} {data.counted()}")
    if (done := data.counts["done"]) < how.num_stream:
        text = "the streams without one ran on frames of weight 0"
        cli.warn(f"{where}: {done} utterances for {how.num_stream} streams; {text}")
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
    for lstm in net.lstms:
        lstm.reset_streams(new)
    if options is None:
        xent.eval(net.propagate(feats), targets, weights)
    else:
        net.train((feats, targets, weights), xent, options)
