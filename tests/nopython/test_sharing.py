"""Arguments that overlap in memory, and places for results that do not fit."""

import numpy as np
import pytest
from numba import njit

from tapejit import nopython


def shifts(a, b):
    s = 0.0
    for k in range(len(a)):
        a[k] = 2.0 * b[k]
    for k in range(len(a)):
        s += a[k] * b[k]
    return s


def reads(a, b):
    s = 0.0
    for k in range(len(a)):
        s += a[k] * b[k]
    return s


def writes_into_the_second(a, b):
    b[0] = 7.0
    return a[0] * a[1]


OVERLAP = nopython.value_and_grad(shifts, argnums=(0, 1))


def test_writing_into_arguments_that_share_memory_is_refused():
    memory = np.arange(1.0, 8.0)
    with pytest.raises(ValueError, match="share memory"):
        OVERLAP(memory[:6], memory[1:7])
    with pytest.raises(ValueError, match="share memory"):
        nopython.jacobian(lambda a, b: (shifts_jitted(a, b), 1.0))(memory[:6], memory[1:7])
    passive = nopython.grad(writes_into_the_second)
    memory = np.arange(1.0, 4.0)
    with pytest.raises(ValueError, match="share memory"):
        passive(memory, memory[1:])
    assert passive(np.array([1.0, 2.0]), memory).tolist() == [2.0, 1.0]


shifts_jitted = njit(shifts)


@pytest.mark.parametrize(
    "parts",
    [
        lambda m: (m[:6], m[6:12]),
        lambda m: (m[0:12:2], m[1:12:2]),
        lambda m: (m[::2][::-1][:6], m[1::2][:6]),
    ],
    ids=["apart", "interleaved", "backwards"],
)
def test_parts_of_one_memory_that_do_not_overlap(parts):
    a, b = parts(np.arange(1.0, 13.0))
    value, (da, db) = OVERLAP(a, b)
    assert value == 2.0 * np.sum(b * b)
    assert not da.any()
    assert db == pytest.approx(4.0 * b)


def test_the_same_array_may_be_read_twice():
    x = np.array([1.0, 2.0, 3.0])
    value, (da, db) = nopython.value_and_grad(reads, argnums=(0, 1))(x, x)
    assert value == 14.0
    assert da.tolist() == db.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("dtype", [np.int64, np.float32, np.complex128, ">f8"])
def test_a_result_is_never_cut_to_another_type(dtype):
    x = np.array([1.5, 2.5])
    out = np.zeros(2, dtype=dtype)
    # the byte order is refused by Numba itself
    with pytest.raises((nopython.DifferentiationError, TypeError), match=r"float64|dtype|type"):
        nopython.value_and_grad(lambda x: x[0] * x[1]).into(x, out)
    assert not out.any()


def test_places_for_results_are_checked():
    x = np.array([1.5, 2.5])
    g = nopython.value_and_grad(lambda x: x[0] * x[1]).into
    with pytest.raises(nopython.DifferentiationError, match="1 dimensions"):
        g(x, np.zeros((2, 1)))
    fixed = np.zeros(2)
    fixed.flags.writeable = False
    with pytest.raises(nopython.DifferentiationError, match="writable"):
        g(x, fixed)
    with pytest.raises(nopython.DifferentiationError, match="float64"):
        nopython.jacobian(lambda x: (x[0], x[1])).into(x, np.zeros((2, 2), dtype=np.int64))
    with pytest.raises(nopython.DifferentiationError, match="tuple of 2"):
        nopython.value_and_grad(lambda p: p[0] * p[1]).into((1.0, 2.0), np.zeros(2))
