"""Test sets beside ``test``: the same accuracies, in tables of their own, since the paper has none."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.report import page as html
from local.report import tables
from local.report.corpus import Overlap, artist_overlap, count_tracks
from local.report.layout import percent, render
from local.report.runs import Run, load_runs
from steps.scoring.comparison import Pair
from steps.scoring.system import EXPLANATIONS
from utils.cli import KaldiParser


@dataclass(frozen=True)
class ExtraSet:
    """Everything that was scored on one further test set."""

    name: str
    runs: tuple[Run, ...]
    counts: list[dict[str, Any]]
    """Tracks and hours, a row a class."""
    overlap: Overlap
    pairs: list[Pair]

    @property
    def measures(self) -> list[str]:
        """The accuracies that any of the systems has."""
        return [name for name in EXPLANATIONS if any(run.value(name) for run in self.runs)]

    @property
    def title(self) -> str:
        """What stands above the table."""
        seeds = max(len(run.seeds) for run in self.runs)
        how = f"mean ± standard deviation of {seeds} seeds" if seeds > 1 else "[95 % interval], 1 seed"
        total = self.counts[-1][f"{self.name}_tracks"]
        return f"Test set {self.name}, {total} tracks, not in the paper: every accuracy (%, {how})"

    def cells(self) -> list[list[str]]:
        """Return the rows of the table, a system each."""
        return [
            [run.label, *(value.cell() if (value := run.value(name)) else "-" for name in self.measures)]
            for run in self.runs
        ]

    def count_cells(self) -> list[list[str]]:
        """Return class, tracks and hours."""
        return [
            [row["class"], str(row[f"{self.name}_tracks"]), percent(row[f"{self.name}_hours"])]
            for row in self.counts
        ]


def add_option(parser: KaldiParser) -> None:
    """Give a program the option ``--extra-sets``."""
    parser.add_argument("--extra-sets", default="", metavar='"A B"', help="test sets beside test (none)")


def load_extra_sets(
    data_dir: Path, names: str, exp_dirs: Sequence[Path], num_seeds: int = 1
) -> list[ExtraSet]:
    """Load what the experiments have on each of the further test sets, named with blanks between them.

    Raises
    ------
    UserError
        If one of the experiments was not scored on one of the sets.
    """
    found = []
    for name in names.split():
        runs = tuple(load_runs(list(exp_dirs), num_seeds, name))
        counts = count_tracks(data_dir, (name,))
        found.append(ExtraSet(name, runs, counts, artist_overlap(data_dir, name), tables.test_pairs(runs)))
    return found


def table_rows(extra: ExtraSet) -> list[dict[str, Any]]:
    """Return the table as flat rows for CSV and JSON: those of Tables 2 and 4 without the paper's figures."""
    rows = tables.table_rows(extra.runs, extra.measures)
    return [
        {name: value for name, value in row.items() if name != "paper_model" and not name.endswith("_paper")}
        for row in rows
    ]


def as_json(extra: ExtraSet) -> dict[str, Any]:
    """Return what tables.json says about a set."""
    return {
        "tracks": extra.counts,
        "accuracies": table_rows(extra),
        "mcnemar": [dataclasses.asdict(pair) for pair in extra.pairs],
        "artist_overlap": extra.overlap.as_json(),
    }


def accuracy_lines(extra: ExtraSet) -> list[str]:
    """Lay out the accuracies of a set, for the terminal."""
    return [extra.title, "", *render(["model", *extra.measures], extra.cells()), "", extra.overlap.line()]


def detail_lines(extra: ExtraSet) -> list[str]:
    """Lay out the classes of a set, every accuracy with its counts, and the tests."""
    lines = [f"Test set {extra.name}", "", *render(["class", "tracks", "hours"], extra.count_cells()), ""]
    lines += [*tables.all_accuracies(extra.runs), "", *tables.mcnemar_table(extra.pairs)]
    return lines


def section(extra: ExtraSet) -> str:
    """Return the part of the report page about a set."""
    differing = sum(pair.p_holm < 0.05 for pair in extra.pairs)
    tests = (
        f"McNemar's test, first seed, Holm-corrected for {len(extra.pairs)} pairs: {differing} differ at the "
        "5 % level. All of them are in results.txt of the summary."
    )
    caption = f"The classes of {extra.name}"
    return html.section(
        f"set-{extra.name}",
        f"Test set {extra.name}",
        html.table(["model", *extra.measures], extra.cells(), extra.title),
        html.paragraph(extra.overlap.line()),
        html.paragraph(tests),
        html.table(["class", "tracks", "hours"], extra.count_cells(), caption),
    )
