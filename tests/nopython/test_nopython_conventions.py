"""The nopython column of docs/conventions.md, row by row: value, gradient and second derivatives, on the tape and dual."""

import pathlib

import numpy as np
import pytest

from tapejit import nopython

PAGE = pathlib.Path(__file__).parent.parent.parent / "docs" / "conventions.md"
NAMES = {"nan": np.nan, "inf": np.inf}
FAST = ("sqrt", "log", "norm", "max(", "std")  # where a rule of its own, or an infinite slope, is at work


def numbers(text):
    return np.array([float(n) for n in text.split(",")])


def rows():
    for line in PAGE.read_text().splitlines() if PAGE.exists() else ():
        cells = [c.strip() for c in line.strip("|").split("|")]
        if line.startswith("| `") and cells[1]:
            code, at = (cell.strip("`") for cell in cells[1:3])
            marks = () if any(word in code for word in FAST) else pytest.mark.slow
            expected = map(numbers, cells[3:])
            yield pytest.param(code, np.array(eval(at, NAMES)), *expected, marks=marks, id=f"{code} at {at}")


def function(code):
    namespace = {"np": np}
    exec(f"def f(x):\n    return {code}", namespace)
    return namespace["f"]


@pytest.mark.parametrize(("code", "at", "value", "gradient", "second"), list(rows()))
def test_convention(code, at, value, gradient, second):
    f = function(code)
    with np.errstate(all="ignore"):
        v, first = nopython.value_and_grad(f, mode="tape")(at)
        np.testing.assert_array_equal(v, value[0])
        np.testing.assert_allclose(first, gradient)
        v, first, hessian = nopython.hessian(f)(at)
    np.testing.assert_array_equal(v, value[0])
    np.testing.assert_allclose(first, gradient)
    np.testing.assert_allclose(np.diag(hessian), second)


@pytest.mark.slow
@pytest.mark.parametrize(("code", "at", "value", "gradient"), [row.values[:4] for row in rows()])
def test_convention_with_dual_numbers(code, at, value, gradient):
    f = function(code)
    with np.errstate(all="ignore"):
        v, first = nopython.value_and_grad(f, mode="dual")(at)
    np.testing.assert_array_equal(v, value[0])
    np.testing.assert_allclose(first, gradient)
