"""Mistakes of the first hour: one clear sentence each, and a short traceback that ends with the user's line."""

import functools
import math
import traceback

import numpy as np
import pytest
from numba import njit

from tapejit import nopython


def helper(y):
    return y * y


class Model:
    def method(self, x):
        return x[0] * 2.0


def plain_helper(x):
    return helper(x[0])


def undefined(x):
    return nowhere(x[0])  # noqa: F821


def makes_complex(x):
    return complex(x[0], 1.0).real


def imaginary(x):
    return (x[0] * 1j).real


def opens_a_file(x):
    with open("data") as file:
        file.read()
    return x[0]


def ufunc(x):
    return np.copysign(x[0], 1.0)


def generator(x):
    return sum(x[i] for i in range(2))


def misspelt(x):
    return math.sine(x[0])


def catches_one_kind(x):
    try:
        y = x[0] * 2.0
    except ValueError:
        y = x[0]
    return y


@njit
def nested(x):
    return opens_a_file_too(x) * 2.0


@njit
def opens_a_file_too(x):
    with open("data") as file:
        file.read()
    return x[0]


CASES = {
    plain_helper: ("'helper'", "put @njit on it"),
    undefined: ("'nowhere'", "define nowhere"),
    makes_complex: ("complex", "real and the imaginary part"),
    imaginary: ("complex", "real and the imaginary part"),
    opens_a_file: ("with", "instead:"),
    nested: ("with", "instead:"),
    ufunc: ("np.copysign", "rule"),
    generator: ("yield|generator|comprehension|closure", "instead:"),
    misspelt: ("no attribute 'sine'", "instead:"),
    catches_one_kind: ("except", "Exception"),
}


@pytest.mark.parametrize("f", CASES, ids=lambda f: f.__name__)
def test_a_message_names_the_construct_and_ends_with_the_line(f):
    construct, remedy = CASES[f]
    with pytest.raises(nopython.DifferentiationError, match=f"(?s)({construct}).*{remedy}") as caught:
        nopython.grad(f, mode="tape")(np.array([1.0, 2.0]))
    text = traceback.format_exception(caught.value)
    lines = "".join(text).rstrip().splitlines()
    assert len(lines) <= 30
    assert any("test_messages.py:" in line for line in lines[-3:])


@pytest.mark.parametrize(
    "f", [Model().method, functools.partial(helper), Model], ids=["method", "partial", "class"]
)
def test_only_functions_are_differentiated(f):
    with pytest.raises(TypeError, match="expected a function"):
        nopython.grad(f)


def test_argnums_by_name():
    def f(w, b):
        return w * b * b

    assert nopython.grad(f, argnums="b")(3.0, 2.0) == 12.0
    assert nopython.grad(f, argnums=("b", 0))(3.0, 2.0) == (12.0, 4.0)
    for wrong in ("q", 2, -3, (0, "w"), 1.0, (), None):
        with pytest.raises((ValueError, TypeError), match=r"argnums|iterable"):
            nopython.grad(f, argnums=wrong)
