#!/usr/bin/env python3
"""Draw the figures of a corpus, and write the report: one HTML page that needs no network to be read.

Reads scores and training.json of the experiments <exp>_<model>[_seedN], post_test/post.scp (Figure 2, and the
posteriors of confident errors), sweep_k.tsv (Figure 3) and iters.tsv (training curves). Writes
<exp>_summary/figures: figure2, figure3, training and confusion_<experiment>, each .png, .pdf and .csv;
<exp>_report/index.html, and beside it the pictures of the errors.

Usage: local/make_report.py [options] <data-dir> <exp> <model>...
e.g.:  local/make_report.py data/synth exp/synth dnn1 lstm_512 sc
"""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from local.report import figures, page
from local.report.experiments import load_runs, report_parser
from steps.scoring.reference import read_reference
from steps.scoring.svm import read_svm
from utils import atomic, cli, tables
from utils.provenance import git_commit

NUM_ERRORS = 4  # confident errors that are shown


def main(argv: list[str] | None = None) -> int:
    """Draw the figures and write the page."""
    parser = report_parser(__doc__)
    parser.add_argument("--nj", type=cli.positive_int, default=1, help="figures drawn side by side")
    args = parser.parse_args(argv)
    data_dir, corpus = args.data_dir, args.data_dir.name
    sets = args.test_sets.split()
    by_set = {name: load_runs(args.exp, args.models, args.num_seeds, name) for name in sets}
    first, runs = sets[0], by_set[sets[0]]
    drawn = args.exp.with_name(f"{args.exp.name}_summary") / "figures"
    out = args.exp.with_name(f"{args.exp.name}_report")
    networks = [run for run in runs if run.kind]
    names = [run.label for run in networks]
    labels = {
        run.label if names.count(run.label) < 2 else f"{run.label} {run.model}": run for run in networks
    }
    shown = next((run for run in networks if run.kind == "LSTM"), [*networks, *runs][0])

    calls = []  # what draws each of the figures that there are data for, the longest first
    posteriors = shown.path / f"post_{first}" / "post.scp"
    rows, files = [], []
    if posteriors.is_file():
        title = f"Figure 2. Scores of {shown.label} on the test set of {corpus}"
        reference = read_reference(data_dir / first)
        calls.append(partial(figures.draw_figure2, reference, f"scp:{posteriors}", title, drawn / "figure2"))
        table = shown.scores.predictions["Seg_acc"]
        rows = figures.confident_errors(table, NUM_ERRORS)
        files = [out / f"error_{number}.png" for number in range(1, len(rows) + 1)]
        shift = data_dir / first / "frame_shift"
        seconds = float(tables.read_text(shift)) if shift.is_file() else 0.0
        for row, file in zip(rows, files, strict=True):
            stem = file.with_suffix("")
            calls.append(partial(figures.draw_posteriorgram, table, row, f"scp:{posteriors}", seconds, stem))
    lstms = {label: run.path / "sweep_k.tsv" for label, run in labels.items() if run.kind == "LSTM"}
    if swept := {label: path for label, path in lstms.items() if path.is_file()}:
        k = read_svm(next(iter(swept.values())).parent / "svm_lstm/svm.npz").k
        calls.append(partial(figures.draw_figure3, swept, k, drawn / "figure3"))
    trained = {label: run.path / "iters.tsv" for label, run in labels.items()}
    if curves := {label: path for label, path in trained.items() if path.is_file()}:
        calls.append(partial(figures.draw_training, curves, drawn / "training"))
    for run in runs:
        title, stem = f"{run.label}, {run.path.name}", drawn / f"confusion_{run.path.name}"
        calls.append(partial(figures.draw_confusion, run.scores.measures, run.scores.classes, title, stem))
    with ProcessPoolExecutor(args.nj, multiprocessing.get_context("fork")) as pool:
        for future in [pool.submit(call) for call in calls]:
            future.result()

    errors = page.errors_section(shown, rows, files) if posteriors.is_file() else {}
    text = page.render(
        title=f"Segment features for music genres: {corpus}",
        subtitle=f"Corpus {corpus}, {len(runs[0].scores.first_predictions().utts)} test tracks. After Dai, "
        "Liang, Xue, Ni, Liu: Long Short-term Memory Recurrent Neural Network based Segment Features for "
        "Music Genre Classification.",
        sections=page.sections(by_set, data_dir, drawn, errors, out),
        footer=f"Written by local/make_report.py at commit {git_commit()}.",
    )
    with atomic.replacing(out / "index.html") as file:
        file.write(text)
    cli.log(f"wrote {drawn} and {out}/index.html, {(out / 'index.html').stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    cli.run(main)
