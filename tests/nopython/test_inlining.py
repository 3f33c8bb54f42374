"""Helper functions that loops call: written out or not, values and derivatives are those of the plain function."""

import math

import numpy as np
import pytest
from finite_differences import differences
from numba import njit

from tapejit import nopython
from tapejit.nopython import inlining

SIZE = 40
POINT = np.cos(np.arange(SIZE) * 1.3) + 1.2
WRITTEN_OUT, CALLED = {}, {}


def written_out(f):
    WRITTEN_OUT[f.__name__] = f
    return f


def called(f):
    CALLED[f.__name__] = f
    return f


@njit
def flux(a, b):
    return 0.3 * (a - b) * (1.0 + a * b)


@njit
def reassigns(a, b):
    r = a * b
    a = r + b
    r = a - r * b
    return r * a


@njit
def two(dx, dy):
    w = 1.0 / (dx * dx + dy * dy + 0.5)
    return w * dx, w * dy


@njit
def pair(dx, dy):
    both = (math.sin(dx), dy)
    dy = dx
    return both


@njit
def calls_others(a, b):
    fx, fy = two(a, b)
    return flux(fx, b) + flux(a, fy)


@njit
def reads(x, i):
    return x[i] * x[-1]


@njit
def point_of(p, k):
    return p[0] * k + p[1]


@njit
def has_branch(a, b):
    if a > b:
        return a * b
    return a + b


@njit
def has_default(a, b=2.0):
    return a * b


@njit
def takes_all(*args):
    return args[0] * args[1]


@njit
def writes(out, i, v):
    out[i] = v * v


@njit
def recursive(a, n):
    return a if n == 0 else a * recursive(a, n - 1)


@njit(error_model="numpy")
def divides_as_numpy(a, b):
    return a / b


@written_out
def one_number(x):
    v = x.copy()
    for _ in range(3):
        for i in range(1, SIZE - 1):
            v[i] = x[i] + flux(x[i + 1], x[i]) - flux(x[i], x[i - 1])
        x, v = v, x
    return np.sum(x * x)


@written_out
def names_assigned_again(x):
    a = 0.0
    r = 1.0
    for i in range(SIZE - 1):
        r = reassigns(x[i], x[i + 1])
        a += r
    return a * r


@written_out
def tuples(x):
    s, t = 0.0, 0.0
    for i in range(SIZE):
        for j in range(i + 1, SIZE):
            fx, fy = two(x[i] - x[j], x[j])
            s += fx
            t += fx * fy
    return s + t


@written_out
def tuples_that_are_kept(x):
    s = 0.0
    p = pair(x[0], x[1])
    for i in range(SIZE - 1):
        a, b = p
        p = pair(x[i], x[i + 1])
        q, r = p
        s += p[0] * q + r * a + b
    return s


@written_out
def exchanged(x):
    a, b = x[0], x[1]
    for i in range(SIZE):
        b, a = two(a, b)
        b += 0.1 * x[i]
    return a + b


@written_out
def helpers_of_helpers(x):
    s = 0.0
    for i in range(SIZE - 1):
        s += calls_others(x[i], x[i + 1]) * calls_others(x[i + 1], 0.3)
    return s


@written_out
def arrays_as_arguments(x):
    s = 0.0
    for i in range(SIZE):
        s += reads(x, i) + point_of((x[i], 2), i)
    return s


@written_out
def branches(x):
    s = 0.0
    for i in range(SIZE - 1):
        s += has_branch(x[i], x[i + 1])
    return s


@called
def defaults_and_names(x):
    s = 0.0
    for i in range(SIZE - 1):
        s += has_default(x[i]) * flux(a=x[i], b=x[i + 1]) + takes_all(x[i], x[i + 1])
    return s


@called
def written_arguments(x):
    out = np.zeros(SIZE)
    for i in range(SIZE):
        writes(out, i, x[i])
    return np.sum(out)


@called
def calls_itself(x):
    s = 0.0
    for i in range(SIZE):
        s += recursive(x[i], 3)
    return s


@called
def other_options(x):
    s = 0.0
    for i in range(SIZE):
        s += divides_as_numpy(x[i], x[0])
    return s


@called
def outside_of_loops(x):
    return flux(x[0], x[1]) + np.sum(x)


@pytest.fixture
def calls(monkeypatch):
    """How many calls were written out."""
    found = []
    copies = inlining._Inlining._copies

    def noted(self, block, inst, helper, *rest):
        found.append(helper.py_func.__name__)
        return copies(self, block, inst, helper, *rest)

    monkeypatch.setattr(inlining._Inlining, "_copies", noted)
    return found


@pytest.mark.parametrize("name", WRITTEN_OUT | CALLED)
def test_helpers(name, calls):
    plain = njit((WRITTEN_OUT | CALLED)[name])
    value, gradient = nopython.value_and_grad(plain)(POINT.copy())
    assert value == pytest.approx(plain(POINT.copy()), rel=1e-14)
    np.testing.assert_allclose(gradient, differences(plain, POINT), rtol=1e-6, atol=1e-6)
    assert bool(calls) == (name in WRITTEN_OUT)


@pytest.mark.parametrize("name", WRITTEN_OUT)
def test_second_derivatives(name):
    gradient = nopython.grad(njit(WRITTEN_OUT[name]))
    product = nopython.grad(njit(lambda x, v: np.sum(gradient(x) * v)))
    v = np.sin(np.arange(SIZE))
    steps = [gradient(POINT + h * v) for h in (1e-5, -1e-5)]
    np.testing.assert_allclose(product(POINT.copy(), v), (steps[0] - steps[1]) / 2e-5, rtol=1e-5, atol=1e-5)


@njit
def has_a_rule(a, b):
    return a * b


@nopython.rule(has_a_rule)
def partials(a, b):
    return 10.0 * b, 100.0 * a


@nopython.checkpoint
@njit
def runs_again(a, b):
    return a * b


def with_a_rule(x):
    s = 0.0
    for i in range(SIZE):
        s += has_a_rule(x[i], 2.0) + runs_again(x[i], 3.0)
    return s


def test_what_has_a_rule_or_a_checkpoint_is_called(calls):
    np.testing.assert_allclose(nopython.grad(njit(with_a_rule))(POINT.copy()), 23.0)
    assert not calls


def divides(x):
    s = 0.0
    for i in range(SIZE):
        s += divided(x[i], x[0] - 1.0)
    return s


@njit
def divided(a, b):
    return a / b


def test_a_division_by_zero_raises_as_in_the_helper():
    with pytest.raises(ZeroDivisionError):
        nopython.grad(njit(divides))(np.ones(SIZE))


@njit
def of_kind(a, kind):
    if kind == 0:
        return a
    if kind == 1:
        return a * a
    return 1.0 / a


@njit
def of_an_option(a, b=None):
    if b is None:
        return a * a
    return a * b


def kinds(x, kind):
    s = 0.0
    for i in range(x.size):
        s += of_kind(x[i], 1) * of_kind(x[i], kind) + of_an_option(x[i], None) + of_an_option(x[i], x[0])
    return s


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_branches_by_constants_and_types(kind):
    gradient = nopython.grad(njit(kinds))(POINT, kind)
    expected = differences(lambda x: njit_kinds(x, kind), POINT)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-6)


njit_kinds = njit(kinds)
