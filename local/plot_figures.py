#!/usr/bin/env python3
"""Draw Figures 2 and 3, training curves and confusion matrices, as PNG and PDF with the CSV behind each.

Reads results.json, post_test/post.scp (Figure 2), sweep_k.tsv (Figure 3) and iters.tsv (training curves)
of the experiments. Writes into <out-dir>: figure2, figure3, training and confusion_<experiment>, each
.png, .pdf and .csv. Figure 2 is drawn from --figure2-model, by default the first LSTM.

Usage: local/plot_figures.py [options] <data-dir> <out-dir> <exp-dir>...
e.g.:  local/plot_figures.py data/synth exp/synth_summary/figures exp/synth_dnn1 exp/synth_lstm_512
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from local.report.curves import draw_confusion, draw_figure3, draw_training, read_iterations
from local.report.figure2 import collect_scores, draw_figure2
from local.report.runs import Run, figure_run, load_runs
from steps.scoring.reference import read_reference
from steps.scoring.sweep import read_sweep
from utils import cli


def get_parser() -> cli.KaldiParser:
    """Return the command line."""
    parser = cli.KaldiParser("local/plot_figures.py [options] <data-dir> <out-dir> <exp-dir>...", __doc__)
    parser.add_argument("--figure2-model", default="", metavar="NAME", help="model of Figure 2 (first LSTM)")
    parser.add_argument("data_dir", help="corpus directory with test")
    parser.add_argument("out_dir", help="folder of the pictures")
    parser.add_argument(
        "exp_dirs", nargs="+", metavar="exp_dir", help="experiments, in the order of the tables"
    )
    return parser


def unique_labels(runs: Sequence[Run]) -> dict[str, Run]:
    """Return the runs by label, with the model's name where two have the same dimensions."""
    labels = [run.label for run in runs]
    return {run.label if labels.count(run.label) == 1 else f"{run.label} {run.model}": run for run in runs}


def main(argv: list[str] | None = None) -> int:
    """Draw everything that the experiments have data for."""
    args = get_parser().parse_args(argv)
    runs = load_runs([Path(name) for name in args.exp_dirs])
    out = Path(args.out_dir)
    networks = [run for run in runs if run.kind]
    if networks:
        run = figure_run(networks, args.figure2_model)
        reference = read_reference(Path(args.data_dir) / "test")
        scores = collect_scores(reference, f"scp:{run.path}/post_test/post.scp")
        draw_figure2(
            scores,
            f"Figure 2. Scores of {run.label} on the test set of {run.record['corpus']}",
            out / "figure2",
        )
    labelled = unique_labels(networks)
    sweeps = {
        label: read_sweep(run.path / "sweep_k.tsv")
        for label, run in labelled.items()
        if run.kind == "LSTM" and (run.path / "sweep_k.tsv").is_file()
    }
    if sweeps:
        k = next((svm["k"] for run in networks for svm in run.record["svms"].values() if svm["k"]), 0.9)
        draw_figure3(sweeps, k, out / "figure3")
    curves = {
        label: read_iterations(run.path / "iters.tsv")
        for label, run in labelled.items()
        if (run.path / "iters.tsv").is_file()
    }
    if curves:
        draw_training(curves, out / "training")
    for run in runs:
        title = f"{run.label}, {run.system.name}"
        draw_confusion(run.system.measures, run.system.classes, title, out / f"confusion_{run.system.name}")
    drawn = sorted(path.name for path in out.glob("*.png"))
    cli.log(f"wrote {out}: {' '.join(drawn)}, each with .pdf and .csv")
    for name, found in (("sweep_k.tsv", sweeps), ("iters.tsv", curves)):
        if not found:
            cli.warn(f"no experiment has {name}: its figure was not drawn")
    return 0


if __name__ == "__main__":
    cli.run(main)
