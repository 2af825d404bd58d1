#!/usr/bin/env python3
"""Write results.txt of every experiment, the tables of all beside the paper's, the figures, and one page.

Reads of each experiment <exp>_<model>[_seedN] scores and training.json, and where there are any tables.json,
post_test/post.scp, sweep_k.tsv and iters.tsv. Writes its results.txt: what produced it, then greppable lines
such as '%Seg_acc 87.52 [ 638 / 729 ] Wilson95 [ 84.92 89.73 ] balanced 80.12' (of a further test set
'%evaluation_Seg_acc …'), accuracy by class, confusion matrices, calibration. Of all of them <exp>_summary:
tables.txt (Tables 2 and 4), results.txt (with Table 1, every accuracy, McNemar's tests) and figures/; and
<exp>_report/index.html, which needs no network to be read.

Usage: local/make_report.py [options] <data-dir> <exp> <model>...
e.g.:  local/make_report.py data/synth exp/synth dnn1 lstm_512 sc
"""

from local.report import figures, results
from local.report.experiments import load_runs
from utils import cli


def main(argv: list[str] | None = None) -> int:
    """Write the results, draw the figures and write the page."""
    parser = cli.KaldiParser.of(__doc__, model=str)
    parser.add_argument("--num-seeds", type=cli.positive_int, default=1, help="repetitions to average")
    parser.add_argument("--test-sets", default="test", metavar='"A B"', help="sets of <data-dir>")
    args = parser.parse_args(argv)
    first, *further = args.test_sets.split()
    by_set = {x: load_runs(args.exp, args.models, args.num_seeds, x) for x in (first, *further)}
    results.write(by_set, args.data_dir, args.exp)
    drawn = args.exp.with_name(f"{args.exp.name}_summary") / "figures"
    out = args.exp.with_name(f"{args.exp.name}_report")
    figures.draw(by_set[first], args.data_dir / first, drawn)
    results.write_page(by_set, args.data_dir, drawn, out)
    cli.log(f"wrote {drawn} and {out}/index.html")
    return 0


if __name__ == "__main__":
    cli.run(main)
