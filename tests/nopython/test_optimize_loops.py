"""Optimisers as compiled loops, called from Python and from jitted code."""

import numpy as np
import pytest
import scipy.optimize
from numba import njit

import tapejit as tj
from tapejit import nopython
from tapejit.optimize import many
from tests.pressing import Pressing

X = np.linspace(0, 4, 40)
Y = 2.5 * np.exp(-1.3 * X) + 0.5 + 0.05 * np.random.default_rng(1).normal(size=40)


def rosenbrock(x, scale):
    total = 0.0
    for i in range(len(x) - 1):
        total += scale * (x[i + 1] - x[i] ** 2) ** 2 + (1.0 - x[i]) ** 2
    return total


def residuals(p, x, y):
    return p[0] * np.exp(-p[1] * x) + p[2] - y


@pytest.fixture(scope="module", params=["bfgs", "lbfgs"])
def solve(request):
    return getattr(nopython.optimize, request.param)(rosenbrock, gtol=1e-7)


def test_the_minimum_is_found(solve):
    x, value, status, evaluations = solve(np.zeros(12), 100.0)
    assert status == 0
    assert np.allclose(x, 1, atol=1e-6)
    assert value < 1e-12
    assert evaluations < 200


def test_jitted_code_calls_it(solve):
    @njit
    def total(n):
        s = 0.0
        for k in range(n):
            x, _, _, _ = solve(np.zeros(4), 10.0 * (k + 1))
            s += x.sum()
        return s

    assert np.isclose(total(3), 12, atol=1e-5)


def test_what_is_not_finite_at_the_start_is_said(solve):
    assert solve(np.array([np.nan, 1.0]), 1.0)[2] == 3


def test_nelder_mead_needs_no_derivative():
    solve = nopython.optimize.nelder_mead(
        lambda x, c: np.abs(x[0] - c) + np.floor(np.abs(x[1])) + (x[1] - 0.5) ** 2
    )
    x, _, status, _ = solve(np.array([3.0, 2.2]), 1.0)
    assert status == 0
    assert np.allclose(x, [1, 0.5], atol=1e-4)


def test_levenberg_marquardt_is_curve_fit():
    solve = nopython.optimize.levenberg_marquardt(residuals)
    p, cov, cost, status, _ = solve(np.ones(3), X, Y)
    own = scipy.optimize.curve_fit(lambda x, a, b, c: a * np.exp(-b * x) + c, X, Y)
    assert status > 0
    assert np.allclose(p, own[0], rtol=1e-5)
    assert np.allclose(cov, own[1], rtol=1e-3)
    assert np.isclose(cost, 0.5 * (residuals(own[0], X, Y) ** 2).sum())


def squares(x, target, weight):
    return weight * (x[0] - target[0]) ** 2 + (x[1] - target[1]) ** 4


@pytest.mark.parametrize("threads", [1, 2])
def test_many_minima_at_once(threads):
    targets, weights = np.random.default_rng(3).normal(size=(20, 2)), np.linspace(1, 3, 20)
    targets[4, 0] = np.nan
    found = tj.optimize.minimize_many(squares, np.zeros(2), targets, weights, threads=threads)
    assert found.status[4] == 3
    assert found.success.sum() == 19
    good = found.success
    assert np.allclose(found.x[good, 0], targets[good, 0], atol=1e-5)
    assert np.allclose(found.x[good, 1], targets[good, 1], atol=2e-2)
    with pytest.raises(ValueError, match="row for"):
        tj.optimize.minimize_many(squares, np.zeros(2), targets, weights[:3])


def test_minima_stop_at_ctrl_c_and_show_a_bar(monkeypatch, capsys):
    targets, weights = np.random.default_rng(3).normal(size=(9000, 2)), np.linspace(1, 3, 9000)
    pytest.importorskip("tqdm")
    tj.optimize.minimize_many(squares, np.zeros(2), targets[:20], weights[:20], progress=True)
    assert "minimize_many" in capsys.readouterr().err
    monkeypatch.setattr(many, "bar", lambda *words: Pressing())
    found = tj.optimize.minimize_many(squares, np.zeros(2), targets, weights, progress=True)
    rest = found.status == many.WAITING
    assert rest.any()
    assert not rest.all()
    assert (found.x[rest] == 0).all()
    assert np.isnan(found.fun[rest]).all()
    assert (found.nfev[~rest] > 0).all()


def test_whole_numbers_tuples_and_parts_of_arrays_are_starts():
    def bowl(x, k):
        return ((x - k) ** 2).sum()

    solve = nopython.optimize.bfgs(bowl)
    for start in (np.array([0, 0]), (0, 0), np.zeros((2, 2))[:, 0]):
        np.testing.assert_allclose(solve(start, 2.0)[0], [2.0, 2.0], atol=1e-6)
    fit = nopython.optimize.levenberg_marquardt(lambda p, k: p - k)
    np.testing.assert_allclose(fit(np.array([0, 0]), 2.0)[0], [2.0, 2.0])
