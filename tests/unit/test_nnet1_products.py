"""Products through OpenBLAS: every layout that the layers use, and when it is not used."""

from __future__ import annotations

import pytest
import torch

from steps.nnet1 import products


@pytest.fixture(autouse=True)
def torch_again():
    yield
    products.use(num_threads=1, openblas=False)


@pytest.fixture
def openblas(monkeypatch):
    """OpenBLAS in use, whatever processor this is."""
    monkeypatch.setattr(products, "suits", lambda: True)
    products.use(num_threads=1)
    assert products.identity() == "openblas"


def laid_out(rows: int, columns: int, how: str) -> torch.Tensor:
    """A random matrix: row by row, column by column, or a part of a wider one."""
    if how == "columns":
        return torch.randn(columns, rows).t()
    if how == "part":
        return torch.randn(rows, columns + 3)[:, :columns]
    if how == "part of columns":
        return torch.randn(columns, rows + 3)[:, :rows].t()
    return torch.randn(rows, columns)


LAYOUTS = ("rows", "columns", "part", "part of columns")
SHAPES = [(7, 5, 3), (1, 4, 6), (6, 4, 1), (5, 1, 2), (1, 1, 1), (2, 3, 1), (256, 525, 6)]


@pytest.mark.usefixtures("openblas")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("out_how", LAYOUTS)
def test_products_of_all_layouts(shape, out_how):
    torch.manual_seed(0)
    rows, inner, columns = shape
    for a_how in LAYOUTS:
        for b_how in LAYOUTS:
            a, b = laid_out(rows, inner, a_how), laid_out(inner, columns, b_how)
            out = laid_out(rows, columns, out_how)
            exact = 0.5 * out.double() - 2 * a.double() @ b.double()
            around = out._base.clone() if out._base is not None else None
            assert products.multiply(a, b, out, alpha=-2.0, beta=0.5) is out
            torch.testing.assert_close(out.double(), exact, rtol=1e-5, atol=1e-4)
            if around is not None and "part" in out_how:
                assert torch.equal(out._base[:, -3:], around[:, -3:])


@pytest.mark.usefixtures("openblas")
def test_what_was_there_does_not_matter_without_beta():
    a, b = torch.randn(4, 5), torch.randn(5, 6)
    out = products.multiply(a, b, torch.full((4, 6), torch.nan))
    torch.testing.assert_close(out, a @ b)


@pytest.mark.usefixtures("openblas")
def test_other_layouts_are_refused():
    with pytest.raises(ValueError, match=r"got strides \(12, 2\)"):
        products.multiply(torch.randn(4, 12)[:, ::2], torch.randn(6, 5), torch.empty(4, 5))


@pytest.mark.usefixtures("openblas")
def test_float64_and_more_threads_are_torchs():
    a, b = torch.randn(4, 5, dtype=torch.float64), torch.randn(5, 6, dtype=torch.float64)
    assert torch.equal(products.multiply(a, b, torch.empty(4, 6, dtype=torch.float64)), a @ b)
    products.use(num_threads=2)
    assert products.identity() == "torch"
    products.use(num_threads=1, openblas=False)
    assert products.identity() == "torch"


def test_only_amds_processors_are_asked_for_it(monkeypatch):
    monkeypatch.setattr(products, "suits", lambda: False)
    products.use(num_threads=1)
    assert products.identity() == "torch"
