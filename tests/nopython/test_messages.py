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


def transforms(x):
    return np.abs(np.fft.fft(x)).sum()


def conjugates(x):
    return np.conj(x[0]) * x[1]


def becomes_complex(x):
    return np.abs(x.astype(np.complex128)).sum()


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


def counts_down(x):
    s = 0.0
    for i in reversed(range(2)):
        s = 0.9 * s + x[i]
    return s


def einsum(x):
    return np.einsum("i,i->", x, x)


def fills_a_list(x):
    z = [0.0] * 2
    z[0] = x[0]
    return z[0]


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
    transforms: (r"np\.fft", "tapejit.jit records"),
    conjugates: ("np.conjugate", "the number itself"),
    becomes_complex: ("complex", "real and the imaginary part"),
    opens_a_file: ("with", "instead:"),
    nested: ("with", "instead:"),
    ufunc: ("np.copysign", "rule"),
    generator: ("yield|generator|comprehension|closure", "instead:"),
    misspelt: ("no attribute 'sine'", "instead:"),
    counts_down: (r"reversed\(\)", "range"),
    einsum: ("np.einsum", "a loop"),
    fills_a_list: ("a list, or a dict, of plain numbers", "np.zeros"),
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
    assert str(caught.value).splitlines()[1].startswith("  instead:")  # whatever Numba has put around it


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


def test_an_argument_that_is_no_float_is_named():
    class Series:
        def to_numpy(self):
            return np.ones(2)

    class Tensor:
        __module__ = "torch"

        def numpy(self):
            return np.ones(2)

    g = nopython.grad(lambda x: x[0])
    for x, words in (
        (Series(), r"a Series.*x\.to_numpy\(\)"),
        (Tensor(), r"a torch Tensor.*x\.detach\(\)\.numpy\(\)"),
        ({"a": 1.0}, "a dict.*namedtuple"),
        (object(), "of type object.*float array"),
    ):
        with pytest.raises(nopython.DifferentiationError, match=f"(?s){words}"):
            g(x)


def test_a_decorator_takes_arguments():
    @nopython.value_and_grad(argnums="w", mode="dual")
    def f(x, w):
        return x * w * w

    assert f(3.0, 2.0) == (12.0, 12.0)


@pytest.mark.parametrize("z", [1 + 2j, np.array([1 + 2j, 0.5j])])
def test_complex_arguments(z):
    with pytest.raises(nopython.DifferentiationError, match=r"complex128.*\n.*real and its imaginary part"):
        nopython.grad(lambda z: (z * z).real)(z)


def test_complex_constants():
    """What no differentiated number meets is computed as everywhere."""

    def f(x):
        turn = 1j * 2.0
        return x[0] * abs(turn) + (turn * turn).real * x[1]

    value, gradient = nopython.value_and_grad(f)(np.array([3.0, 0.5]))
    assert value == 4.0
    assert gradient.tolist() == [2.0, -4.0]
