"""What the report page is made of; what stands on it and how it looks is in page.html.j2."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from local.report import paper, results, tables
from local.report.experiments import Run, test_families
from local.report.figures import Errors
from utils import atomic
from utils.provenance import git_commit


def write(
    by_set: Mapping[str, Sequence[Run]], data_dir: Path, figures: Path, errors: Errors | None, out: Path
) -> None:
    """Write ``out``/index.html about experiments by test set, the paper's first, and their figures."""

    def read(path: Path) -> str:
        return base64.b64encode(path.read_bytes()).decode("ascii")

    def links(run: Run) -> list[tuple[Path, str]]:
        files = [run.path / "results.txt", *sorted(run.path.glob("log/*.log"))]
        return [(path, quote(f"../{path.relative_to(out.parent)}")) for path in files if path.is_file()]

    (test_set, runs), *others = by_set.items()
    content = {"corpus": data_dir.name, "data_dir": data_dir, "test_set": test_set, "runs": runs}
    content |= {"others": others, "figures": figures, "errors": errors, "slip": paper.SLIP}
    content["sets"] = [name for name in ("train", *by_set) if (data_dir / name).is_dir()]
    functions = [read, links, test_families, results.overlap_line, results.provenance]
    content |= {"commit": git_commit(), "tables": tables, **{f.__name__: f for f in functions}}
    with atomic.replacing(out / "index.html") as file:
        file.write(results.render("page.html.j2", **content))
