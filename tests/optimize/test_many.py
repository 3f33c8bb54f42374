"""Many small fits at once: each is what curve_fit gives."""


import numpy as np
import pytest
import scipy.optimize
from numba import njit

import tapejit as tj
from tapejit.optimize import many as chunks
from tests.pressing import Pressing

X = np.linspace(0, 4, 20)
_rng = np.random.default_rng(1)
TRUE = np.stack([_rng.uniform(1, 3, 30), _rng.uniform(0.5, 2, 30), _rng.uniform(0, 1, 30)], 1)
Y = TRUE[:, :1] * np.exp(-TRUE[:, 1:2] * X) + TRUE[:, 2:] + 0.02 * _rng.normal(size=(30, 20))


def decay(x, a, b, c):
    return a * tj.exp(-b * x) + c


@njit
def decay_at(x, a, b, c):
    return a * np.exp(-b * x) + c


def by_scipy(k, **options):
    return scipy.optimize.curve_fit(lambda x, a, b, c: a * np.exp(-b * x) + c, X, Y[k], np.ones(3), **options)


@pytest.mark.parametrize("model", [decay, decay_at], ids=["tensors", "numba"])
@pytest.mark.parametrize("threads", [1, 2])
def test_each_fit_is_curve_fits(model, threads):
    fits = tj.optimize.fit_many(model, X, Y, np.ones(3), threads=threads)
    assert fits.success.all()
    for k in range(0, 30, 7):
        p, cov = by_scipy(k)
        assert np.allclose(fits.x[k], p, rtol=1e-6)
        assert np.allclose(fits.cov[k], cov, rtol=1e-4, atol=1e-9)


def test_standard_deviations_and_starts_for_each():
    sigma = 0.02 + 0.01 * _rng.uniform(size=Y.shape)
    fits = tj.optimize.fit_many(decay, np.tile(X, (30, 1)), Y, TRUE, x_axis=0, sigma=sigma, absolute_sigma=True)
    p, cov = by_scipy(4, sigma=sigma[4], absolute_sigma=True)
    assert np.allclose(fits.x[4], p, rtol=1e-6)
    assert np.allclose(fits.cov[4], cov, rtol=1e-4, atol=1e-9)


def test_bounds_hold_and_are_reached():
    fits = tj.optimize.fit_many(decay, X, Y, np.ones(3), bounds=([0, 0, 0.2], [2, 5, 5]))
    for k in range(0, 30, 5):
        p, _ = by_scipy(k, bounds=([0, 0, 0.2], [2, 5, 5]), ftol=1e-12, xtol=1e-12, gtol=1e-12)
        assert np.allclose(fits.x[k], p, atol=1e-5)
    assert (fits.x[:, 0] <= 2).all()


def test_nan_stops_only_its_own_problem():
    data = Y.copy()
    data[3, 4] = np.nan
    fits = tj.optimize.fit_many(decay, X, data, np.ones(3))
    assert fits.status[3] == -1
    assert fits.success.sum() == 29
    assert np.isnan(fits.cov[3]).all()
    assert "1 of 30: The model, its derivative or the data are not finite" in fits.message


def test_parameters_that_do_not_matter_have_no_covariance():
    fits = tj.optimize.fit_many(lambda x, a, b: a * x + 0 * b, X, np.outer([1.0, 2.0], X), [0.5, 0.5])
    assert np.allclose(fits.x[:, 0], [1, 2])
    assert np.isinf(fits.cov).all()


def test_masks_are_not_lost():
    with pytest.raises(TypeError, match="mask"):
        tj.optimize.fit_many(decay, X, np.ma.masked_array(Y, Y > 2), np.ones(3))
    with pytest.raises(TypeError, match="mask"):
        tj.optimize.curve_fit(decay, X, np.ma.masked_array(Y[0], Y[0] > 2))


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="data set in each row"):
        tj.optimize.fit_many(decay, X, Y[0], np.ones(3))
    with pytest.raises(ValueError, match="x_axis"):
        tj.optimize.fit_many(decay, X, Y, np.ones(3), x_axis=0)
    with pytest.raises(ValueError, match="sigma"):
        tj.optimize.fit_many(decay, X, Y, np.ones(3), sigma=np.ones(7))


def test_an_interrupted_run_has_what_was_done(monkeypatch):
    many = np.tile(Y, (200, 1))  # three chunks

    def interrupted(function, parts, count):
        function(0)
        assert parts == 3
        raise KeyboardInterrupt

    monkeypatch.setattr(chunks.team, "call", interrupted)
    fits = tj.optimize.fit_many(decay, X, many, np.ones(3))
    begun = np.flatnonzero(fits.status == chunks.WAITING)[0]
    assert fits.success[:begun].all()
    assert "Interrupted" in fits.message
    assert (fits.status[begun:] == chunks.WAITING).all()


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_leaves_the_rest_as_it_was(threads, monkeypatch):
    monkeypatch.setattr(chunks, "bar", lambda *words: Pressing())
    many = np.tile(Y, (3000, 1))
    fits = tj.optimize.fit_many(decay, X, many, np.ones(3), threads=threads, progress=True)
    rest = fits.status == chunks.WAITING
    assert rest.any()
    assert fits.success[~rest].all()
    assert (fits.x[rest] == 1).all()
    assert (fits.nfev[rest] == 0).all()
    assert np.isnan(fits.cov[rest]).all()
    assert np.isnan(fits.cost[rest]).all()
    assert "Interrupted before" in fits.message


def test_a_bar_counts_the_problems(capsys):
    pytest.importorskip("tqdm")
    tj.optimize.fit_many(decay, X, Y, np.ones(3), progress=True)
    assert "fit_many" in capsys.readouterr().err
    tj.optimize.fit_many(decay, X, Y, np.ones(3))
    assert capsys.readouterr().err == ""


def test_what_is_not_finite_has_a_status():
    data, starts, sigma, places = Y[:6].copy(), np.ones((6, 3)), np.full((6, 20), 0.02), np.tile(X, (6, 1))
    data[0, 3], starts[1, 2], sigma[2, 1], sigma[3, 1], places[4, 0] = np.inf, np.nan, np.nan, 0.0, np.nan
    fits = tj.optimize.fit_many(decay, places, data, starts, x_axis=0, sigma=sigma)
    assert fits.status[:5].tolist() == [-1] * 5
    assert fits.success[5]
    assert np.isnan(fits.cov[:5]).all()


@pytest.mark.parametrize("jitted", [False, True])
def test_a_derivative_that_is_not_finite_is_no_solution(jitted):
    def root(x, b):
        return x * b**0.5  # 0 * inf at x = 0 where b is 0

    x = np.linspace(-1, 1, 5)
    fits = tj.optimize.fit_many(njit(root) if jitted else root, x, np.stack([2 * x, 2 * x]), [[0.0], [1.0]])
    assert fits.status[0] < 0
    assert fits.success[1]
    np.testing.assert_allclose(fits.x[1], 4.0, rtol=1e-6)


def test_as_many_points_as_parameters_leave_no_covariance():
    fits = tj.optimize.fit_many(lambda x, a, b: a * x + b, X[:2], Y[:3, :2], [1.0, 1.0])
    assert fits.success.all()
    assert (fits.cov == np.inf).all()


def test_a_model_that_takes_another_path_is_said():
    with pytest.raises(RuntimeError, match="another path"):
        tj.optimize.fit_many(lambda x, a: a * x if a > 0 else 2 * a * x, X, np.outer([2.0, -3.0], X), [1.0])


def test_data_and_bounds_that_mean_nothing_are_refused():
    with pytest.raises(TypeError, match="complex"):
        tj.optimize.fit_many(decay, X, Y * 1j, np.ones(3))
    with pytest.raises(ValueError, match="lower"):
        tj.optimize.fit_many(decay, X, Y, np.ones(3), bounds=(2, 1))
    with pytest.raises(ValueError, match="the model gives shape"):
        tj.optimize.fit_many(decay, X[:7], Y, np.ones(3))
    with pytest.raises(ValueError, match="threads"):
        tj.optimize.fit_many(decay, X, Y, np.ones(3), threads=0)
