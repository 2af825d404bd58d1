#!/usr/bin/env python3
"""Draw the figures of a corpus, and write the report: one HTML page that needs no network to be read.

Reads scores and training.json of the experiments <exp>_<model>[_seedN], post_test/post.scp (Figure 2, and the
posteriors of confident errors), sweep_k.tsv (Figure 3) and iters.tsv (training curves). Writes
<exp>_summary/figures: figure2, figure3, training and confusion_<experiment>, each .png, .pdf and .csv;
<exp>_report/index.html, and beside it the pictures of the errors.

Usage: local/make_report.py [options] <data-dir> <exp> <model>...
e.g.:  local/make_report.py data/synth exp/synth dnn1 lstm_512 sc
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from local.report import page
from local.report.curves import draw_confusion, draw_figure3, draw_training, read_iterations
from local.report.errors import confident_errors, draw_posteriorgrams
from local.report.experiments import Run, load_runs, report_parser
from local.report.figure2 import collect_scores, draw_figure2
from steps.scoring.reference import read_reference
from steps.scoring.svm import read_svm
from steps.scoring.sweep import read_sweep
from utils import atomic, cli
from utils.provenance import git_commit

NUM_ERRORS = 8  # confident errors that are shown


def get_parser() -> cli.KaldiParser:
    """Return the command line."""
    parser = report_parser("local/make_report.py", __doc__)
    parser.add_argument("--nj", type=cli.positive_int, default=1, help="figures drawn side by side")
    return parser


def figures_of(
    runs: Sequence[Run], shown: Run, data_dir: Path, test_set: str, out: Path
) -> Iterator[Callable[[], object]]:
    """Yield what draws each of the figures that the experiments have data for, the longest first."""
    posteriors = shown.path / f"post_{test_set}" / "post.scp"
    if posteriors.is_file():
        title = f"Figure 2. Scores of {shown.label} on the test set of {data_dir.name}"
        scores = collect_scores(read_reference(data_dir / test_set), f"scp:{posteriors}")
        yield partial(draw_figure2, scores, title, out / "figure2")
    networks = [run for run in runs if run.kind]
    names = [run.label for run in networks]
    labels = {
        run.label if names.count(run.label) == 1 else f"{run.label} {run.model}": run for run in networks
    }
    swept = {label: run for label, run in labels.items() if (run.path / "sweep_k.tsv").is_file()}
    swept = {label: run for label, run in swept.items() if run.kind == "LSTM"}
    if swept:
        k = read_svm(next(iter(swept.values())).path / "svm_lstm/svm.npz").k
        sweeps = {label: read_sweep(run.path / "sweep_k.tsv") for label, run in swept.items()}
        yield partial(draw_figure3, sweeps, k, out / "figure3")
    trained = {label: run.path / "iters.tsv" for label, run in labels.items()}
    curves = {label: read_iterations(path) for label, path in trained.items() if path.is_file()}
    if curves:
        yield partial(draw_training, curves, out / "training")
    for run in runs:
        title = f"{run.label}, {run.path.name}"
        stem = out / f"confusion_{run.path.name}"
        yield partial(draw_confusion, run.scores.measures, run.scores.classes, title, stem)


def in_jobs(calls: Sequence[Callable[[], Any]], nj: int) -> list[Any]:
    """Return the results of some calls, nj of them side by side."""
    if nj == 1:
        return [call() for call in calls]
    with ProcessPoolExecutor(nj, multiprocessing.get_context("fork")) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def frame_shift(data_dir: Path) -> float:
    """Return the seconds from frame to frame, 0 where they are not known."""
    path = data_dir / "frame_shift"
    try:
        return float(path.read_text(encoding="utf-8").split()[0]) if path.is_file() else 0.0
    except (ValueError, IndexError) as error:
        raise cli.UserError(f"{path}: not a frame shift in seconds ({error}); run stage 2 again") from error


def main(argv: list[str] | None = None) -> int:
    """Draw the figures and write the page."""
    args = get_parser().parse_args(argv)
    data_dir, corpus = args.data_dir, args.data_dir.name
    first, *others = args.test_sets.split()
    runs = load_runs(args.exp, args.models, args.num_seeds, first)
    figures = args.exp.with_name(f"{args.exp.name}_summary") / "figures"
    out = args.exp.with_name(f"{args.exp.name}_report")
    networks = [run for run in runs if run.kind] or runs
    shown = next((run for run in networks if run.kind == "LSTM"), networks[0])
    drawings: list[Callable[[], Any]] = list(figures_of(runs, shown, data_dir, first, figures))
    posteriors = shown.path / f"post_{first}" / "post.scp"
    if posteriors.is_file():
        errors = confident_errors(shown.scores.predictions["Seg_acc"], NUM_ERRORS)
        shift, classes = frame_shift(data_dir / first), shown.scores.classes
        drawings.append(partial(draw_posteriorgrams, errors, classes, f"scp:{posteriors}", shift, out))
    drawn = in_jobs(drawings, args.nj)
    sets = [name for name in ("train", first, *others) if (data_dir / name).is_dir()]
    sections = [page.systems_section(runs, corpus), page.networks_section(runs)]
    for name in others:
        found = load_runs(args.exp, args.models, args.num_seeds, name)
        sections.append(page.set_section(found, name, data_dir))
    sections += [page.corpus_section(data_dir, first, sets), page.figures_section(runs, figures)]
    if posteriors.is_file():
        sections.append(page.errors_section(shown, errors, drawn[-1]))
    sections += [page.tests_section(runs), page.experiments_section(runs, out)]
    subtitle = (
        f"Corpus {corpus}, {len(runs[0].scores.first_predictions().utts)} test tracks. After Dai, Liang, "
        "Xue, Ni, Liu: Long Short-term Memory Recurrent Neural Network based Segment Features for Music "
        "Genre Classification."
    )
    text = page.render(
        f"Segment features for music genres: {corpus}",
        subtitle,
        sections,
        f"Written by local/make_report.py at commit {git_commit()}.",
    )
    with atomic.replacing(out / "index.html") as file:
        file.write(text)
    cli.log(f"wrote {figures} and {out}/index.html, {(out / 'index.html').stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    cli.run(main)
