"""Whole trainings in one process: Karel's scheduler over frames, kaldi-lstm's loop over streams.

Every epoch starts as a new process of Kaldi's would, without momentum and with the same seed: an interrupted
training goes on from its last network, under the key in ``training.json``, and ends with the same bits.
"""

import argparse
import math
import shutil
from collections.abc import Callable
from dataclasses import astuple, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from steps import native
from steps.nnet1 import epoch as one_pass
from steps.nnet1 import lstm, products, schedule
from steps.nnet1.components import AffineTransform, Lstm, LstmProjectedStreams, Network, to_test_time
from steps.nnet1.initialize import default_generation, initialize, read_prototype
from steps.nnet1.minibatches import Frames, Streams
from steps.nnet1.model_file import read_network, write_network
from steps.nnet1.net import Net
from steps.nnet1.options import TrainOptions
from steps.nnet1.schedule import Epoch, KaldiLstm, Karel
from steps.nnet1.tool import open_data
from utils import atomic, cli, progress, provenance, tables
from utils.cli import UserError

COLUMNS: dict[str, Callable[[str], Any]] = {
    **{"iter": int, "lr": str, "tr_loss": float, "tr_acc": float, "cv_loss": float, "cv_acc": float},
    **{"accepted": "true".__eq__, "seconds": float, "nnet": str},
}
"""Of ``iters.tsv``: the fields of an ``Epoch``, and how each is parsed."""
STALE = (
    *("nnet", provenance.RECORD, "iters.tsv", "final*.nnet"),
    *("results.txt", "sweep_k.tsv", "post_*", "score_*", "svm_*"),
)
"""What the training before and the stages behind it left: it must not pass for the new network's."""


def learn_rate(text: str) -> str:
    """Check a learning rate and keep its digits, because the schedules print it as it was given."""
    if cli.finite_float(text) <= 0:
        raise argparse.ArgumentTypeError(f"expected a learning rate above 0, got '{text}'")
    return text


def trainer_parser(doc: str | None, plan: type[Karel | KaldiLstm]) -> cli.KaldiParser:
    """Make a parser for a program with this docstring that trains an experiment by a schedule."""
    parser = cli.KaldiParser.of(doc)
    add = parser.add_argument
    kinds: dict[type, Callable] = {str: learn_rate, int: int, float: cli.finite_float}
    for name, default in _options(plan()).items():
        add(f"--{name.replace('_', '-')}", type=kinds[type(default)], default=default, help="of the schedule")
    add("--seed", type=int, default=777, help="of initial network, list order and shuffling")
    add("--nnet-init", default="", help="initial network")
    for name in ("momentum", "l1-penalty", "l2-penalty"):
        add(f"--{name}", type=cli.finite_float, default=0.0, help=name.replace("-", " "))
    text = "finished epochs are kept from an interrupted run under the same key; without one: start over"
    add("--key", default="", help=text)
    text = "keep the networks of all epochs, not of the last and the best alone"
    add("--keep-networks", type=cli.boolean, default=False, help=text)
    products.add_device_options(parser)
    return parser


def _options(plan: Karel | KaldiLstm) -> dict[str, str | int | float]:
    return {item.name: getattr(plan, item.name) for item in fields(plan) if item.init}


def write_list(args: argparse.Namespace) -> str:
    """Write ``<exp-dir>/train.scp``, the features of ``--data-tr`` shuffled; return its rspecifier.

    The order depends on the seed's low 32 bits and the set of the keys alone.
    """
    table = tables.read_scp(args.data_tr / "feats.scp")
    keys, generator = sorted(table), np.random.default_rng(args.seed % 2**32)
    with atomic.replacing(args.exp_dir / "train.scp") as file:
        file.writelines(f"{keys[i]} {table[keys[i]]}\n" for i in generator.permutation(len(keys)))
    return f"scp:{args.exp_dir}/train.scp"


def initial_network(args: argparse.Namespace, prototype: Callable[[int, int], list[str]]) -> Network:
    """Read ``--nnet-init``, or write ``<exp-dir>/nnet.proto`` and draw its parameters."""
    transform = read_network(args.feature_transform)
    num_classes = len(tables.read_classes(args.data_tr / "genres.txt"))
    if args.nnet_init:
        return read_network(args.nnet_init)
    with atomic.replacing(args.exp_dir / "nnet.proto") as file:
        file.writelines(f"{line}\n" for line in prototype(transform.output_dim, num_classes))
    protos, _ = read_prototype(args.exp_dir / "nnet.proto")
    return initialize(protos, args.seed, default_generation(protos))


class Trainer:
    """An experiment: its directory, its data, its initial network, and how to go through them.

    ``prototype`` makes the lines of one for these numbers of columns and of classes. ``rows`` are the initial
    network's cross-validation as iteration 0, and the epochs; what is not there is run again.
    """

    def __init__(
        self,
        args: argparse.Namespace,
        how: Frames | Streams,
        plan: type[Karel | KaldiLstm],
        prototype: Callable[[int, int], list[str]],
    ) -> None:
        self.args, self.how, self.device = args, how, products.select_device(args)
        self.plan = plan(**{name: getattr(args, name) for name in _options(plan())})
        self.directory = args.exp_dir
        self.network = initial_network(args, prototype)
        lists = {write_list(args): args.data_tr, f"scp:{args.data_cv}/feats.scp": args.data_cv}
        self.tr, self.cv = (
            open_data((scp, f"scp:{folder}/labels.scp"), self.network, how, args.feature_transform)
            for scp, folder in lists.items()
        )
        counts = args.data_tr / "utt2num_frames"
        self.tr_frames = sum(map(int, tables.read_table(counts).values())) if counts.exists() else 0
        write_network(self.network, self.directory / f"{plan.name}.init")
        self.rows: list[Epoch] = []
        self._begin()

    def _begin(self) -> None:
        """Take up the epochs of an interrupted training, or remove what is there; write ``training.json``."""
        args, table, record = self.args, self.directory / "iters.tsv", provenance.read_record(self.directory)
        if args.key and record.get("key") == args.key and table.exists():
            self.rows = tables.read_tsv(table, _parse, "remove it to start over")
        if not self.rows:
            record = {}
            for path in (path for pattern in STALE for path in self.directory.glob(pattern)):
                remove = shutil.rmtree if path.is_dir() else Path.unlink
                remove(path)
        here, machines = self._machine(), record.get("machines", [])
        cli.log(f"Training on {here}")
        if machines and here not in machines:
            text = f"begun on {machines[-1]}, goes on on {here}"
            cli.warn(f"{self.directory}: {text}: not to the bit what an uninterrupted training gives")
        facts = {"key": args.key, "network": topology(self.network)}
        facts["machines"] = [*dict.fromkeys([*machines, here])]
        self.record = provenance.training_record([args.config] if args.config else [], args.seed, **facts)
        commits = {*record.get("commit", "").split(", "), self.record["commit"]} - {""}
        self.record["commit"] = ", ".join(sorted(commits))
        provenance.write_record(self.directory, self.record)

    def _machine(self) -> str:
        """Describe what computes, e.g. ``cpu, kernels large=torch,gradient=torch, 1 threads, AMD EPYC``."""
        if self.device.type == "cuda":
            return f"{torch.cuda.get_device_name(self.device)}, kernels {self.args.kernels}"
        if any(isinstance(component, Lstm) for component in self.network.components):
            lstm.choose()
        cpu = f"{self.args.num_threads} threads, {native.processor_name()}"
        return f"cpu, kernels {products.identity()}, {cpu}"

    def train(self, *, select: str = "last", targets_delay: int = 0) -> None:
        """Train by the schedule, each epoch from the last accepted network, and write ``final.nnet``.

        That is the last accepted network, or with ``select="best-cv"`` the best; without one, UserError.
        """
        rows, plan, nan = self.rows, self.plan, math.nan
        if not rows:
            net = Net(self.network, self.device, num_stream=self.how.num_stream)
            result = one_pass.run(net, self.cv, self.how, None, where="the initial network")
            self._add(Epoch(0, "0", nan, nan, *_measured(result), True, result.seconds, f"{plan.name}.init"))
        cli.log(f"CROSSVAL PRERUN AVG.LOSS {rows[0].cv_loss:.4f} (Xent),")
        for row in rows:
            plan.judge(row)
            if row.iteration:
                cli.log(f"{schedule.iteration_line(row, plan.max_iters)} (done before)")
        while not plan.finished and len(rows) <= plan.max_iters:
            network, done = self.epoch(self._load(self._accepted()), len(rows), plan.learn_rate)
            self._keep(network, plan.judge(done))
        if plan.finished:
            cli.log(plan.finished)
        chosen = min(rows[1:], key=lambda row: row.cv_loss) if select == "best-cv" else self._accepted()
        if not chosen.iteration:
            losses = f"{rows[0].cv_loss:g} in cross-validation (now {rows[-1].cv_loss:g})"
            text = f"no epoch was better than the initial network, {losses}; use another --learn-rate"
            raise UserError(f"{self.directory}: {text} than {rows[-1].learn_rate}")
        self._write_final(chosen, targets_delay)

    def _accepted(self) -> Epoch:
        return [row for row in self.rows if row.accepted][-1]

    def _load(self, row: Epoch) -> Network:
        return read_network(self.directory / ("nnet" if row.iteration else "") / row.nnet)

    def epoch(self, network: Network, iteration: int, learn_rate: str) -> tuple[Network, Epoch]:
        """Train a network for one epoch and cross-validate it; the epoch has no name and verdict yet."""
        where = f"epoch {iteration}, learning rate {learn_rate}"
        net = Net(network, self.device, num_stream=self.how.num_stream)
        options = replace(TrainOptions.of(self.args), learn_rate=float(learn_rate))
        stands: dict[str, Any] = {"label": self.directory.name, "held_out_loss": self.rows[-1].cv_loss}
        stands |= {"epoch": iteration, "epochs": self.args.max_iters}

        def watch(frames: int, loss: float) -> None:
            progress.report(frames, self.tr_frames, "frames", train_loss=loss, **stands)

        trained = one_pass.run(net, self.tr, self.how, options, where=where, watch=watch)
        self.tr_frames = trained.frames
        valid = one_pass.run(net, self.cv, self.how, None, where=where)
        losses = (*_measured(trained), *_measured(valid))
        return net.export(), Epoch(iteration, learn_rate, *losses, seconds=trained.seconds + valid.seconds)

    def _keep(self, network: Network, epoch: Epoch) -> None:
        """Keep the network and the row, and of the other networks the last accepted and the best."""
        write_network(network, self.directory / "nnet" / epoch.nnet)
        self._add(epoch)
        cli.log(schedule.iteration_line(epoch, self.args.max_iters))
        if not self.args.keep_networks:
            best = min(self.rows[1:], key=lambda row: row.cv_loss)
            kept = {row.nnet for row in (self._accepted(), best, epoch)}
            for path in (self.directory / "nnet").glob("*"):
                if path.name not in kept:
                    path.unlink()

    def _add(self, row: Epoch) -> None:
        """Add a row to ``iters.tsv``."""
        self.rows.append(row)
        with atomic.replacing(self.directory / "iters.tsv") as file:
            file.write("\t".join(COLUMNS) + "\n")
            file.writelines("\t".join(map(_format, astuple(row))) + "\n" for row in self.rows)

    def _write_final(self, chosen: Epoch, targets_delay: int) -> None:
        """Write ``final.nnet`` and ``final_test.nnet``, its form for whole utterances."""
        network = self._load(chosen)
        write_network(network, self.directory / "final.nnet")
        if any(isinstance(component, LstmProjectedStreams) for component in network.components):
            network = to_test_time(network, targets_delay)
        write_network(network, self.directory / "final_test.nnet")
        if text := schedule.half_way(chosen, self.tr.num_classes):
            cli.warn(text)
        provenance.write_record(self.directory, {**self.record, "half_way": text})
        cli.log(f"Succeeded training the Neural Network : '{self.directory}/final.nnet' ({chosen.nnet})")


def topology(network: Network) -> dict[str, object]:
    """Return what the paper writes in brackets: kind, and the dimensions of input and layers."""
    layers = [part for part in network.components if isinstance(part, AffineTransform | Lstm)]
    kind = "LSTM" if any(isinstance(part, Lstm) for part in layers) else "DNN"
    return {"kind": kind, "dims": [network.input_dim, *(part.output_dim for part in layers)]}


def _measured(result: one_pass.EpochResult) -> tuple[float, float]:
    return schedule.six_digits(result.xent.avg_loss), result.xent.frame_accuracy


def _parse(row: dict[str, str]) -> Epoch:
    return Epoch(*(parse(row[name]) for name, parse in COLUMNS.items()))


def _format(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
