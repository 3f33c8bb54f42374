"""Fitters of others with exact derivatives: lmfit and iminuit take them as the functions that tapejit makes."""

import numpy as np
import pytest

import tapejit as tj

X = np.linspace(0, 4, 50)
Y = 2.5 * np.exp(-1.3 * X) + 0.5 + 0.05 * np.random.default_rng(1).normal(size=50)
NAMES = ("a", "b", "c")


def residual(p, x, y):
    return p[0] * tj.exp(-p[1] * x) + p[2] - y


def chi2(p, x, y):
    return (residual(p, x, y) ** 2).sum() / 0.05**2


def test_lmfit_takes_the_jacobian():
    lmfit = pytest.importorskip("lmfit")
    value, slopes = tj.jit(residual), tj.jacobian(residual)
    asked = []

    def numbers(parameters):
        return np.array([parameters[n].value for n in NAMES])

    def jacobian(parameters, x, y):
        asked.append(parameters)
        return slopes(numbers(parameters), x, y)

    parameters = lmfit.create_params(a=1.0, b=1.0, c=0.0)
    exact = lmfit.Minimizer(lambda p, x, y: value(numbers(p), x, y), parameters, fcn_args=(X, Y)).leastsq(Dfun=jacobian)
    own = lmfit.minimize(lambda p, x, y: value(numbers(p), x, y), parameters, args=(X, Y))
    assert exact.success
    assert asked
    assert exact.nfev < own.nfev
    found, covariance = tj.optimize.curve_fit(lambda x, a, b, c: a * tj.exp(-b * x) + c, X, Y)
    assert np.allclose(numbers(exact.params), found, rtol=1e-5)
    assert np.allclose([exact.params[n].stderr for n in NAMES], np.sqrt(np.diag(covariance)), rtol=1e-3)


def test_lmfit_takes_the_gradient():
    lmfit = pytest.importorskip("lmfit")
    both = tj.value_and_grad(chi2)

    def numbers(parameters):
        return np.array([parameters[n].value for n in NAMES]) if not isinstance(parameters, np.ndarray) else parameters

    fit = lmfit.Minimizer(lambda p: both(numbers(p), X, Y)[0], lmfit.create_params(a=1.0, b=1.0, c=0.0))
    found = fit.scalar_minimize("BFGS", jac=lambda p: both(numbers(p), X, Y)[1])
    assert np.abs(both(numbers(found.params), X, Y)[1]).max() < 1e-2


def test_iminuit_takes_the_gradient():
    iminuit = pytest.importorskip("iminuit")
    both = tj.value_and_grad(chi2)
    calls = []

    def gradient(p):
        calls.append(p)
        return both(p, X, Y)[1]

    exact = iminuit.Minuit(lambda p: both(p, X, Y)[0], np.ones(3), grad=gradient, name=NAMES)
    exact.migrad()
    exact.hesse()
    own = iminuit.Minuit(lambda p: both(p, X, Y)[0], np.ones(3), name=NAMES)
    own.migrad()
    assert exact.valid
    assert calls
    assert exact.nfcn < own.nfcn
    assert np.allclose(list(exact.values), list(own.values), atol=1e-4)
    H = tj.hessian(chi2)(np.array(exact.values), X, Y)
    assert np.allclose(np.array(exact.covariance), 2 * np.linalg.inv(H), rtol=1e-2)
