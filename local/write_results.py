#!/usr/bin/env python3
"""Write results.txt (and results.json, the same for programs) into experiment directories.

First what produced it (commit, configuration, seed, data, network, SVMs), then greppable lines such as
'%Seg_acc 87.52 [ 638 / 729 ] Wilson95 [ 84.92 89.73 ] balanced 80.12', the accuracy by class and the
confusion matrices. Frames of a track are right or wrong together, so that Frame_acc has a second
interval, by_track95, that takes tracks as the independent trials. Overwritten, never appended to; there
is no time in it, so that the same results are the same file. Lines of a further test set begin with its
name: '%evaluation_Seg_acc …'.

An experiment <corpus>_<model>[_seedN] has its options in <conf-dir>/<model>.conf and its network in
final.nnet; its seed is in training.json or is the option --seed.

Usage: local/write_results.py [options] <data-dir> <exp-dir>...
e.g.:  local/write_results.py --conf-dir conf/synth --extra-conf conf/svm.conf data/synth exp/synth_lstm_512
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.report.extra_sets import add_option
from steps import archive
from steps.scoring import provenance
from steps.scoring.measures import write_json
from steps.scoring.system import SystemResults, describe_svm, load_system
from utils import atomic, cli

ROOT = Path(__file__).resolve().parents[1]


def get_parser() -> cli.KaldiParser:
    """Return the command line."""
    parser = cli.KaldiParser("local/write_results.py [options] <data-dir> <exp-dir>...", __doc__)
    parser.add_argument("--conf-dir", default="", metavar="DIR", help="folder of <model>.conf")
    parser.add_argument("--extra-conf", default="", metavar="A,B", help="further files of the configuration")
    add_option(parser)
    parser.add_argument("data_dir", help="corpus directory with train and test")
    parser.add_argument("exp_dirs", nargs="+", metavar="exp_dir", help="experiment directories")
    return parser


def model_name(exp_dir: Path, corpus: str) -> str:
    """Return the basename of the model's conf: exp/<corpus>_<model>[_seedN] without the rest."""
    return re.sub(r"_seed\d+$", "", exp_dir.name.removeprefix(f"{corpus}_"))


def gather(
    args: argparse.Namespace, system: SystemResults, data: provenance.DataSummary, commit: str, dim: int
) -> dict[str, Any]:
    """Return results.json of one experiment."""
    corpus = Path(args.data_dir).name
    model = model_name(system.path, corpus)
    conf = Path(args.conf_dir) / f"{model}.conf" if args.conf_dir else None
    paths = [conf] if conf and conf.is_file() else []
    options = provenance.read_options(paths[0]) if paths else {}
    paths += [Path(name) for name in args.extra_conf.split(",") if name]
    texts = provenance.read_texts(paths)
    topology = provenance.read_topology(system.path, options, dim, len(system.classes))
    return {
        "experiment": system.name,
        "corpus": corpus,
        "model": model,
        "commit": commit,
        "configuration": texts,
        "configuration_sha256": provenance.hash_texts(texts),
        "seed": provenance.read_seed(system.path, options),
        "data_sha256": data.sha256,
        "num_tracks": data.num_tracks,
        "num_frames": data.num_frames,
        "network": None if topology is None else {"kind": topology.kind, "dims": list(topology.dims)},
        "classes": list(system.classes),
        "measures": [measure.as_json() for measure in system.measures.values()],
        "svms": {name: describe_svm(svm) for name, svm in system.svms.items()},
    }


def header(results: dict[str, Any]) -> list[str]:
    """Return the lines that say what produced the results."""
    tracks, network = results["num_tracks"], results["network"]
    files = " ".join(results["configuration"]) or "none"
    lines = [
        f"# git commit {results['commit']}",
        f"# configuration sha256 {results['configuration_sha256'][:16]} ({files})",
        f"# seed {results['seed']}",
        f"# data sha256 {results['data_sha256'][:16]} ({results['corpus']})",
        f"# tracks {tracks['train']} train, {tracks['test']} test",
    ]
    if network:
        lines.append(f"# network {network['kind']} ({'-'.join(map(str, network['dims']))})")
    for name, svm in results["svms"].items():
        how = "artist-grouped" if svm["artist_grouped"] else "stratified, artists not kept apart,"
        best = max(svm["grid_correct"])
        k = "" if svm["k"] is None else f", k {svm['k']:g}"
        lines.append(
            f"# svm {name}: {svm['dim']} dimensions{k}, C {svm['C']:g} (right in {svm['folds']}-fold {how} "
            f"cross-validation on train: {best} / {svm['num_train']})"
        )
    return lines


def class_table(system: SystemResults) -> list[str]:
    """Return the accuracies by class, a row a class and a column a measure."""
    width = max(len(name) for name in (*system.classes, "class")) + 1
    columns = list(system.measures)
    lines = [
        "",
        "# accuracy by class, right / all and %",
        "class".ljust(width) + "".join(f"{c:>22}" for c in columns),
    ]
    for index, name in enumerate(system.classes):
        cells = []
        for measure in system.measures.values():
            right, total = int(measure.confusion[index, index]), int(measure.confusion[index].sum())
            share = f"{100.0 * right / total:.2f}" if total else "-"
            cells.append(f"{right} / {total} {share:>6}".rjust(22))
        lines.append(name.ljust(width) + "".join(cells))
    return lines


def confusion_tables(system: SystemResults) -> list[str]:
    """Return the confusion matrices with the names of the classes."""
    width = max(len(name) for name in system.classes) + 2
    lines = []
    for measure in system.measures.values():
        cell = max(width, len(str(measure.confusion.max())) + 2)
        lines += ["", f"# confusion matrix of {measure.name}: a row a true class, a column a hypothesis"]
        lines.append("".ljust(width) + "".join(name.rjust(cell) for name in system.classes))
        for name, row in zip(system.classes, measure.confusion.tolist(), strict=True):
            lines.append(name.ljust(width) + "".join(str(count).rjust(cell) for count in row))
    return lines


def check_tracks(system: SystemResults, count: int, folder: Path) -> None:
    """Raise UserError unless the system was scored on as many tracks as the data directory has."""
    scored = len(system.first_predictions().utts)
    if scored != count:
        raise cli.UserError(
            f"{system.path}: {scored} tracks were scored, {folder} has {count}; run stages 6 to 8 again"
        )


def gather_extra(
    exp_dir: Path, data: Mapping[str, provenance.DataSummary], data_dir: Path
) -> tuple[dict[str, Any], list[str]]:
    """Return what results.json says about the further test sets, and their lines of results.txt."""
    record: dict[str, Any] = {}
    heads, lines, details = [], [], []
    for name, summary in data.items():
        system = load_system(exp_dir, name)
        count = summary.num_tracks[name]
        check_tracks(system, count, data_dir / name)
        record[name] = {
            "data_sha256": summary.sha256,
            "num_tracks": count,
            "num_frames": summary.num_frames[name],
            "measures": [measure.as_json() for measure in system.measures.values()],
        }
        heads.append(f"# test set {name}: {count} tracks, data sha256 {summary.sha256[:16]}")
        lines += [f"%{name}_{measure.line()[1:]}" for measure in system.measures.values()]
        details += ["", f"# test set {name}", *class_table(system), *confusion_tables(system)]
    return record, ["", *heads, *lines, *details] if heads else []


def main(argv: list[str] | None = None) -> int:
    """Write the results of every experiment directory."""
    args = get_parser().parse_args(argv)
    systems = [load_system(Path(name)) for name in args.exp_dirs]
    data_dir = Path(args.data_dir)
    data = provenance.summarise_data(data_dir)
    extra = {name: provenance.summarise_data(data_dir, (name,)) for name in args.extra_sets.split()}
    dim = next(iter(archive.read_matrices(f"scp:{data_dir}/test/feats.scp")))[1].shape[1]
    commit = provenance.git_commit(ROOT)
    for system in systems:
        results = gather(args, system, data, commit, dim)
        check_tracks(system, data.num_tracks["test"], data_dir / "test")
        record, extra_lines = gather_extra(system.path, extra, data_dir)
        if record:
            results["extra_sets"] = record
        lines = header(results) + [measure.line() for measure in system.measures.values()]
        lines += class_table(system) + confusion_tables(system) + extra_lines
        write_json(system.path / "results.json", results)
        with atomic.replacing(system.path / "results.txt") as file:
            file.write("\n".join(lines) + "\n")
        cli.log(f"wrote {system.path}/results.txt")
    return 0


if __name__ == "__main__":
    cli.run(main)
