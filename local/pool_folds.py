#!/usr/bin/env python3
"""Pool the results of a cross-validation: every track was tested once, by the models of its fold.

Reads the scores and training.json of the experiments <exp>_fold<k>_<model>[_seedN], and utt2spk of the
data directories <data>_fold<k>. Writes <exp>_folds_<model>[_seedN]/{score_test,training.json}, experiments
like any other, whose counts are sums over the folds, and <data>_folds/tables.json: how the folds divide the
corpus, and the accuracies fold by fold. write_results.py and make_report.py make their tables and page.

Usage: local/pool_folds.py [options] <data> <exp> <model>...
e.g.:  local/pool_folds.py --folds 5 --fold-by spk data/ismir04 exp/ismir04 dnn1 lstm_512 sc
"""

from __future__ import annotations

from pathlib import Path

from local.report.experiments import load_scores, seed_paths
from local.report.folds import describe_folds, fold_table, pool_records, pool_scores
from local.report.tables import EXTRA_TABLES
from steps.scoring.scores import write_scores
from utils import atomic, cli
from utils.provenance import write_record

UNITS = {"spk": "no artist in two folds", "utt": "tracks dealt one by one, whoever their artist"}


def get_parser() -> cli.KaldiParser:
    """Return the command line."""
    parser = cli.KaldiParser("local/pool_folds.py [options] <data> <exp> <model>...", __doc__)
    parser.add_argument("--folds", type=cli.positive_int, default=5, help="how many there are")
    parser.add_argument("--fold-by", choices=tuple(UNITS), default="spk", help="how they were made")
    parser.add_argument("--num-seeds", type=cli.positive_int, default=1, help="repetitions of a model")
    parser.add_argument("data", type=Path, help="data directories without _fold<k>")
    parser.add_argument("exp", type=Path, help="experiment directories without _fold<k>_<model>")
    parser.add_argument("models", nargs="+", metavar="model", help="in the order of the tables")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Pool the folds."""
    parser = get_parser()
    args = parser.parse_args(argv)
    if args.folds < 2:
        parser.error(f"--folds: expected at least 2, got {args.folds}")
    names = [f"fold{number}" for number in range(1, args.folds + 1)]
    pooled_exp = args.exp.with_name(f"{args.exp.name}_folds")
    shown = {}
    for model in args.models:
        targets = seed_paths(pooled_exp, model, args.num_seeds)
        by_fold = [
            seed_paths(args.exp.with_name(f"{args.exp.name}_{name}"), model, args.num_seeds) for name in names
        ]
        for target, parts in zip(targets, zip(*by_fold, strict=True), strict=True):
            if target != targets[0] and not parts[0].is_dir():
                continue  # what has no network has no repetitions
            pooled = pool_scores([load_scores(path) for path in parts], [str(path) for path in parts])
            write_scores(target / "score_test", list(pooled.measures.values()), pooled.predictions)
            if record := pool_records(parts):
                write_record(target, record)
            shown[target.name.removeprefix(f"{pooled_exp.name}_")] = pooled
            cli.log(f"wrote {target}/score_test")
    data_dirs = [args.data.with_name(f"{args.data.name}_{name}") for name in names]
    about = {"text": describe_folds(data_dirs, UNITS[args.fold_by]), **fold_table(shown)}
    atomic.write_json(args.data.with_name(f"{args.data.name}_folds") / EXTRA_TABLES, [about])
    return 0


if __name__ == "__main__":
    cli.run(main)
