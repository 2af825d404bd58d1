#!/usr/bin/env python3
"""Write the report of a corpus: one HTML page with everything in it, and no network needed to read it.

Reads results.json and results of the experiments, tables.json and figures/*.png of <summary-dir>
(make_tables.py, plot_figures.py), and the posteriors of the model whose confident errors are shown.
Writes <report-dir>/index.html, and beside it the pictures of those errors with their CSV.

Usage: local/make_report.py [options] <data-dir> <summary-dir> <report-dir> <exp-dir>...
e.g.:  local/make_report.py data/synth exp/synth_summary exp/synth_report exp/synth_dnn1 exp/synth_lstm_512
"""

from __future__ import annotations

from pathlib import Path

from local.report import content, extra_sets
from local.report.page import page
from local.report.runs import figure_run, load_runs
from utils import atomic, cli


def get_parser() -> cli.KaldiParser:
    """Return the command line."""
    usage = "local/make_report.py [options] <data-dir> <summary-dir> <report-dir> <exp-dir>..."
    parser = cli.KaldiParser(usage, __doc__)
    parser.add_argument("--num-seeds", type=cli.positive_int, default=1, help="repetitions to average (1)")
    parser.add_argument("--num-errors", type=int, default=8, help="confident errors to show (8)")
    parser.add_argument(
        "--figure2-model", default="", metavar="NAME", help="model of the errors (first LSTM)"
    )
    extra_sets.add_option(parser)
    parser.add_argument("data_dir", help="corpus directory with train and test")
    parser.add_argument("summary_dir", help="folder of make_tables.py, with figures/")
    parser.add_argument("report_dir", help="folder of the page")
    parser.add_argument(
        "exp_dirs", nargs="+", metavar="exp_dir", help="experiments, in the order of the tables"
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Write the page."""
    args = get_parser().parse_args(argv)
    exp_dirs = [Path(name) for name in args.exp_dirs]
    runs = load_runs(exp_dirs, args.num_seeds)
    summary, out, data = Path(args.summary_dir), Path(args.report_dir), Path(args.data_dir)
    tables = content.read_tables(summary)
    networks = [run for run in runs if run.kind] or runs
    shown = figure_run(networks, args.figure2_model)
    sections = [
        ("results", "Results", content.results_section(runs, tables)),
        *(
            (f"set-{extra.name}", f"Test set {extra.name}", extra_sets.section(extra))
            for extra in extra_sets.load_extra_sets(data, args.extra_sets, exp_dirs, args.num_seeds)
        ),
        ("corpus", "Corpus", content.corpus_section(tables)),
        ("figures", "Figures", content.figures_section(runs, summary / "figures")),
        ("errors", "Confident errors", content.errors_section(shown, data, out, args.num_errors)),
        ("tests", "Tests", content.tests_section(tables)),
        ("provenance", "Provenance", content.provenance_section(runs)),
    ]
    record = runs[0].record
    tracks = record["num_tracks"]
    subtitle = (
        f"Corpus {record['corpus']}: {tracks['train']} training and {tracks['test']} test tracks. After Dai, "
        "Liang, Xue, Ni, Liu: Long Short-term Memory Recurrent Neural Network based Segment Features for "
        "Music Genre Classification."
    )
    title = f"Segment features for music genres: {record['corpus']}"
    footer = f"Written by local/make_report.py at commit {record['commit']}."
    with atomic.replacing(out / "index.html") as file:
        file.write(page(title, subtitle, sections, footer))
    cli.log(f"wrote {out}/index.html, {(out / 'index.html').stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    cli.run(main)
