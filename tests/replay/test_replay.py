"""Replay is never wrong: branches, trip counts, shapes, dtypes, captured values; threads, processes, pickle."""

import os
import pickle
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numba import njit

import tapejit as tj


def seed_function(a):
    b = a * 2
    while b.norm() < 1000:
        b = b * 2
    return b if b.sum() > 0 else 100 * b


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def rosenbrock_gradient(x):
    r = x[1:] - x[:-1] ** 2
    g = np.zeros_like(x)
    g[1:] += 200 * r
    g[:-1] += -400 * r * x[:-1] - 2 * (1 - x[:-1])
    return (100 * r**2 + (1 - x[:-1]) ** 2).sum(), g


def both(function, transform="value_and_grad", **options):
    make = getattr(tj, transform)
    return make(function, compile="now", **options), make(function, compile="never", **options)


def same(mine, true, **tolerance):
    if isinstance(true, (tuple, list)):
        assert type(mine) is type(true)
        for a, b in zip(mine, true, strict=True):
            same(a, b, **tolerance)
    elif isinstance(true, dict):
        assert mine.keys() == true.keys()
        for k in true:
            same(mine[k], true[k], **tolerance)
    else:
        np.testing.assert_allclose(mine, true, **{"rtol": 1e-10, "atol": 1e-12, **tolerance})
        assert np.shape(mine) == np.shape(true)


# Paths


def test_the_seed_function_equals_eager_on_ten_thousand_inputs():
    replayed = tj.value_and_grad(seed_function, compile="now")
    for a in np.random.default_rng(0).standard_normal(10_000).tolist():
        scale = 2.0
        while abs(a * scale) < 1000:
            scale *= 2
        scale *= 1 if a > 0 else 100
        assert replayed(a) == (a * scale, scale)
    assert replayed.calls["recorded"] < 60
    assert replayed.stats()["signatures"][0]["eager"] is None


@pytest.mark.parametrize("policy", ["now", "auto"])
def test_branches_flip_inside_a_hessian(policy):
    def f(x):
        return (x**3).sum() if x.sum() > 0 else (x**4 * x.prod()).sum()

    replayed, eager = tj.hessian(f, compile=policy), tj.hessian(f, compile="never")
    rng = np.random.default_rng(1)
    for _ in range(8):
        x = rng.standard_normal(3)
        same(replayed(x), eager(x))


def test_a_long_chain_that_uses_each_value_twice():
    def iterate(x):
        for _ in range(700):
            x = x + 1e-4 * (1.0 - x * x)
        return x

    g = tj.value_and_grad(iterate, compile="now")
    value, slope = g(0.5)
    assert value == iterate(0.5)
    assert slope == pytest.approx((iterate(0.5 + 1e-6) - iterate(0.5 - 1e-6)) / 2e-6, rel=1e-8)


def test_trip_counts_change():
    def f(x):
        total = x
        for _ in range(int(x[0] * 4)):
            total = total * x + 1
        return total.sum()

    replayed, eager = both(f)
    for a in (0.3, 0.6, 1.1, 0.3, 0.7, 1.2, 0.05):
        x = np.array([a, 2.0])
        same(replayed(x), eager(x))


def test_shapes_dtypes_and_structures_change():
    def f(p):
        xs = p["xs"] if isinstance(p, dict) else p
        return sum((x * x).sum() * (i + 1) for i, x in enumerate(xs))

    replayed, eager = both(f)
    rng = np.random.default_rng(2)
    for shape, dtype in [((3,), "f8"), ((2, 2), "f8"), ((3,), "f4"), ((), "f8"), ((3,), "f8"), ((1,), "f4")]:
        x, y = rng.standard_normal((2, *shape)).astype(dtype)
        for tree in ([x], (x, y), {"xs": (x, y)}, {"xs": [y]}):
            for _ in range(2):
                same(replayed(tree), eager(tree), rtol=1e-5 if dtype == "f4" else 1e-10)


def test_data_dependent_shapes():
    replayed, eager = both(lambda x: (x[x > 0] ** 2).sum())
    rng = np.random.default_rng(3)
    for _ in range(12):
        x = rng.standard_normal(3)
        same(replayed(x), eager(x))


def test_integer_labels_change_without_a_new_recording():
    def gathered(w, x, labels):
        return -(x @ w).log_softmax(1).gather(1, labels.reshape(-1, 1)).mean()

    def indexed(w, x, labels):
        return -(x @ w).log_softmax(1)[np.arange(5), labels].mean()

    def pairs(w, x, labels):
        return (x[labels, labels.flip(0) - 3] * w.sum()).sum()

    def rows(w, x, labels):
        return (w[labels] * x[:, :3]).sum()

    rng = np.random.default_rng(8)
    for f in (gathered, indexed, pairs, rows):
        replayed, eager = both(f)
        for _ in range(20):
            args = rng.standard_normal((4, 3)), rng.standard_normal((5, 4)), rng.integers(0, 3, 5)
            same(replayed(*args), eager(*args))
        with pytest.raises(IndexError):
            replayed(*args[:2], args[2] + 50)
    assert replayed.calls["recorded"] == 2


@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_the_place_of_the_largest_changes_without_a_new_recording(dtype):
    functions = (
        lambda x: (x.max(1).values ** 2).sum() + (x.max(0).values * x.argmin(0)).sum(),
        lambda x: (x.min(0).values * x.argmax()).sum() + x.argmax(1, keepdim=True).sum() * x.sum(),
        lambda x: x[x.argmax(0), tj.arange(3)].prod() + x.reshape(-1).max(0).values,
    )
    rng = np.random.default_rng(9)
    for f in functions:
        replayed, eager = both(f)
        for k in range(20):
            x = rng.standard_normal((4, 3)).astype(dtype)
            if k % 3 == 1:
                x = np.round(x)  # ties
            if k % 7 == 6:
                x[2, 1] = np.nan
            same(replayed(x), eager(x), rtol=1e-5 if dtype == "f4" else 1e-10)
        assert replayed.calls["recorded"] == 1
        assert replayed.calls["eager"] == 0


def test_a_scalar_that_escapes_at_every_call_ends_in_eager_with_one_warning():
    replayed = tj.grad(lambda x: x * float(x.detach()), compile="now")
    inputs = np.linspace(0.1, 3, 50).tolist()
    with pytest.warns(UserWarning, match=r"runs eagerly from now on.*test_replay\.py:\d+") as caught:
        results = [replayed(x) for x in inputs]
    assert results == inputs
    assert len(caught) == 1
    assert replayed.stats()["signatures"][0]["eager"]


def test_in_place_on_a_captured_tensor_stays_eager():
    seen = tj.zeros(3)

    def f(x):
        seen.copy_(x.detach())
        return (x * x).sum()

    replayed = tj.grad(f)
    with pytest.warns(UserWarning, match="captured tensor or array is changed in place"):
        replayed(np.zeros(3))
    for k in range(3):
        x = np.arange(3.0) + k
        same(replayed(x), 2 * x)
        same(seen.numpy(), x)


def test_random_numbers_are_refused():
    with pytest.raises(RuntimeError, match="same at every replay"):
        tj.grad(lambda x: (x * tj.rand(3)).sum())(np.ones(3))


# What is captured


def test_captured_arrays_are_read_by_reference():
    w, t, copied, computed = np.array([1.0, 2.0]), tj.tensor([1.0, 1.0]), np.array([1.0, 3.0]), np.array([0.5, 0.5])

    def f(x):
        return (x * w * (t * 2) * tj.tensor(copied) * tj.as_tensor(np.exp(computed))).sum()

    replayed, eager = both(f)
    x = np.array([0.3, 0.7])
    for change in (
        lambda: None,
        lambda: w.__setitem__(0, 5.0),
        lambda: t.mul_(3),
        lambda: copied.__setitem__(1, -1.0),
        lambda: computed.__setitem__(0, 2.0),
    ):
        for _ in range(2):
            change()
            same(replayed(x), eager(x))


_factor = 3.0


def _scaled(x):
    return x * _factor


def test_rebinding_is_seen():
    global _factor
    holder = type("Holder", (), {})()
    holder.weight = np.ones(2)
    numbers = [1.0, 2.0]
    offset = 1.0

    def f(x):
        return (_scaled(x) * holder.weight * numbers[0] + offset * x).sum()

    replayed, eager = both(f, "grad")
    x = np.ones(2)
    for _ in range(2):
        same(replayed(x), eager(x))
        _factor = _factor + 1
        same(replayed(x), eager(x))
        holder.weight = holder.weight + 1
        same(replayed(x), eager(x))
        numbers[0] += 1
        same(replayed(x), eager(x))
        offset += 1
        same(replayed(x), eager(x))
    _factor = 3.0


# Forms of a call


def test_into_writes_where_it_is_told():
    g = tj.value_and_grad(rosenbrock, compile="now")
    x = np.random.default_rng(4).standard_normal(20)
    out = np.empty(20)
    for _ in range(3):
        value, gradient = g.into(x, out)
        assert gradient is out
        same((value, gradient), rosenbrock_gradient(x))
    y = x.copy()
    same(g.into(y, y), rosenbrock_gradient(x))
    with pytest.raises(ValueError, match="shape"):
        g.into(x, np.empty(3))


def test_results_are_fresh_arrays():
    g = tj.grad(rosenbrock, compile="now")
    x = np.ones(5)
    assert g(x) is not g(x)


def test_nopython_from_two_threads():
    g = tj.value_and_grad(rosenbrock, compile="now")
    xs = np.random.default_rng(5).standard_normal((4, 3000))  # a workspace that does not fit on the stack
    g(xs[0])
    inner, into = g.nopython, g.nopython_into

    @njit(nogil=True)
    def total(x, repeats):
        s = 0.0
        out = np.empty_like(x)
        for _ in range(repeats):
            value, gradient = inner(x)
            s += value + gradient.sum() + into(x, out)[0]
        return s

    def expected(x):
        value, gradient = rosenbrock_gradient(x)
        return 50 * (2 * value + gradient.sum())

    total(xs[0], 1)
    with ThreadPoolExecutor(4) as pool:
        same(list(pool.map(lambda x: total(x, 50), xs)), [expected(x) for x in xs], rtol=1e-9)
    with pytest.raises(ValueError, match="recorded for contiguous, aligned arrays"):
        inner(np.ones(3))


def test_threads_share_a_replayed_function():
    def f(a, x):
        for _ in range(3):
            x = tj.tanh(a @ x)
        return x.sum()

    rng = np.random.default_rng(6)
    a, xs = rng.standard_normal((60, 60)), rng.standard_normal((8, 60))
    g = tj.value_and_grad(f, argnums=(0, 1), compile="now")
    true = [tj.value_and_grad(f, argnums=(0, 1), compile="never")(a, x) for x in xs]
    g(a, xs[0])
    wrong = []

    def work(k):
        for _ in range(50):
            try:
                same(g(a, xs[k]), true[k])
            except AssertionError as error:
                wrong.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_strided_arguments_and_numpy_scalars():
    g = tj.grad(rosenbrock, compile="now")
    x = np.random.default_rng(7).standard_normal(20)
    for _ in range(3):
        same(g(x[::2]), rosenbrock_gradient(x[::2])[1])
        same(g(x[::-1]), rosenbrock_gradient(x[::-1])[1])
    assert tj.grad(lambda a: a**3)(np.float64(2.0)) == 12.0
    assert tj.grad(lambda a: a**3)(2) == 12.0


def test_fallbacks_do_not_leak_into_the_thread():
    def f(x):
        raise KeyError("mine")

    for _ in range(2):
        with pytest.raises(KeyError, match="mine"):
            tj.grad(f)(1.0)
    x = tj.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    same(x.grad.numpy(), np.array([2.0, 4.0]))


# What there is to see


def test_stats_tape_lower_and_dot():
    g = tj.value_and_grad(rosenbrock)
    with pytest.raises(RuntimeError, match="recorded nothing yet"):
        _ = g.tape
    for _ in range(3):
        g(np.ones(10))
    assert g.wait()
    stats = g.stats()
    assert stats["calls"]["recorded"] == 1
    assert stats["signatures"][0]["paths"][0]["compiled"]
    assert "test_replay.py" in str(g.tape)
    assert "fused loop" in g.lower()
    assert g.dot().startswith("digraph")


def test_wraps():
    def f(x: float) -> float:
        """What it does."""
        return x * x

    g = tj.grad(f)
    assert (g.__name__, g.__doc__, g.__wrapped__) == ("f", "What it does.", f)


def test_vectorised_rosenbrock_is_one_loop():
    g = tj.value_and_grad(rosenbrock, compile="now")
    g(np.ones(100))
    assert g.lower().count("fused loop") == 1


# Pickle, processes

_SCRIPT = """
import pickle, sys
import numpy as np
sys.path.insert(0, {tests!r})
import tapejit as tj
from test_replay import rosenbrock, rosenbrock_gradient
g = pickle.loads({data!r})
x = np.linspace(-1, 1, {n})
for _ in range(3):
    value, gradient = g(x)
assert np.allclose(gradient, rosenbrock_gradient(x)[1])
print("fine")
"""


def _spawn(n, environment):
    tests = os.path.dirname(os.path.abspath(__file__))
    data = pickle.dumps(tj.value_and_grad(_importable()))
    script = _SCRIPT.format(tests=tests, data=data, n=n)
    return subprocess.Popen(
        [sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _importable():
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    try:
        import test_replay
    finally:
        sys.path.pop(0)
    return test_replay.rosenbrock


def _environment(cache):
    root = os.path.dirname(os.path.dirname(os.path.abspath(tj.__file__)))
    return {**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": root}


def test_pickle_works_in_a_new_process():
    process = _spawn(12, dict(_environment(os.environ.get("NUMBA_CACHE_DIR", ""))))
    out, err = process.communicate(timeout=300)
    assert out.strip() == "fine", err


def test_pickle_keeps_the_options():
    g = pickle.loads(pickle.dumps(tj.grad(_importable(), argnums=(0,), static_argnums=1, compile="never")))
    assert (g.transform, g.argnums, g.static, g.policy) == ("grad", (0,), {1}, "never")


@pytest.mark.slow
def test_eight_processes_start_on_an_empty_cache(tmp_path):
    processes = [_spawn(10 + k, _environment(tmp_path)) for k in range(8)]
    for process in processes:
        out, err = process.communicate(timeout=600)
        assert out.strip() == "fine", err


def test_no_warning_in_ordinary_use():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        g = tj.value_and_grad(rosenbrock)
        for _ in range(4):
            g(np.ones(6))


def test_as_many_arguments_and_results_as_one_likes():
    arrays = [np.full(3, float(k)) for k in range(40)]
    g = tj.value_and_grad(lambda *xs: sum((k * x * x).sum() for k, x in enumerate(xs)), tuple(range(40)), compile="now")
    for _ in range(2):
        _, gradient = g(*arrays)
        np.testing.assert_array_equal(gradient, [2 * k * x for k, x in enumerate(arrays)])


def test_a_last_dimension_of_one_element_fuses_like_any_other():
    y, v = np.random.default_rng(0).standard_normal((2, 3, 2, 1))
    g = tj.value_and_grad(lambda y, v: ((y - v) ** 2).sum(1).exp().sum(), (0, 1), compile="now")
    for _ in range(2):
        value, (dy, dv) = g(y, v)
        expected = np.exp(((y - v) ** 2).sum(1))
        assert value == pytest.approx(expected.sum())
        np.testing.assert_allclose(dy, 2 * (y - v) * expected[:, None], rtol=1e-12)
        np.testing.assert_allclose(dv, -dy, rtol=1e-12)


@pytest.mark.parametrize("compile", ["now", "auto"])
def test_results_that_are_views_of_one_another(compile):
    def f(x):
        y = x * 2
        return y, y[2:], y.reshape(5, 10), y[::-1], y[:40].reshape(8, 5).T

    g, x = tj.jit(f, compile=compile), np.arange(50.0)
    for k in range(4):
        y = (x + k) * 2
        for mine, true in zip(g(x + k), (y, y[2:], y.reshape(5, 10), y[::-1], y[:40].reshape(8, 5).T), strict=True):
            np.testing.assert_array_equal(mine, true)
