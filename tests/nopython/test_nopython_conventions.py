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


@pytest.mark.parametrize(("code", "at", "value", "gradient", "second"), list(rows()))
def test_convention(code, at, value, gradient, second):
    namespace = {"np": np}
    exec(f"def f(x):\n    return {code}", namespace)
    f = namespace["f"]
    with np.errstate(all="ignore"):
        for mode in ("tape", "dual"):
            v, first = nopython.value_and_grad(f, mode=mode)(at)
            np.testing.assert_array_equal(v, value[0], mode)
            np.testing.assert_allclose(first, gradient, err_msg=mode)
        v, first, hessian = nopython.hessian(f)(at)
    np.testing.assert_allclose(first, gradient)
    np.testing.assert_allclose(np.diag(hessian), second)
