#!/usr/bin/env python3
"""Time nnet1 training and forward passes, with input and output, beside other ways to compute them.

Every figure is the median of --repeats runs that take --seconds together, over random features of 525
columns in utterances as long as ISMIR2004's, read from an archive (Kaldi's products: memory). Bandwidth (of
reading a buffer of the size of the weights) and the peak of sgemm are measured in the same run; from them
and from the bytes and FLOPs of one chunk comes the fastest time that the machine allows, and the fraction
of it that is reached. Kaldi's own programs are timed on the same files if they are on PATH; the products
of matrices that they make are timed on OpenBLAS anywhere, and the last column says how many times faster
we are than these. At the end the time of the whole ISMIR2004 training follows.

e.g. tests/bench/bench_nnet1.py --threads 1,2
     tests/bench/bench_nnet1.py --busy true      # where others work, too
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from steps import archive
from steps.nnet1 import components as nn
from steps.nnet1 import epoch, products
from steps.nnet1.forward import Forward
from steps.nnet1.initialize import default_generation, initialize, parse_line
from steps.nnet1.inputs import TrainingData
from steps.nnet1.minibatches import Frames, Streams
from steps.nnet1.model_file import write_network
from steps.nnet1.net import Net
from steps.nnet1.options import TrainOptions
from tests.bench import kaldi_products
from tests.bench import machine as here
from tests.bench.machine import bandwidth, clock, sgemm_peak
from utils import cli

ROOT = Path(__file__).resolve().parents[2]

FEATS, CLASSES, STREAMS, BPTT, MINIBATCH = 525, 6, 4, 60, 256
KALDI, KALDI_FORWARD = "Kaldi's products, OpenBLAS", "Kaldi's forward products, OpenBLAS"
KALDI_2014 = "Kaldi's products of 2014"
GPU_UTTERANCES = 128
TR_FRAMES, EPOCHS = 996_000, {"dnn": 100, "lstm": 50}

FRAMES = 1366  # of an utterance, as in ISMIR2004
UTTERANCES = {"dnn": 12, "lstm": 4}  # of a list: 64 minibatches, or 23 chunks of each of 4 streams


@dataclass(frozen=True)
class Model:
    """A model of the paper: kind, hidden units or (cells, projection), layers."""

    name: str
    kind: str
    units: int
    layers: int
    cells: int = 0

    def network(self) -> nn.Network:
        """Make the network with random parameters; scales as in the recipe."""
        lines, before = [], FEATS
        if self.kind == "lstm":
            lines.append(f"<Transmit> <InputDim> {FEATS} <OutputDim> {FEATS}")
        for _ in range(self.layers):
            dims = f"<InputDim> {before} <OutputDim> {self.units}"
            if self.kind == "lstm":
                lines.append(f"<LstmProjectedStreams> {dims} <CellDim> {self.cells} <NumStream> {STREAMS}")
            else:
                lines += [
                    f"<AffineTransform> {dims}",
                    f"<Sigmoid> <InputDim> {self.units} <OutputDim> {self.units}",
                ]
            before = self.units
        lines.append(f"<AffineTransform> <InputDim> {before} <OutputDim> {CLASSES} <ParamStddev> 0.04")
        lines.append(f"<Softmax> <InputDim> {CLASSES} <OutputDim> {CLASSES}")
        protos = [parse_line(line, "bench") for line in lines]
        return initialize(protos, 777, default_generation(protos))

    def training_cost(self) -> tuple[float, float, float, int]:
        """FLOPs and bytes of one update, bytes of the weights read again and again, and its frames.

        A product costs 2 FLOPs a weight and frame, three times (forward, input derivative, gradient), but
        nobody needs the derivative at the features. An LSTM reads its recurrent weights once a frame and
        direction; every weight and its correction are read and written once an update.
        """
        if self.kind == "dnn":
            first, hidden = FEATS * self.units, (self.layers - 1) * self.units**2 + self.units * CLASSES
            rows = MINIBATCH
            num_flops, weights = 2.0 * rows * (2 * first + 3 * hidden), first + hidden
            return num_flops, 4.0 * 5 * weights, 4.0 * weights, rows
        rows, flops, recurrent, weights, before = STREAMS * BPTT, 0.0, 0, 0, FEATS
        for layer in range(self.layers):
            w_x, w_r = 4 * self.cells * before, 4 * self.cells * self.units + self.units * self.cells
            flops += 2.0 * rows * ((3 if layer else 2) * w_x + 3 * w_r)
            recurrent, weights, before = recurrent + w_r, weights + w_x + w_r, self.units
        return flops, 4.0 * (2 * BPTT * recurrent + 5 * weights), 4.0 * recurrent / self.layers, rows

    def forward_flops(self) -> float:
        """FLOPs of a frame."""
        return 2.0 * sum(value.size for _, _, value in self.network().params() if value.ndim == 2)


MODELS = (
    Model("dnn1 525-1024-6", "dnn", 1024, 1),
    Model("dnn2 525-1024-1024-6", "dnn", 1024, 2),
    Model("lstm 525-512-6", "lstm", 512, 1, 800),
    Model("lstm 525-1024-6", "lstm", 1024, 1, 1500),
    Model("lstm 525-512-512-6", "lstm", 512, 2, 800),
    Model("lstm 525-1024-1024-6", "lstm", 1024, 2, 1500),
)


def get_parser() -> cli.KaldiParser:
    """Return the parser of this program's options."""
    parser = cli.KaldiParser("bench_nnet1.py [options]", __doc__)
    add = parser.add_argument
    add("--seconds", type=cli.finite_float, default=20.0, help="time of one figure (default: 20)")
    add("--repeats", type=cli.positive_int, default=5, help="runs of which the median counts (default: 5)")
    add("--threads", default="1", help="numbers of threads, e.g. 1,2 (default: 1)")
    add("--models", default="", help="only models whose name has this in it")
    add("--busy", type=cli.boolean, default=False, help="go by processor time, for one thread")
    add("--use-gpu", choices=("yes", "no"), default="no", help="time the GPU instead (default: no)")
    add("--kernels", default="auto", help="as the trainers' option (default: auto)")
    return parser


def make_corpus(folder: Path, utterances: int, frames: int = FRAMES) -> tuple[str, str]:
    """Write random features and labels; returns their rspecifiers."""
    rng = np.random.default_rng(0)
    with (
        archive.Writer(f"ark,scp:{folder}/feats.ark,{folder}/feats.scp") as feats,
        archive.Writer(f"ark,scp:{folder}/labels.ark,{folder}/labels.scp", kind="posterior") as labels,
    ):
        for number in range(utterances):
            feats.write(f"utt{number:03d}", rng.standard_normal((frames, FEATS)).astype(np.float32))
            labels.write(f"utt{number:03d}", [[(number % CLASSES, 1.0)]] * frames)
    return f"scp:{folder}/feats.scp", f"scp:{folder}/labels.scp"


def median_speeds(runs: Sequence[Callable[[], float]], seconds: float, repeats: int) -> list[float]:
    """Median frames a second of runs in turns, each ``repeats`` times ``seconds / repeats`` long.

    A run returns its frames. Behind the medians stand the medians of the ratios of the first to each other.
    """
    speeds: list[list[float]] = [[] for _ in runs]
    for run in runs:
        run()
    for _ in range(repeats):
        for run, own in zip(runs, speeds, strict=True):
            frames, started = 0.0, clock()
            while (elapsed := clock() - started) < seconds / repeats:
                frames += run()
            own.append(frames / elapsed)
    ratios = [[ours / theirs for ours, theirs in zip(speeds[0], own, strict=True)] for own in speeds[1:]]
    return [*map(statistics.median, speeds), *map(statistics.median, ratios)]


def training_run(model: Model, corpus: tuple[str, str], device: str = "cpu") -> Callable[[], float]:
    """Return an epoch over the corpus that gives back its frames."""
    net = Net(model.network(), device, num_stream=STREAMS if model.kind == "lstm" else 1)
    data = TrainingData(*corpus, FEATS, CLASSES)
    if model.kind == "lstm":
        options = TrainOptions(2e-5, 0.8)
        how: Frames | Streams = Streams(BPTT, STREAMS, 5)
    else:
        options, how = TrainOptions(8e-6), Frames(MINIBATCH, seed=777)
    return lambda: epoch.run(net, data, how, options).xent.num_frames


def forward_run(
    model: Model, corpus: tuple[str, str], folder: Path, device: str = "cpu"
) -> Callable[[], float]:
    """Return a forward pass over the corpus four times, written to an archive, that gives back its frames."""

    def tracks() -> Iterator[tuple[str, np.ndarray]]:
        for copy in range(4):
            for key, feats in archive.read_matrices(corpus[0]):
                yield f"{key}-{copy}", feats

    network = model.network()
    if model.kind == "lstm":
        from steps.nnet1.components import to_test_time

        network = to_test_time(network, 5)

    def run() -> float:
        forward = Forward(network, device=device, num_threads=torch.get_num_threads())
        with archive.Writer(f"ark:{folder}/post.ark") as writer:
            for key, output in forward.all(tracks()):
                writer.write(key, output)
        return forward.frames

    return run


def kaldi_speed(model: Model, corpus: tuple[str, str], folder: Path) -> float | None:
    """Frames a second of Kaldi's trainer on the same files, or None if it is not on PATH."""
    name = "nnet-train-frmshuff" if model.kind == "dnn" else "bd-nnet-train-lstm-streams"
    if shutil.which(name) is None:
        return None
    write_network(model.network(), folder / "kaldi.init")
    options = ["--learn-rate=8e-6"]
    if model.kind == "lstm":
        options = ["--learn-rate=2e-5", "--momentum=0.8", f"--batch-size={BPTT}", f"--num-stream={STREAMS}"]
    environment = dict(os.environ, OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
    command = [name, *options, *corpus, str(folder / "kaldi.init"), str(folder / "kaldi.out")]
    times = [
        here.timed(lambda: subprocess.run(command, check=True, capture_output=True, env=environment))
        for _ in range(5)
    ]
    return UTTERANCES[model.kind] * FRAMES / statistics.median(times)


def row(*cells: object) -> None:
    """Print one line of a table."""
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def report(model: Model, threads: int, corpus: tuple[str, str], folder: Path, args) -> float:
    """Measure and print one model with one number of threads; returns frames a second of training."""
    torch.set_num_threads(threads)
    timing = (args.seconds, args.repeats)
    dims = (model.kind, model.units, model.layers, model.cells)
    flops, num_bytes, weights, frames = model.training_cost()
    bound = frames / max(flops / sgemm_peak(threads), num_bytes / bandwidth(weights))
    with threadpool_limits(threads, "blas"):
        theirs = {KALDI: True, KALDI_2014: False} if model.kind == "dnn" else {KALDI: True}
        updates = [kaldi_products.kaldi_updates(*dims, at_features=there) for there in theirs.values()]
        speed, *rest = median_speeds((training_run(model, corpus), *updates), *timing)
        costs = f"{flops / 1e9:.2f} GF, {num_bytes / 1e6:.0f} MB"
        row("training", model.name, threads, f"{speed:.0f}", costs, *share(speed, bound), "1")
        for name, products_speed, times in zip(theirs, rest, rest[len(theirs) :], strict=False):
            part = share(products_speed, bound)
            row(name, model.name, threads, f"{products_speed:.0f}", costs, *part, f"{times:.2f}")
        runs = (forward_run(model, corpus, folder), kaldi_products.kaldi_forward(*dims, 100))
        forward, kaldi_forward, times = median_speeds(runs, *timing)
    bound = sgemm_peak(threads) / model.forward_flops()
    costs = f"{model.forward_flops() / 1e6:.2f} MF a frame"
    row("forward", model.name, threads, f"{forward:.0f}", costs, *share(forward, bound), "1")
    part = share(kaldi_forward, bound)
    row(KALDI_FORWARD, model.name, threads, f"{kaldi_forward:.0f}", costs, *part, f"{times:.2f}")
    if threads == 1 and (kaldi := kaldi_speed(model, corpus, folder)) is not None:
        row("Kaldi", model.name, 1, f"{kaldi:.0f}", "", "", "", f"{speed / kaldi:.2f}")
    return speed


def report_gpu(models: list[Model], args) -> None:
    """Measure and print training and forward pass of every model on the GPU, over a longer list.

    An epoch makes a network of its own ready and records its update, as in a training. The first one reads
    the features, too; those after it find them on the GPU.
    """
    facts = (torch.cuda.get_device_name(), f"torch {torch.__version__}", here.machine())
    print("; ".join([*facts, time.strftime("%Y-%m-%d")]))
    row("model", "first epoch, frames/s", "later epochs, frames/s", "forward, frames/s", "ISMIR2004, minutes")
    row(*["---"] * 5)
    together = 0.0
    with tempfile.TemporaryDirectory() as name:
        corpus = make_corpus(Path(name), GPU_UTTERANCES)
        for model in models:
            training_run(model, make_corpus_in(name, "small", 8), "cuda")()
            run = training_run(model, corpus, "cuda")
            started = time.perf_counter()
            first = run() / (time.perf_counter() - started)
            later, _ = median_speeds([run], args.seconds, args.repeats)
            forward_pass = forward_run(model, corpus, Path(name), "cuda")
            forward, _ = median_speeds([forward_pass], args.seconds, args.repeats)
            minutes = TR_FRAMES * (1 / first + (EPOCHS[model.kind] - 1) / later) / 60
            together += minutes
            row(model.name, *(f"{speed:.0f}" for speed in (first, later, forward)), f"{minutes:.1f}")
    print(f"\nTraining of all of them on ISMIR2004, one after the other: {together:.0f} minutes")


def make_corpus_in(folder: str, name: str, utterances: int) -> tuple[str, str]:
    """Write a corpus into a folder of its own."""
    path = Path(folder) / name
    path.mkdir(exist_ok=True)
    return make_corpus(path, utterances)


def share(speed: float, bound: float) -> tuple[str, str]:
    """Print the fastest speed that the machine allows, and the share of it that is reached."""
    return f"{bound:.0f}", f"{speed / bound:.2f}"


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark."""
    args = get_parser().parse_args(argv)
    products.use(args.kernels)
    here.go_by(time.process_time if args.busy else time.perf_counter)
    models = [model for model in MODELS if args.models in model.name]
    if args.use_gpu == "yes":
        report_gpu(models, args)
        return 0
    Net(models[-1].network())  # so that the kernels of its recurrence are chosen
    facts = (
        here.machine(),
        here.openblas_kernel(),
        f"torch {torch.__version__}",
        f"kernels {products.identity()}",
    )
    print("; ".join([*facts, time.strftime("%Y-%m-%d")]))
    counts = [int(word) for word in args.threads.split(",")]
    for threads in counts:
        torch.set_num_threads(threads)
        sizes = ", ".join(f"{bandwidth(mb * 1e6) / 1e9:.0f} GB/s in {mb} MB" for mb in (8, 32, 256))
        print(f"{threads} thread(s): sgemm {sgemm_peak(threads) / 1e9:.0f} GFLOP/s, reading {sizes}\n")
    columns = ("threads", "frames/s", "one update", "roofline frames/s", "reached", "ours is × as fast")
    row("work", "model", *columns)
    row(*["---"] * 8)
    speeds = {}
    with tempfile.TemporaryDirectory() as name:
        for model in models:
            corpus = make_corpus(Path(name), UTTERANCES[model.kind])
            for threads in counts:
                speeds[threads, model] = report(model, threads, corpus, Path(name), args)
    for threads in counts:
        print(f"\nISMIR2004, 996 000 training frames, {threads} thread(s):")
        hours = [TR_FRAMES * EPOCHS[model.kind] / speeds[threads, model] / 3600 for model in models]
        for model, value in zip(models, hours, strict=True):
            print(f"  {model.name}: {EPOCHS[model.kind]} epochs in {value:.1f} h")
        print(f"  together {sum(hours):.1f} h, one after the other")
    return 0


if __name__ == "__main__":
    here.openblas_unset()
    cli.run(main)
