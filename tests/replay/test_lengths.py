"""Calls with other lengths: one program where loops go along them."""

import dataclasses
from typing import NamedTuple

import numpy as np
import pytest
from length_cases import (
    LENGTHS,
    NUMBERS,
    SERIES,
    P,
    along,
    by_closures,
    by_counter,
    by_fori_loop,
    by_parameters,
    by_states,
    compare,
    early_values,
    elements,
    enumerated,
    filtered,
    from_the_end,
    mean,
    name,
    paired,
    programs,
    rows,
    scanned,
    series,
    smoothed,
    two_arrays,
    with_reversed,
)
from random_lengths import Function

import tapejit as tj


@pytest.mark.parametrize("f", NUMBERS, ids=name)
def test_numbers(f):
    g = compare(f, lambda n: (P, n), [n for n in LENGTHS if n or f is not with_reversed])
    assert programs(g)
    assert g.calls["recorded"] <= 3 + 6 + 2  # the first, those under 8, and two to find out what an int is


@pytest.mark.parametrize("f", SERIES, ids=name)
def test_series(f):
    g = compare(f, lambda n: (P, series(n)))
    assert programs(g)
    assert g.calls["recorded"] <= 3 + 6


@pytest.mark.parametrize("f", [rows, elements, by_states, by_closures, filtered], ids=name)
def test_rows(f):
    g = compare(f, lambda n: (np.linspace(-1, 1, 6).reshape(3, 2), series(n, 2)))
    assert programs(g)
    assert g.calls["recorded"] <= 3 + 6


def test_parameters_in_a_dict():
    params = {"w": np.linspace(-1, 1, 6).reshape(3, 2), "a": 0.9}
    g, eager = tj.value_and_grad(by_parameters, compile="now"), tj.value_and_grad(by_parameters, compile="never")
    for n in (50, 60, 70, 20, 33, 2):
        (value, found), (same, expected) = g(params, series(n, 2)), eager(params, series(n, 2))
        np.testing.assert_allclose(value, same, rtol=1e-10)
        np.testing.assert_allclose(found["w"], expected["w"], rtol=1e-10)
        np.testing.assert_allclose(found["a"], expected["a"], rtol=1e-10)
    assert g.calls["recorded"] == 4


class Pair(NamedTuple):
    w: object
    a: object


@dataclasses.dataclass
class Parameters:
    w: object
    a: object


@pytest.mark.parametrize("kind", [Pair, Parameters])
def test_parameters_with_names(kind):
    def f(params, ys):
        h = tj.zeros(3)
        for y in ys:
            h = tj.tanh(params.w @ y + params.a * h)
        return h.sum()

    g, eager = tj.value_and_grad(f, compile="now"), tj.value_and_grad(f, compile="never")
    params = kind(np.linspace(-1, 1, 6).reshape(3, 2), 0.9)
    for n in (50, 60, 70, 20, 33, 2):
        (value, found), (same, expected) = g(params, series(n, 2)), eager(params, series(n, 2))
        np.testing.assert_allclose(value, same, rtol=1e-10)
        np.testing.assert_allclose(found.w, expected.w, rtol=1e-10)
        np.testing.assert_allclose(found.a, expected.a, rtol=1e-10)
    assert g.calls["recorded"] == 4


def test_two_arrays_of_one_length():
    w = np.linspace(-1, 1, 6).reshape(3, 2)
    g = compare(two_arrays, lambda n: (w, series(n, 2), series(n)))
    assert programs(g)
    before = g.calls["recorded"]
    eager = tj.value_and_grad(two_arrays, compile="never")
    for n, m in ((50, 49), (30, 31), (90, 30)):
        args = w, series(n, 2), series(m)
        np.testing.assert_allclose(g(*args)[1], eager(*args)[1], rtol=1e-10)
    assert g.calls["recorded"] == before + 3


@pytest.mark.parametrize("f", [by_counter, early_values, by_fori_loop], ids=name)
def test_second_derivatives_of_numbers(f):
    g = compare(f, lambda n: (P, n), (50, 60, 70, 40, 90, 1), tj.hessian)
    assert programs(g) or f is early_values


@pytest.mark.parametrize("f", [along, paired, scanned], ids=name)
def test_second_derivatives_of_series(f):
    compare(f, lambda n: (P, series(n)), (50, 60, 70, 40, 90, 1), tj.hessian)


def test_single_precision():
    def make(n):
        return P.astype(np.float32), series(n).astype(np.float32)

    g, eager = tj.value_and_grad(along, compile="now"), tj.value_and_grad(along, compile="never")
    for n in (50, 60, 70, 80, 33):
        np.testing.assert_allclose(g(*make(n))[1], eager(*make(n))[1], rtol=1e-3)
    assert programs(g)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.float32])
@pytest.mark.parametrize("f", [mean, from_the_end, enumerated, smoothed], ids=name)
def test_arrays_of_other_kinds(f, dtype):
    compare(f, lambda n: (P, (np.arange(n) * 5 % 7).astype(dtype)), (50, 61, 70, 25, 90, 9))


def test_in_the_background():
    g, eager = tj.value_and_grad(along), tj.value_and_grad(along, compile="never")
    for n in (50, 60, 70, 80, 33, 44, 55):
        np.testing.assert_allclose(g(P, series(n))[1], eager(P, series(n))[1], rtol=1e-10)
    assert g.wait(60)
    for n in range(90, 120):
        np.testing.assert_allclose(g(P, series(n))[1], eager(P, series(n))[1], rtol=1e-10)
    assert g.calls["recorded"] == 3
    assert g.compiled


def test_tensors_and_names():
    g, eager = tj.value_and_grad(along, compile="now"), tj.value_and_grad(along, compile="never")
    for n in (50, 60, 70, 80, 33):
        np.testing.assert_allclose(g(tj.tensor(P), ys=tj.tensor(series(n)))[1], eager(P, series(n))[1], rtol=1e-10)
    assert g.calls["recorded"] == 3


def test_a_method():
    class Model:
        def __init__(self):
            self.scale = 0.5

        def loss(self, p, ys):
            a = p[0]
            for y in ys:
                a = self.passed(a, p) + y * self.scale
            return a * p[2]

        def passed(self, a, p):
            return a * p[1]

    model = Model()
    g, eager = tj.value_and_grad(model.loss, compile="now"), tj.value_and_grad(model.loss, compile="never")
    for n in (50, 60, 70, 80, 33):
        np.testing.assert_allclose(g(P, series(n))[1], eager(P, series(n))[1], rtol=1e-10)
    assert g.calls["recorded"] == 3
    model.scale = 0.25
    for n in (50, 60, 70, 80, 33):
        np.testing.assert_allclose(g(P, series(n))[1], eager(P, series(n))[1], rtol=1e-10)


def test_what_the_function_reads_changes():
    scale = 0.5

    def f(p, ys):
        a = p[0]
        for y in ys:
            a = a * p[1] + y * scale
        return a * p[2]

    g, eager = tj.value_and_grad(f, compile="now"), tj.value_and_grad(f, compile="never")
    for scale in (0.5, 0.75, 0.25, 1.5):  # noqa: B007
        for n in (50, 60, 70, 80, 33):
            np.testing.assert_allclose(g(P, series(n))[1], eager(P, series(n))[1], rtol=1e-10)


def test_counts_among_the_results():
    def f(p, ys):
        a = p[0]
        for y in ys:
            a = a * p[1] + y
        return a, len(ys), 7

    g, eager = tj.jit(f, compile="now"), tj.jit(f, compile="never")
    for n in (50, 60, 70, 80, 33):
        found, expected = g(P, series(n)), eager(P, series(n))
        assert found[1:] == expected[1:]
        assert type(found[1]) is int
    assert g.calls["recorded"] == 3


def test_an_error_beyond_the_end_of_an_array():
    def f(p, n):
        a = p[0]
        for i in range(n):
            a = a * 0.9 + p[i]
        return a

    g = compare(f, lambda n: (np.linspace(0, 1, 100), n), (50, 60, 70, 100, 99, 20), tj.jit)
    assert programs(g)
    g = compare(f, lambda n: (np.linspace(0, 1, 100), n), (50, 60, 70, 100, 99, 20))
    with pytest.raises(IndexError):
        g(np.linspace(0, 1, 100), 101)


@pytest.mark.parametrize("how", [tj.jit, tj.value_and_grad])
def test_examples_that_take_different_paths(how):
    """The program of all lengths runs for one example after another, too; it is told the length."""

    def f(p, ys):
        a = p[0]
        for y in ys:
            a = a * p[1] + y
        return a * p[2] if a > 0 else a * a

    ps = np.stack([P * k for k in (-1.0, -0.3, 0.2, 1.0)])
    mapped, eager = tj.vmap(how(f, compile="now")), how(f, compile="never")
    for n in (50, 60, 73, 20, 1100, 9, 3):
        ys = np.sin(np.arange(4.0 * n)).reshape(4, n)
        found, expected = mapped(ps, ys), [eager(*args) for args in zip(ps, ys, strict=True)]
        for a, b in zip(found, zip(*expected, strict=True), strict=True) if how is tj.value_and_grad else [(found, expected)]:
            np.testing.assert_allclose(a, b, rtol=1e-10)


def test_examples_of_a_number():
    def f(p, n):
        a = p[0]
        for _ in range(n):
            a = a * p[1] + p[2]
        return a * p[2] if a > 0.5 else a * a

    ps = np.stack([P * k for k in (-1.0, -0.3, 0.2, 1.0)])
    mapped, eager = tj.vmap(tj.jit(f, compile="now"), in_axes=(0, None)), tj.jit(f, compile="never")
    for n in (50, 60, 73, 20, 1100, 9, 3):
        np.testing.assert_allclose(mapped(ps, n), [eager(p, n) for p in ps], rtol=1e-10)


def test_nopython_of_all_lengths():
    g, eager = (tj.value_and_grad(along, compile=policy) for policy in ("now", "never"))
    for n in (50, 60, 73, 80):
        g(P, series(n))
    native, into = g.nopython, g.nopython_into
    for n in (80, 33, 9, 900):
        value, gradient = eager(P, series(n))
        out = np.zeros(3)
        np.testing.assert_allclose(native(P, series(n))[0], value, rtol=1e-10)
        np.testing.assert_allclose(native(P, series(n))[1], gradient, rtol=1e-10)
        assert into(P, series(n), out)[0] == native(P, series(n))[0]
        np.testing.assert_allclose(out, gradient, rtol=1e-10)
    for n in (3, 1500):  # too short for the program, and longer than there is memory for
        with pytest.raises(RuntimeError, match="call the function from Python first"):
            native(P, series(n))
    g(P, series(1500))
    np.testing.assert_allclose(native(P, series(1500))[1], eager(P, series(1500))[1], rtol=1e-10)
    with pytest.raises(ValueError, match="recorded for contiguous"):
        native(P, series(160)[::2])


def test_nopython_of_two_arrays_as_long():
    g = tj.jit(two_arrays, compile="now")
    w = np.linspace(-1, 1, 6).reshape(3, 2)
    for n in (50, 60, 73, 80):
        g(w, series(n, 2), series(n))
    native = g.nopython
    np.testing.assert_allclose(native(w, series(33, 2), series(33)), two_arrays(w, series(33, 2), series(33)), rtol=1e-10)
    for n, m in ((33, 34), (80, 50)):
        with pytest.raises(ValueError, match="recorded for contiguous"):
            native(w, series(n, 2), series(m))


def agrees(seed, lengths=(50, 57, 62, 75, 64, 66, 13, 8, 120, 3)):
    """Whether a random function became a program for all lengths; all results are those of eager execution."""
    f = Function(seed).function
    g, eager = tj.value_and_grad(f, compile="now"), tj.value_and_grad(f, compile="never")
    for n in lengths:
        args = np.array([0.3, 0.6, 0.25]), series(n), series(n, 2), n
        for a, b in zip(g(*args), eager(*args), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10, err_msg=f"seed {seed}, length {n}")
    return bool(programs(g))


@pytest.mark.parametrize("seed", range(12))
def test_random_functions(seed):
    agrees(seed)


if __name__ == "__main__":  # python tests/replay/test_lengths.py FIRST COUNT
    import sys

    first, count = map(int, sys.argv[1:])
    print(sum(map(agrees, range(first, first + count))), "of", count, "functions are one program for all lengths")
