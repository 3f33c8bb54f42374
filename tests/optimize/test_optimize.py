"""SciPy's optimisers with exact derivatives: the same answers as SciPy's own, trees of parameters, clear ends."""

import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
from numba import njit

import tapejit as tj
from tapejit.optimize.objective import Functions

optimize = tj.optimize


def rosenbrock(x):
    return ((1 - x[:-1]) ** 2 + 100 * (x[1:] - x[:-1] ** 2) ** 2).sum()


@njit
def rosenbrock_loop(x):
    total = 0.0
    for i in range(len(x) - 1):
        total += 100.0 * (x[i + 1] - x[i] ** 2) ** 2 + (1.0 - x[i]) ** 2
    return total


METHODS = """CG BFGS Newton-CG L-BFGS-B TNC SLSQP dogleg trust-constr trust-ncg trust-exact trust-krylov Nelder-Mead
    Powell""".split()


@pytest.mark.parametrize("method", [None, *METHODS])
def test_every_method_finds_the_minimum(method):
    result = optimize.minimize(rosenbrock, np.full(3, 1.1), method=method)
    assert result.success
    assert result.fun < 1e-4


@pytest.mark.parametrize("method", ["BFGS", "Newton-CG", "trust-exact"])
def test_functions_of_numba(method):
    assert np.allclose(optimize.minimize(rosenbrock_loop, np.zeros(3), method=method).x, 1, atol=1e-3)


def test_the_derivatives_are_exact():
    seen = []
    original = scipy.optimize.minimize

    def spy(fun, x0, args, method, **options):
        seen.append((fun(x0, *args), options["hessp"](x0, np.array([1.0, 2.0]), *args)))
        return original(fun, x0, args, method, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scipy.optimize, "minimize", spy)
        optimize.minimize(lambda x, a: (a * x**3).sum(), [1.0, 2.0], (2.0,), "Newton-CG", options={"maxiter": 1})
    (value, gradient), product = seen[0]
    assert value == 18
    assert gradient.tolist() == [6, 24]
    assert product.tolist() == [12, 48]


def test_a_tree_of_parameters_comes_back_as_it_was():
    def loss(p):
        return ((p["a"] - np.array([[1.0, 2.0]])) ** 2).sum() + (p["b"] - 3) ** 2

    seen = []
    start = {"a": np.zeros((1, 2)), "b": 0.0}
    result = optimize.minimize(loss, start, bounds={"a": (0, 1.5), "b": None}, callback=seen.append)
    assert np.allclose(result.x["a"], [[1, 1.5]])
    assert np.isclose(result.x["b"], 3)
    assert seen[-1]["a"].shape == (1, 2)


def test_constraints_have_exact_jacobians():
    def loss(x):
        return (x[0] - 1) ** 2 + (x[1] - 2.5) ** 2

    rows = [lambda x: x[0] - 2 * x[1] + 2, lambda x: -x[0] - 2 * x[1] + 6, lambda x: -x[0] + 2 * x[1] + 2]
    result = optimize.minimize(
        loss, (2, 0), constraints=[{"type": "ineq", "fun": row} for row in rows], bounds=((0, None), (0, None))
    )
    assert np.allclose(result.x, [1.4, 1.7])
    disc = optimize.NonlinearConstraint(lambda x: (x * x).sum(), -np.inf, 1.5)
    on_disc = optimize.minimize(rosenbrock, np.zeros(2), method="trust-constr", constraints=disc)
    own = scipy.optimize.minimize(
        lambda x: float(rosenbrock(x)), np.zeros(2), method="trust-constr",
        constraints=scipy.optimize.NonlinearConstraint(lambda x: x @ x, -np.inf, 1.5),
    )  # fmt: skip
    assert np.allclose(on_disc.x, own.x, atol=1e-3)


def test_ctrl_c_gives_the_best_point_so_far():
    calls = []

    def stop(x):
        calls.append(x)
        if len(calls) == 3:
            raise KeyboardInterrupt

    result = optimize.minimize(rosenbrock, np.zeros(5), callback=stop)
    assert not result.success
    assert "interrupted" in result.message
    assert np.isclose(result.fun, rosenbrock(result.x), rtol=1e-12)
    assert result.fun < rosenbrock(np.zeros(5))


def test_an_interrupted_root_has_the_best_point_so_far(monkeypatch):
    made, points = Functions.vector, []

    def interrupted(self):
        found = made(self)

        def value(x):
            points.append(np.array(x))
            if len(points) == 5:
                raise KeyboardInterrupt
            return found(x)

        return value

    def circle(x):
        return tj.stack([x[0] ** 2 + x[1] ** 2 - 4.0, tj.exp(x[0]) + x[1] - 1.0])

    monkeypatch.setattr(Functions, "vector", interrupted)
    result = optimize.root(circle, np.array([1.0, -1.7]))
    assert not result.success
    assert "interrupted" in result.message
    assert any(np.array_equal(result.x, p) for p in points[:4])
    assert np.allclose(result.fun, circle(tj.tensor(result.x)).numpy())


def test_a_point_is_evaluated_once(monkeypatch):
    points, made = [], Functions.value_and_grad

    def counted(self):
        found = made(self)
        return lambda x: points.append(x) or found(x)

    monkeypatch.setattr(Functions, "value_and_grad", counted)
    evaluations = optimize.minimize(rosenbrock, np.zeros(5)).nfev
    assert evaluations == len(points)


def test_what_is_not_finite_is_said():
    with pytest.raises(ValueError, match="nan at the start"):
        optimize.minimize(lambda x: (x * np.nan).sum(), [1.0])
    with pytest.raises(ValueError, match="gradient"):
        optimize.minimize(lambda x: tj.sqrt(x).sum(), [0.0])
    with pytest.raises(ValueError, match="nan or inf"):
        optimize.minimize(rosenbrock, [np.nan, 1.0])
    with pytest.raises(TypeError, match="without numbers"):
        optimize.minimize(rosenbrock, "start")
    with pytest.raises(TypeError, match="scalar"):
        optimize.minimize(lambda x: x * 2, [1.0, 2.0])
    unbounded = optimize.minimize(lambda x: -tj.exp(x).sum(), [1.0])
    assert not unbounded.success


X = np.linspace(0, 4, 50)
Y = 2.5 * np.exp(-1.3 * X) + 0.5 + 0.05 * np.random.default_rng(1).normal(size=50)


def decay(x, a, b, c):
    return a * tj.exp(-b * x) + c


def decay_of_numpy(x, a, b, c):
    return a * np.exp(-b * x) + c


@pytest.mark.parametrize("bounds", [(-np.inf, np.inf), (0, [3, 1.2, 1])])
@pytest.mark.parametrize("absolute", [True, False])
def test_curve_fit_is_scipys(bounds, absolute):
    sigma = 0.05 + 0.01 * X
    ours = optimize.curve_fit(decay, X, Y, sigma=sigma, absolute_sigma=absolute, bounds=bounds)
    own = scipy.optimize.curve_fit(decay_of_numpy, X, Y, sigma=sigma, absolute_sigma=absolute, bounds=bounds)
    assert np.allclose(ours[0], own[0], rtol=1e-5)
    assert np.allclose(ours[1], own[1], rtol=1e-3, atol=1e-9)


def test_a_second_fit_compiles_nothing():
    optimize.curve_fit(decay, X, Y)
    store = decay.__dict__["_tapejit_optimize"]
    made = store, store["model"].__dict__["_tapejit_optimize"]
    before = [dict(m) for m in made]
    optimize.curve_fit(decay, X, Y[::-1].copy(), p0=[1, -0.5, 1])
    assert before == list(made)


SIGMA = 0.05 + 0.01 * X
FORMS = {
    "plain": {},
    "a covariance of the data": dict(sigma=np.diag(SIGMA**2) + 1e-3),
    "options": dict(ftol=1e-4, factor=10.0, diag=[1, 1, 2]),
    "unchecked": dict(check_finite=False, bounds=(-np.inf, np.inf)),
    "another method": dict(method="dogbox", x_scale=[1, 2, 1]),
    "nan left out": dict(nan_policy="omit"),
}


@pytest.mark.parametrize("form", FORMS)
def test_curve_fit_in_each_form_is_scipys(form):
    seen = Y.copy()
    if form == "nan left out":
        seen[3] = np.nan
    options = dict(p0=[1.0, 1.0, 1.0], full_output=True, **FORMS[form])

    def slopes(x, a, b, c):
        return np.stack([np.exp(-b * x), -a * x * np.exp(-b * x), np.ones_like(x)], 1)

    ours = optimize.curve_fit(decay, X.tolist(), seen, **options)
    own = scipy.optimize.curve_fit(decay_of_numpy, X, seen, jac=slopes, **options)
    assert np.allclose(ours[0], own[0], rtol=1e-9)
    assert np.allclose(ours[1], own[1], rtol=1e-6)
    assert ours[2].keys() == own[2].keys()
    assert ours[2]["nfev"] == own[2]["nfev"]
    assert ours[3:] == own[3:]


def test_one_deviation_for_all_data():
    options = dict(sigma=0.3, absolute_sigma=True)
    ours = optimize.curve_fit(decay, X, Y, **options)
    own = scipy.optimize.curve_fit(decay_of_numpy, X, Y, **options)  # which fails with it and a Jacobian (1.17)
    assert np.allclose(ours[1], own[1], rtol=1e-4)


BAD = {
    "nan": (dict(ydata=np.where(X[3] == X, np.nan, Y)), ValueError),
    "no data": (dict(xdata=[], ydata=[]), ValueError),
    "more parameters than data": (dict(xdata=X[:2], ydata=Y[:2]), TypeError),
    "too few evaluations": (dict(maxfev=2), RuntimeError),
    "an unknown option": (dict(tolerance=1), TypeError),
    "sigma of another shape": (dict(sigma=np.ones(3)), ValueError),
    "lm with bounds": (dict(method="lm", bounds=(0, 5)), ValueError),
}


@pytest.mark.parametrize("what", BAD)
def test_curve_fit_refuses_what_scipy_refuses(what):
    given, error = BAD[what]
    given = {"xdata": X, "ydata": Y, "p0": [1.0, 1.0, 1.0]} | given
    with pytest.raises(error):
        scipy.optimize.curve_fit(decay_of_numpy, **given)
    with pytest.raises(error):
        optimize.curve_fit(decay, **given)


def test_a_covariance_that_cannot_be_estimated_is_infinite():
    with pytest.warns(optimize.OptimizeWarning, match="Covariance") as caught:
        _, cov = optimize.curve_fit(decay, X[[0, 20, 49]], Y[[0, 20, 49]])
    assert np.isinf(cov).all()
    assert caught[0].filename == __file__
    with pytest.warns(optimize.OptimizeWarning, match="Covariance"):
        p, cov = optimize.curve_fit(lambda x, a, b: 0.0 * b * x + a, X, Y)
    assert np.isclose(p[0], Y.mean())
    assert np.isinf(cov).all()


@pytest.mark.parametrize("bounds", [(-np.inf, np.inf), (0, 9)])
def test_an_interrupted_curve_fit_has_the_best_point_so_far(bounds, monkeypatch):
    made = Functions.vector

    def interrupted(self):
        found, calls = made(self), []

        def value(*args):
            calls.append(1)
            if len(calls) == 6:
                raise KeyboardInterrupt
            return found(*args)

        return value

    monkeypatch.setattr(Functions, "vector", interrupted)
    with pytest.warns(optimize.OptimizeWarning, match="interrupted"):
        p, cov = optimize.curve_fit(lambda x, a, b, c: decay(x, a, b, c), X, Y, p0=[3.0, 2.0, 0.0], bounds=bounds)
    assert np.square(decay_of_numpy(X, *p) - Y).sum() < np.square(decay_of_numpy(X, 3.0, 2.0, 0.0) - Y).sum()
    assert np.isinf(cov).all()


def test_curve_fit_says_what_is_missing():
    with pytest.raises(ValueError, match="p0"):
        optimize.curve_fit(lambda x, *p: x, X, Y)


def test_least_squares_of_a_tree_with_a_loss():
    def residuals(p, x, y):
        return p["a"] * tj.exp(-p["b"] * x) + p["c"] - y

    start = {"a": 1.0, "b": 1.0, "c": 1.0}
    ours = optimize.least_squares(residuals, start, args=(X, Y), loss="soft_l1", bounds={"a": (0, 9), "b": None, "c": None})
    own = scipy.optimize.least_squares(
        lambda p: p[0] * np.exp(-p[1] * X) + p[2] - Y, np.ones(3), loss="soft_l1", bounds=([0, -9, -9], [9, 9, 9])
    )
    assert np.allclose([ours.x[k] for k in "abc"], own.x, atol=1e-6)
    assert ours.jac.shape == (50, 3)


def test_roots():
    result = optimize.root(lambda x: [x[0] * tj.cos(x[1]) - 4, x[0] * x[1] - x[1] - 5], [1.0, 1.0])
    assert result.success
    assert np.allclose(result.x, [6.50409711, 0.90841421])
    assert np.isclose(optimize.root_scalar(lambda x, a: x**3 - a, (8.0,), x0=1.5).root, 2)
    assert np.isclose(optimize.root_scalar(lambda x: tj.cos(x) - x, x0=0.5, method="halley").root, 0.7390851332151607)
    assert np.isclose(optimize.root_scalar(lambda x: tj.cos(x) - x, bracket=(0, 1)).root, 0.7390851332151607)
    assert np.isclose(optimize.root_scalar(njit(lambda x: x * x - 2.0), x0=1.0, method="halley").root, np.sqrt(2))
    assert np.isclose(optimize.minimize_scalar(lambda x: (x - 2) ** 2 + 1, bounds=(0, 9), method="bounded").x, 2)


def test_a_stiff_equation_gets_the_exact_jacobian():
    def van_der_pol(t, y, mu):
        return [y[1], mu * (1 - y[0] ** 2) * y[1] - y[0]]

    slopes = []
    original = scipy.integrate.solve_ivp

    def spy(*args, **options):
        slopes.append(options["jac"](0.0, np.array([2.0, 3.0])))
        return original(*args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scipy.integrate, "solve_ivp", spy)
        ours = optimize.solve_ivp(van_der_pol, (0, 100), [2.0, 0.0], method="Radau", args=(50.0,), rtol=1e-6)
    own = original(van_der_pol, (0, 100), [2.0, 0.0], method="Radau", args=(50.0,), rtol=1e-6)
    assert slopes[0].tolist() == [[0, 1], [-601, -150]]
    assert ours.success
    assert np.allclose(ours.y[:, -1], own.y[:, -1], rtol=1e-3)


def test_events_end_an_integration():
    def down(t, y, g):
        return y[0]

    down.terminal, down.direction = True, -1
    result = optimize.solve_ivp(lambda t, y, g: [y[1], -g], (0, 100), [10.0, 0.0], events=down, args=(9.81,))
    assert np.isclose(result.t[-1], np.sqrt(20 / 9.81))


def test_boundary_value_problems():
    bratu = optimize.solve_bvp(
        lambda x, y: [y[1], -tj.exp(y[0])], lambda ya, yb: [ya[0], yb[0]], np.linspace(0, 1, 5), np.zeros((2, 5))
    )
    assert bratu.success
    assert np.isclose(bratu.sol(0.5)[0], 0.1405392, atol=1e-5)
    wave = optimize.solve_bvp(
        lambda x, y, p: [y[1], -(p[0] ** 2) * y[0]], lambda ya, yb, p: [ya[0], yb[0], ya[1] - p[0]],
        np.linspace(0, 1, 5), np.array([[0, 1, 0, -1, 0.0], [0, 0, 0, 0, 0]]), p=[6.0],
    )  # fmt: skip
    assert np.isclose(wave.p[0], 2 * np.pi, atol=1e-3)


def test_bounds_of_a_tree_may_be_two_trees():
    data = 2.0 * np.exp(-0.7 * X)
    start = {"a": 1.0, "b": np.ones(1)}
    fit = tj.optimize.least_squares(
        lambda p: p["a"] * tj.exp(-p["b"] * X) - data, start, bounds=(0, {"a": 1.5, "b": [9.0]})
    )
    assert np.isclose(fit.x["a"], 1.5)
    with pytest.raises(ValueError, match="tree like the parameters"):
        tj.optimize.least_squares(lambda p: p["a"] * X - data, start, bounds=(0, {"a": 1.5}))
    with pytest.raises(ValueError, match=r"no parameters \['c'\]"):
        tj.optimize.minimize(lambda p: ((p["a"] * X - data) ** 2).sum(), start, bounds={"c": (0, 1)})


def test_data_that_curve_fit_cannot_take_are_said():
    def line(x, a, b):
        return a * x + b

    with pytest.raises(ValueError, match="vector of real numbers"):
        tj.optimize.curve_fit(line, X, X + 1j)
    with pytest.raises(ValueError, match="vector of real numbers"):
        tj.optimize.curve_fit(line, X, np.stack([X, X]))
    with pytest.raises(TypeError, match="a number for each parameter"):
        tj.optimize.curve_fit(line, X, X, p0={"a": 1.0})


def test_covariances_that_are_not_finite_are_said():
    x = np.linspace(0, 1, 9)
    y = np.where(x == 0.5, np.nan, x)
    with pytest.warns(optimize.OptimizeWarning, match="could not be estimated"):
        _, covariance = tj.optimize.curve_fit(lambda x, a, b: a * x + b, x, y, check_finite=False)
    assert (covariance == np.inf).all()
