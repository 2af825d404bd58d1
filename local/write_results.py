#!/usr/bin/env python3
"""Write results.txt of every experiment, and the tables of all of them beside the paper's figures.

Of each experiment <exp>_<model>[_seedN]: results.txt says what produced it (commit, configuration, seed
and machines as its training recorded them, data, network, SVMs), then greppable lines such as
'%Seg_acc 87.52 [ 638 / 729 ] Wilson95 [ 84.92 89.73 ] balanced 80.12', accuracy by class, confusion matrices,
calibration. Frames of a track are right or wrong together, so that Frame_acc has a second interval,
by_track95, that takes tracks as the independent trials. Lines of a further test set begin with its name:
'%evaluation_Seg_acc …'.

Of all of them, in <exp>_summary: tables.txt (Tables 2 and 4, which are also printed), results.txt (with
Table 1, every accuracy, McNemar's tests, artist overlap), results.csv, mcnemar.csv, results.json.

Nothing is appended to and there is no time in any of it: the same results are the same files.

Usage: local/write_results.py [options] <data-dir> <exp> <model>...
e.g.:  local/write_results.py --extra-conf conf/svm.conf data/synth exp/synth dnn1 lstm_512 sc
"""

from local.report import paper, tables
from local.report.experiments import load_runs, report_parser, seed_paths, test_families
from local.report.results import overlap_line, summarise_data, write_results
from utils import atomic, cli
from utils.provenance import read_texts


def main(argv: list[str] | None = None) -> int:
    """Write the results and print the tables."""
    parser = report_parser(__doc__)
    parser.add_argument("--extra-conf", default="", metavar="A,B", help="configurations beside the models'")
    args = parser.parse_args(argv)
    data_dir, sets = args.data_dir, args.test_sets.split()
    parts = [name for name in ("train", *sets) if (data_dir / name).is_dir() or name in sets]
    data = summarise_data(data_dir, parts)
    by_set = {name: load_runs(args.exp, args.models, args.num_seeds, name) for name in sets}
    extra = read_texts([name for name in args.extra_conf.split(",") if name])
    first, *others = by_set
    runs = by_set[first]
    head = [f"# corpus {data_dir.name}, data sha256 {data.sha256[:16]}"]
    for run in runs:
        for path in seed_paths(args.exp, run.model, len(run.seeds)):
            write_results(path, data_dir, data, sets, extra)
        commit = f", commit {run.record['commit']}" if "commit" in run.record else ""
        head.append(f"# {run.path.name}: seed {run.record.get('seed', '-')}{commit}, {run.label}")

    networks = tables.table2(runs)
    shown = [*networks.lines(), ""] if networks.rows else []
    shown += [*tables.table4(runs).lines(), ""]
    shown += ["Intervals: Wilson's for tracks; for frames the one that takes tracks as the trials."]
    shown += tables.caveats(runs, data_dir.name)
    for name in others:
        shown += ["", *tables.set_table(by_set[name], name).lines()]
    shown += ["", *(overlap_line(data_dir, name) for name in sets if "train" in parts)]
    for table in tables.extra_tables(data_dir):
        shown += ["", *table.lines()]
    details = [tables.table1(data_dir, parts)]
    rows, tests = [], []
    for name, found in by_set.items():
        pairs = list(test_families(found))
        details += [tables.all_accuracies(found), tables.mcnemar_table(pairs)]
        rows += tables.flat_rows(found, name)
        tests += [{"set": name, **pair._asdict()} for pair in pairs]

    out = args.exp.with_name(f"{args.exp.name}_summary")
    for name, content in (("results.csv", rows), ("mcnemar.csv", tests)):
        tables.write_csv(out / name, content[0] if content else [], (row.values() for row in content))
    lines = [*head, "", *shown, paper.SLIP, *(x for table in details for x in ("", *table.lines()))]
    for name, text in (("results.txt", lines), ("tables.txt", shown)):
        with atomic.replacing(out / name) as file:
            file.write("\n".join(text) + "\n")
    summary = {"corpus": data_dir.name, "accuracies": rows, "mcnemar": tests, "text": shown}
    atomic.write_json(out / "results.json", summary)
    print("\n".join(shown))
    return 0


if __name__ == "__main__":
    cli.run(main)
