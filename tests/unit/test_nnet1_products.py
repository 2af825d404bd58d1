"""Products of matrices in C: all layouts that the layers use, the edges of tiles, what is left to torch."""

from __future__ import annotations

import pytest
import torch

from steps.nnet1 import kernels, products
from steps.nnet1.products import FEW, multiply

LAYOUTS = ("rows", "columns", "part", "part of columns")
SHAPES = [
    (1, 1, FEW),
    (7, 5, 33),
    (12, 320, 32),
    (13, 321, 31),
    (241, 9, 65),
    (25, 700, 1100),
    (256, 525, 96),
]


ARCHITECTURES = ("native", "no-avx512f", "x86-64")


@pytest.fixture(autouse=True)
def in_c():
    if kernels.library() is None:
        pytest.skip("no C compiler")


@pytest.fixture(params=ARCHITECTURES)
def vectors(request, monkeypatch):
    """The kernels for vectors of 16, 8 and 4 numbers, where this processor has them."""
    more = {"native": (), "no-avx512f": ("-mno-avx512f",), "x86-64": ("-march=x86-64",)}[request.param]
    monkeypatch.setattr(kernels, "FLAGS", (*kernels.FLAGS, *more))
    kernels.use("auto")
    if kernels.library() is None:
        pytest.skip("not for this processor")
    yield
    monkeypatch.undo()
    kernels.use("auto")


def laid_out(rows: int, columns: int, how: str) -> torch.Tensor:
    """A random matrix: row by row, column by column, or a part of a wider one."""
    if how == "columns":
        return torch.randn(columns, rows).t()
    if how == "part":
        return torch.randn(rows, columns + 3)[:, :columns]
    if how == "part of columns":
        return torch.randn(columns, rows + 3)[:, :rows].t()
    return torch.randn(rows, columns)


@pytest.mark.usefixtures("vectors")
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
            around = out._base.clone() if "part" in out_how else None
            assert multiply(a, b, out, alpha=-2.0, beta=0.5) is out
            torch.testing.assert_close(out.double(), exact, rtol=1e-5, atol=1e-6 * inner)
            if around is not None:
                assert torch.equal(out._base[:, -3:], around[:, -3:])


def test_what_was_there_does_not_matter_without_beta():
    a, b = torch.randn(4, 5), torch.randn(5, 40)
    out = multiply(a, b, torch.full((4, 40), torch.nan))
    torch.testing.assert_close(out, a @ b)


def test_numbers_that_are_not_finite_stay_in_their_rows_and_columns():
    a, b = torch.randn(30, 50), torch.randn(50, 70)
    a[3, 7], b[2, 60] = torch.nan, torch.inf
    out = multiply(a, b, torch.empty(30, 70))
    touched = torch.zeros(30, 70, dtype=torch.bool)
    touched[3], touched[:, 60] = True, True
    assert torch.equal(~out.isfinite(), touched)


def test_an_element_has_the_same_bits_in_any_company_and_on_any_number_of_threads():
    a, b = torch.randn(300, 525), torch.randn(525, 200)
    whole = multiply(a, b, torch.empty(300, 200))
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3, 5):
            torch.set_num_threads(threads)
            for rows, columns in (
                (slice(0, 300), slice(0, 200)),
                (slice(77, 78), slice(0, 200)),
                (slice(5, 66), slice(3, 40)),
            ):
                part = multiply(a[rows], b[:, columns], torch.empty_like(whole[rows, columns].contiguous()))
                assert torch.equal(part, whole[rows, columns])
    finally:
        torch.set_num_threads(before)


def test_other_layouts_are_refused():
    with pytest.raises(ValueError, match=r"got strides \(12, 2\), "):
        multiply(torch.randn(4, 12)[:, ::2], torch.randn(6, 20), torch.empty(4, 20))


def test_what_is_left_to_torch(monkeypatch):
    class Library:
        def multiply(self, *_):
            raise AssertionError("not torch's")

    monkeypatch.setattr(products.kernels, "library", Library)
    a, b = torch.randn(40, 5), torch.randn(5, FEW - 1)
    assert torch.equal(multiply(a, b, torch.empty(40, FEW - 1)), a @ b)
    a, b = torch.randn(40, 5).double(), torch.randn(5, 40).double()
    assert torch.equal(multiply(a, b, torch.empty(40, 40).double()), a @ b)
    with pytest.raises(AssertionError):
        multiply(a.float(), b.float(), torch.empty(40, 40))
