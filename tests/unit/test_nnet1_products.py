"""Products of matrices by each library, in all layouts that the layers use, and the choice among them."""

import pytest
import torch

from steps.nnet1 import products
from utils.cli import UserError

LAYOUTS = ("rows", "columns", "part", "part of columns")
WAYS = ("large=torch,gradient=torch", "large=onednn,gradient=onednn")
SHAPES = [(1, 1, 16), (7, 5, 33), (13, 321, 6), (241, 9, 65), (64, 131, 96)]


@pytest.fixture(autouse=True)
def choose_again():
    products.use("auto")
    yield
    products.use("auto")


def laid_out(rows: int, columns: int, how: str) -> torch.Tensor:
    """A random matrix: row by row, column by column, or a part of a wider one."""
    if how == "columns":
        return torch.randn(columns, rows).t()
    if how == "part":
        return torch.randn(rows, columns + 3)[:, :columns]
    if how == "part of columns":
        return torch.randn(columns, rows + 3)[:, :rows].t()
    return torch.randn(rows, columns)


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("out_how", LAYOUTS)
def test_products_of_all_layouts(name, shape, out_how):
    products.use(name)
    torch.manual_seed(0)
    rows, inner, columns = shape
    for a_how in LAYOUTS:
        for b_how, alpha, beta in zip(LAYOUTS, (-2.0, 1.0, 0.5, 3.0), (0.5, 0.0, 1.0, 0.0), strict=True):
            a, b = laid_out(rows, inner, a_how), laid_out(inner, columns, b_how)
            out = laid_out(rows, columns, out_how)
            exact = beta * out.double() + alpha * a.double() @ b.double()
            if beta == 0:
                out.fill_(torch.nan)
            around = out._base.clone() if "part" in out_how else None
            assert products.multiply(a, b, out, alpha=alpha, beta=beta) is out
            torch.testing.assert_close(out.double(), exact, rtol=1e-5, atol=1e-6 * inner)
            if around is not None:
                assert torch.equal(out._base[:, -3:], around[:, -3:])


@pytest.mark.parametrize("name", WAYS)
def test_numbers_that_are_not_finite_stay_in_their_rows_and_columns(name):
    products.use(name)
    for columns in (70, 7):
        a, b = torch.randn(30, 50), torch.randn(columns, 50).t()
        a[3, 7], b[2, 6] = torch.nan, torch.inf
        touched = torch.zeros(30, columns, dtype=torch.bool)
        touched[3], touched[:, 6] = True, True
        assert torch.equal(~products.multiply(a, b, torch.empty(30, columns)).isfinite(), touched)


@pytest.mark.parametrize(
    ("kind", "seconds", "expected"),
    [
        ("large", {"torch": 1.0, "onednn": 0.97}, "torch"),
        ("large", {"torch": 1.0, "onednn": 0.9}, "onednn"),
        ("gradient", {"torch": 0.9, "onednn": 1.0}, "torch"),
        ("thin", {"torch": 0.97, "onednn": 0.96, "c": 1.0}, "c"),
        ("thin", {"torch": 0.97, "onednn": 0.94, "c": 1.0}, "onednn"),
    ],
)
def test_the_first_within_the_margin_is_taken_named_and_kept(
    kind, seconds, expected, monkeypatch, tmp_path, capsys
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    now = [0.0]
    runs = {name: lambda s=time: now.__setitem__(0, now[0] + s) for name, time in seconds.items()}
    for clock in ("thread_time", "perf_counter"):
        monkeypatch.setattr(products.time, clock, lambda: now[0])
    monkeypatch.setattr(products.kernels, "library", object)
    assert products.chosen(kind, runs.get) == expected
    assert f"Products ({kind}): {expected} (" in capsys.readouterr().err
    for again in (f"{kind}={expected}", "auto"):  # named, or kept for the processes that follow
        products.use(again)
        assert products.chosen(kind, dict) == expected
        assert capsys.readouterr().err == ""


def test_of_two_processes_that_measure_at_once_the_first_decides_for_both(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kept = [products.kernels.kept_choice("large.torch.onednn", name) for name in ("onednn", "torch")]
    assert kept == ["onednn"] * 2
    assert products.chosen("large", dict) == "onednn"
    assert products.identity().startswith("large=onednn,gradient=")
    assert products.kernels.kept_choice("thin") == ""


@pytest.mark.parametrize("text", ["fortran", "large=c", "thin=mkl", "wide=torch", "large="])
def test_another_choice_is_refused(text):
    with pytest.raises(UserError, match=f"--kernels={text}: expected auto"):
        products.use(text)
