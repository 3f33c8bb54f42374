"""Replayed functions inside jitted code: exact types, and arrays for the results wherever they lie."""

import numpy as np
import pytest
from numba import njit
from numba.core.errors import TypingError

import tapejit as tj


def ready(function, *args):
    g = tj.value_and_grad(function, compile="now")
    g(*args), g(*args)
    return g


def squares(x):
    return (x * x).sum()


BAD = {
    "integers": np.arange(4),
    "single precision": np.ones(4, np.float32),
    "bools": np.ones(4, bool),
    "complex": np.ones(4, complex),
    "two dimensions": np.ones((2, 2)),
    "no dimensions": np.array(1.0),
    "a float": 1.0,
    "an integer": 1,
    "a list": [1.0, 2.0, 3.0, 4.0],
    "a tuple": (1.0, 2.0, 3.0, 4.0),
    "other byte order": np.ones(4, np.dtype("f8").newbyteorder()),
    "nothing": None,
}


@pytest.fixture(scope="module")
def functions():
    g = ready(squares, np.ones(4))
    return g.nopython, g.nopython_into


@pytest.mark.filterwarnings("ignore::numba.core.errors.NumbaPendingDeprecationWarning")
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_other_types_are_refused(functions, bad):
    fresh, into = functions
    native = not (isinstance(bad, np.ndarray) and not bad.dtype.isnative)
    match = r"squares: argument . must be an? .*array of float64 of shape \(4,\)" if native else "(?i)type"
    for call in (lambda: fresh(bad), lambda: into(bad, np.empty(4)), lambda: into(np.ones(4), bad)):
        with pytest.raises((TypingError, TypeError, ValueError), match=match):
            call()


def test_an_integer_for_a_float_is_refused():
    inner = ready(lambda a: a * a * a, 2.0).nopython
    assert inner(2.0) == (8.0, 12.0)
    assert inner(np.float64(2.0)) == (8.0, 12.0)
    for bad in (2, True, np.float32(2), 2j, np.array(2.0)):
        with pytest.raises(TypingError, match="must be a float64"):
            inner(bad)

    @njit
    def outer():
        return inner(2)

    with pytest.raises(TypingError, match="must be a float64"):
        outer()


@pytest.mark.parametrize(
    "bad", [np.ones(8)[::2], np.ones(5), np.ones(33, np.uint8)[1:].view("f8")], ids=["strided", "longer", "unaligned"]
)
def test_other_arrays_are_refused(functions, bad):
    fresh, into = functions
    for call in (lambda: fresh(bad), lambda: into(bad, np.empty(4)), lambda: into(np.ones(4), bad)):
        with pytest.raises(ValueError, match="recorded for"):
            call()


def test_read_only_arrays_are_read_and_not_written(functions):
    fresh, into = functions
    fixed = np.arange(4.0)
    fixed.setflags(write=False)
    assert fresh(fixed)[0] == 14.0
    assert into(fixed, np.empty(4))[0] == 14.0
    with pytest.raises(TypingError, match="writable"):
        into(np.ones(4), fixed)
    np.testing.assert_array_equal(fixed, np.arange(4.0))


@pytest.mark.parametrize("shift", range(-4, 5))
def test_results_that_overlap_the_input(functions, shift):
    memory = np.arange(12.0)
    value, gradient = functions[1](memory[4:8], memory[4 + shift : 8 + shift])
    assert value == sum(k * k for k in range(4, 8))
    np.testing.assert_array_equal(gradient, [8.0, 10.0, 12.0, 14.0])


def test_results_that_overlap_one_another_and_what_is_captured():
    weights = np.array([1.0, 2.0, 3.0])
    g = tj.value_and_grad(lambda x, y: (x * y * weights).sum() + (x * weights).flip(0).sum(), argnums=(0, 1), compile="now")
    x, y = np.arange(3.0), np.array([5.0, 7.0, 9.0])
    expected = g(x, y)
    g(x, y)
    into = g.nopython_into
    value, (dx, dy) = into(x, y, np.empty(3), np.empty(3))
    assert value == expected[0]
    np.testing.assert_array_equal((dx, dy), expected[1])
    memory = np.empty(5)
    into(x, y, memory[:3], memory[2:])  # the last one wins, as in two assignments
    np.testing.assert_array_equal(memory, [*expected[1][0][:2], *expected[1][1]])
    value, (dx, _) = into(x, y, weights, np.empty(3))
    assert value == expected[0]
    np.testing.assert_array_equal(weights, expected[1][0])


def test_single_precision():
    x = np.arange(4, dtype=np.float32)
    g = ready(squares, x)
    value, gradient = g.nopython(x)
    assert value == 14.0
    assert gradient.dtype == np.float32
    out = np.empty(4, np.float32)
    value, gradient = g.nopython_into(x, out)
    assert value == 14.0
    np.testing.assert_array_equal(out, 2 * x)
    with pytest.raises(TypingError, match="float32"):
        g.nopython_into(x, np.empty(4))
    for _ in range(3):
        value, gradient = g.into(x, out)
        assert value == 14.0
        assert gradient is out
