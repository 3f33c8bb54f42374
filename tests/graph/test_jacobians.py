"""Forward mode and whole Jacobians, over all ops: against reverse mode, against differences, in every mode and way."""

import importlib

import numpy as np
import pytest
from random_array_programs import Program as Random

import tapejit as tj
from tapejit.replay import fewproducts
from tapejit.replay.interpreter import Interpreter
from tapejit.spec.table import BY_NAME, FUNCTIONS

RNG = np.random.default_rng(0)


def cases():
    found = []
    for name in sorted(n for n in FUNCTIONS if n != "where"):
        op = BY_NAME[name]
        shapes = [(2, 3), (3,), ()][: op.arity]
        arrays = [RNG.uniform(*op.domain[j], size=s) * 0.9 for j, s in enumerate(shapes)]
        found.append(pytest.param(FUNCTIONS[name], arrays, id=name))
    structured = importlib.import_module("test_structured_ops")
    for name, listed in structured.CASES.items():
        found += [
            pytest.param(f, structured.operands(shapes), id=f"{name}-{i}")
            for i, (f, shapes) in enumerate(listed)
            if name != "cast"
        ]
    for module in ("test_linalg_systems", "test_linalg_decompositions"):
        for name, (f, arrays) in importlib.import_module(module).FUNCTIONS.items():
            found.append(pytest.param(f, arrays, id=f"{module[12:]}-{name}"))
    return found


def close(got, expected, **kwargs):
    got = got.detach().numpy() if isinstance(got, tj.Tensor) else np.asarray(got)
    assert got.shape == np.shape(expected)
    np.testing.assert_allclose(got, expected, **{"rtol": 1e-8, "atol": 1e-9, **kwargs})


@pytest.mark.parametrize(("f", "arrays"), cases())
def test_forward_mode_is_the_transpose_of_reverse_mode(f, arrays):
    """<v, J t> = <J^T v, t>, for the function and for its gradient."""
    rng = np.random.default_rng(3)

    def gradients(*xs):
        out = f(*xs)
        weights = tj.tensor(np.linspace(0.5, 1.5, out.numel()).reshape(out.shape))
        return tj.grad(lambda *ys: (f(*ys) * weights).sum() + (f(*ys) ** 2).sum() * 0.25, tuple(range(len(arrays))))(*xs)

    for function in (lambda *xs: (f(*xs),), gradients):
        directions = [rng.normal(size=a.shape) for a in arrays]
        values, moved = tj.jvp(function, compile="never")(tuple(arrays), tuple(directions))
        seeds = [rng.normal(size=np.shape(v)) for v in values]
        _, pull = tj.vjp(function, *arrays, compile="never")
        pulled = pull(tuple(seeds))
        forward = sum(float((v * t).sum()) for v, t in zip(seeds, moved, strict=True))
        reverse = sum(float((g * d).sum()) for g, d in zip(pulled, directions, strict=True))
        np.testing.assert_allclose(forward, reverse, rtol=1e-7, atol=1e-8)


def residuals(p, x):
    return p[0] * tj.exp(-p[1] * x) + p[2] - tj.sin(x)


def reference(f, x, step=1e-6):
    """The Jacobian in x by central differences."""
    columns = []
    for i in range(x.size):
        e = np.zeros(x.size)
        e[i] = step
        e = e.reshape(x.shape)
        columns.append((np.asarray(f(tj.tensor(x + e))) - np.asarray(f(tj.tensor(x - e)))) / (2 * step))
    return np.stack(columns, -1).reshape((*np.shape(columns[0]), *x.shape))


P, T = np.array([1.3, 0.7, -0.2]), np.linspace(0, 2, 40)
MODES = ["auto", "forward", "reverse"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("compile", ["never", "now"])
def test_all_modes_agree(mode, compile):
    expected = reference(lambda p: residuals(p, tj.tensor(T)), P)
    g = tj.jacobian(residuals, mode=mode, compile=compile)
    many = tj.jacobian(residuals, 1, mode=mode, compile=compile)
    for _ in range(3):
        close(g(P, T), expected, rtol=1e-6, atol=1e-6)
        close(many(P, T), np.diag(-P[0] * P[1] * np.exp(-P[1] * T) - np.cos(T)))


@pytest.mark.parametrize("mode", MODES)
def test_trees_and_several_arguments(mode):
    def f(p, w):
        y = p["a"] @ w + p["b"]
        return {"y": tj.tanh(y), "s": (y**2).sum(), "c": tj.ones(2)}

    p = {"a": RNG.normal(size=(4, 3)), "b": 0.4}
    w = RNG.normal(size=3)
    for compile in ("never", "now"):
        found = tj.jacobian(f, (0, 1), mode=mode, compile=compile)(p, w)
        for name in ("y", "s", "c"):
            close(found[name][0]["a"], reference(lambda a, n=name: f({"a": a, "b": 0.4}, tj.tensor(w))[n], p["a"]), atol=1e-6)
            close(found[name][0]["b"], reference(lambda b, n=name: f({"a": tj.tensor(p["a"]), "b": b}, tj.tensor(w))[n],
                                                 np.array(0.4)), atol=1e-6)  # fmt: skip
            close(found[name][1], reference(lambda v, n=name: f({k: tj.tensor(x) for k, x in p.items()}, v)[n], w), atol=1e-6)


def test_value_and_jacobian_and_aux():
    value, jacobian = tj.value_and_jacobian(residuals)(P, T)
    close(value, residuals(tj.tensor(P), tj.tensor(T)).numpy())
    close(jacobian, tj.jacobian(residuals)(P, T))
    (value, aux), jacobian = tj.value_and_jacobian(lambda p, t: (residuals(p, t), p.sum()), has_aux=True)(P, T)
    assert float(aux) == pytest.approx(P.sum())
    found, aux = tj.jacobian(lambda p, t: (residuals(p, t), p.sum()), has_aux=True)(P, T)
    close(found, jacobian)


def test_another_mode_is_an_error():
    with pytest.raises(ValueError, match="'auto', 'forward', 'reverse', got 'sideways'"):
        tj.jacobian(residuals, mode="sideways")


@pytest.mark.parametrize("seed", range(30))
def test_jacobians_and_hessians_of_random_programs(seed):
    random = Random(3000 + seed)
    x, y = random.arguments()
    gradient = tj.grad(random.function)
    forward = tj.jacobian(gradient, mode="forward", compile="now")(x, y)
    reverse = tj.jacobian(gradient, mode="reverse", compile="never")(x, y)
    close(forward, reverse, rtol=1e-7, atol=1e-8, err_msg=random.source)
    close(tj.hessian(random.function, compile="now")(x, y), reverse, rtol=1e-7, atol=1e-8, err_msg=random.source)


def test_hessian_of_several_arguments():
    f = lambda x, y: (tj.sin(x) * y.sum()).sum() + ((x * x)[:, None] @ y[None]).sum()  # noqa: E731
    x, y = RNG.normal(size=12), RNG.normal(size=10)
    for compile in ("never", "now"):
        (xx, xy), (yx, yy) = tj.hessian(f, (0, 1), compile=compile)(x, y)
        close(xx, np.diag(-np.sin(x) * y.sum() + 2 * y.sum()))
        close(xy, np.repeat((np.cos(x) + 2 * x)[:, None], 10, 1))
        close(yx, xy.T)
        close(yy, np.zeros((10, 10)))


def test_records_do_not_grow_with_directions():
    def f(x):
        for _ in range(5):
            x = tj.tanh(x) * 1.1 + x.sum() * 0.01
        return x

    records = []
    for n in (20, 200):
        for mode in ("forward", "reverse"):
            g = tj.jacobian(f, mode=mode, compile="now")
            g(np.linspace(0, 1, n))
            records.append(g._last.latest().frozen.records)
    assert records[:2] == records[2:]


def test_jacobians_have_a_history():
    x = tj.tensor(P, requires_grad=True)
    J = tj.jacobian(residuals, compile="never")(x, tj.tensor(T))
    (J**2).sum().backward()
    expected = reference(lambda p: (tj.jacobian(residuals)(p, tj.tensor(T)) ** 2).sum(), P)
    close(x.grad, expected, rtol=1e-6, atol=1e-6)
    wide = tj.tensor(np.linspace(0.1, 1, 12), requires_grad=True)
    (tj.jacobian(lambda v: tj.sin(v) * v.sum(), compile="never")(wide) ** 2).sum().backward()
    expected = reference(lambda v: (tj.jacobian(lambda u: tj.sin(u) * u.sum())(v) ** 2).sum(), np.linspace(0.1, 1, 12))
    close(wide.grad, expected, rtol=1e-5, atol=1e-5)


def test_the_directions_may_come_in_stretches(monkeypatch):
    from tapejit.replay import jacobianpasses

    monkeypatch.setattr(jacobianpasses, "MOST_BYTES", 8 * 20 * 6)
    x = np.linspace(0.1, 1, 20)
    expected = np.diag(np.cos(x) * x.sum()) + np.sin(x)[:, None]
    for mode in ("forward", "reverse"):
        close(tj.jacobian(lambda v: tj.sin(v) * v.sum(), mode=mode)(x), expected)


def test_a_norm_at_zero_and_full_matrices():
    close(tj.hvp(lambda x: tj.norm(x) ** 2)(np.zeros(3), np.ones(3)), 2 * np.ones(3))
    with pytest.raises(RuntimeError, match="have no derivative"):
        tj.jvp(lambda a: tj.linalg.svd(a).U.sum(), (RNG.normal(size=(3, 2)),), (np.ones((3, 2)),))


def neighbours(x):
    n = x.numel()
    return tj.stack([x[i] * x[(i + 1) % n] - x[i] ** 2 for i in range(n)])


def matrix_of_neighbours(x):
    following = np.roll(np.eye(len(x)), 1, 1)
    return np.diag(np.roll(x, -1) - 2 * x) + following * x[:, None]


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_rows_that_are_stacked_in_a_loop_take_few_products(mode, monkeypatch):
    wanted, asked = [], fewproducts.products_for
    monkeypatch.setattr(fewproducts, "products_for", lambda *args: wanted.append(asked(*args)) or wanted[-1])
    for n in (9, 40):
        x = np.linspace(-1, 1, n)
        for compile in ("never", "now"):
            close(tj.jacobian(neighbours, mode=mode, compile=compile)(x), matrix_of_neighbours(x))
        assert len(wanted[-1].seeds) <= 3


def test_few_products_of_a_function_that_captures_tensors_inside_of_a_batch():
    weights, batch = tj.tensor(np.linspace(1, 2, 12)), RNG.normal(size=(3, 12))
    found = tj.vmap(tj.jacobian(lambda x: weights * neighbours(x)))(batch)
    close(found, np.stack([weights.numpy()[:, None] * matrix_of_neighbours(x) for x in batch]))
    found = tj.vmap(tj.hessian(lambda x: (weights * x**3).sum()))(batch)
    close(found, np.stack([np.diag(6 * weights.numpy() * x) for x in batch]))


def test_few_products_only_where_it_takes_few_records_to_see_that(monkeypatch):
    monkeypatch.setattr(fewproducts, "products_for", None)
    x = np.linspace(-1, 1, 8)

    def long(x):
        for _ in range(300):
            x = 0.9 * tj.sin(x)
        return x

    expected = tj.jacobian(long, compile="never")(x)
    close(tj.jacobian(long)(x), expected, atol=1e-30)
    assert np.count_nonzero(np.asarray(expected)) == 8


def test_what_is_not_kept_to_be_interpreted_is_compiled_before_all_directions_are_taken(monkeypatch):
    monkeypatch.setattr(Interpreter, "can_run", staticmethod(lambda recorder: False))
    x = np.linspace(-1, 1, 12)
    jacobian, hessian = tj.jacobian(neighbours), tj.hessian(lambda x: (x**3).sum())
    for _ in range(2):
        close(jacobian(x), matrix_of_neighbours(x))
        close(hessian(x), np.diag(6 * x))
    assert jacobian.compiled
    assert hessian.compiled
    assert jacobian.stats()["calls"]["eager"] == 0
