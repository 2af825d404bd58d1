#!/usr/bin/env python3
"""Pool the results of a cross-validation: every track was tested once, by the models of its fold.

Reads the scores and training.json of the experiments <exp>_fold<k>_<model>[_seedN], and utt2spk of the
data directories <data>_fold<k>. Writes <exp>_folds_<model>[_seedN]/{score_test,training.json}, experiments
like any other, whose counts are sums over the folds, and <data>_folds/tables.json: how the folds divide the
corpus, and the accuracies fold by fold. write_results.py and make_report.py make their tables and page.

Usage: local/pool_folds.py [options] <data> <exp> <model>...
e.g.:  local/pool_folds.py --folds 5 --fold-by spk data/ismir04 exp/ismir04 dnn1 lstm_512 sc
"""

from local.report.experiments import load_scores, seed_paths
from local.report.folds import describe_folds, fold_table, pool_records, pool_scores
from local.report.tables import EXTRA_TABLES
from steps.scoring.scores import write_scores
from utils import atomic, cli
from utils.provenance import write_record

UNITS = {"spk": "no artist in two folds", "utt": "tracks dealt one by one, whoever their artist"}


def main(argv: list[str] | None = None) -> int:
    """Pool the folds."""
    parser = cli.KaldiParser.of(__doc__, model=str)
    parser.add_argument("--folds", type=cli.positive_int, default=5, help="how many there are")
    parser.add_argument("--fold-by", choices=tuple(UNITS), default="spk", help="how they were made")
    parser.add_argument("--num-seeds", type=cli.positive_int, default=1, help="repetitions of a model")
    args = parser.parse_args(argv)
    data, exp = args.data, args.exp
    names = [f"fold{number}" for number in range(1, args.folds + 1)]
    pooled_exp = exp.with_name(f"{exp.name}_folds")
    shown = {}
    for model in args.models:
        prefixes = [pooled_exp, *(exp.with_name(f"{exp.name}_{name}") for name in names)]
        for target, *parts in zip(
            *(seed_paths(path, model, args.num_seeds) for path in prefixes), strict=True
        ):
            if target.name.startswith(f"{pooled_exp.name}_{model}_seed") and not parts[0].is_dir():
                continue  # what has no network has no repetitions
            pooled = pool_scores([load_scores(path) for path in parts], list(map(str, parts)))
            write_scores(target / "score_test", list(pooled.measures.values()), pooled.predictions)
            if record := pool_records(parts):
                write_record(target, record)
            shown[target.name.removeprefix(f"{pooled_exp.name}_")] = pooled
    text = describe_folds([data.with_name(f"{data.name}_{name}") for name in names], UNITS[args.fold_by])
    atomic.write_json(data.with_name(f"{data.name}_folds") / EXTRA_TABLES, [fold_table(shown, text)])
    return 0


if __name__ == "__main__":
    cli.run(main)
