"""A batch in chunks and on threads gives what the whole batch gives; empty batches; transforms of transforms in a batch."""

import pickle
import threading
import time

import numpy as np
import pytest

import tapejit as tj
from tapejit.core.threads import team

X = np.random.default_rng(0).normal(size=(11, 3))
W = np.array([0.5, -1.0, 2.0])


def score(w, x):
    return tj.tanh(tj.dot(w, x)) + (x**2).sum()


WAYS = [{"threads": 2}, {"threads": 3}, {"chunk_size": 4}, {"chunk_size": 1}, {"chunk_size": 3, "threads": 2}, {"threads": 50}]


@pytest.mark.parametrize("compile", ["now", "never", "auto"])
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_parts_give_what_the_whole_batch_gives(way, compile):
    f = tj.vmap(score, in_axes=(None, 0), compile=compile, **way)
    expected = [np.tanh(W @ x) + x @ x for x in X]
    for _ in range(4):  # recorded, then into the places of the results
        np.testing.assert_allclose(f(W, X), expected, rtol=1e-14)
    np.testing.assert_allclose(f(W, X[:6]), expected[:6], rtol=1e-14)


def test_results_are_the_same_digits_in_every_call():
    x = np.random.default_rng(1).normal(size=100_003)
    f = tj.vmap(lambda x: tj.exp(x) * tj.sin(x), threads=3, compile="now")
    first = f(x)
    for _ in range(20):
        assert (f(x) == first).all()
    np.testing.assert_allclose(first, np.exp(x) * np.sin(x), rtol=1e-14)


def test_parts_share_one_program():
    g = tj.vmap(lambda x: x * x, threads=4, compile="now")
    for _ in range(3):
        np.testing.assert_array_equal(g(np.arange(10.0)), np.arange(10.0) ** 2)
    assert g.calls["recorded"] == 1


def test_axes_and_trees():
    def f(tree, shift):
        return {"a": tree["x"] + shift, "b": (tree["x"].sum(), shift * 1.0)}

    tree, shift = {"x": np.arange(30.0).reshape(3, 10)}, np.array([1.0, 2.0, 3.0])
    options = {"in_axes": ({"x": 1}, None), "out_axes": {"a": -1, "b": (0, None)}, "compile": "now"}
    whole = tj.vmap(f, **options)(tree, shift)
    for way in WAYS:
        g = tj.vmap(f, **options, **way)
        for _ in range(3):
            found = g(tree, shift)
            np.testing.assert_array_equal(found["a"], whole["a"])
            np.testing.assert_array_equal(found["b"][0], whole["b"][0])
            np.testing.assert_array_equal(found["b"][1], shift)


def test_named_arguments_tensors_and_whole_numbers():
    f = tj.vmap(lambda x, y: x * y, threads=2)
    np.testing.assert_array_equal(f(np.arange(5.0), y=np.arange(5.0)), np.arange(5.0) ** 2)
    found = f(tj.arange(5.0), tj.arange(5.0))
    assert isinstance(found, tj.Tensor)
    assert found.tolist() == [0.0, 1.0, 4.0, 9.0, 16.0]
    np.testing.assert_array_equal(f(np.arange(5), np.arange(5)), np.arange(5) ** 2)


def test_tensors_with_a_history_run_whole():
    x = tj.tensor(X, requires_grad=True)
    tj.vmap(lambda r: (r**2).sum(), threads=2)(x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * X)
    w = tj.tensor(W, requires_grad=True)  # captured
    tj.vmap(lambda r: tj.dot(w, r), chunk_size=2)(X).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), X.sum(0))


def test_inside_other_transforms():
    f = tj.vmap(score, in_axes=(None, 0), threads=2, chunk_size=2)
    expected = sum((1 - np.tanh(W @ x) ** 2) * x for x in X)
    np.testing.assert_allclose(tj.grad(lambda w: f(w, X).sum())(W), expected)
    np.testing.assert_allclose(tj.jit(f)(W, X), f(W, X), rtol=1e-14)


def test_an_error_of_the_function_arrives_and_the_next_call_is_answered():
    def f(x):
        if x > 5.0:
            raise ValueError("too large")
        return x * 2.0

    g = tj.vmap(f, threads=3, compile="now")
    np.testing.assert_array_equal(g(np.zeros(9)), np.zeros(9))
    for values in (np.arange(9.0), np.r_[np.zeros(6), 9.0, 9.0, 9.0]):
        with pytest.raises((ValueError, RuntimeError), match=r"too large|differs within the batch"):
            g(values)
    np.testing.assert_array_equal(g(np.ones(9)), np.full(9, 2.0))


def test_each_part_takes_its_own_path():
    g = tj.vmap(lambda x: x * 2.0 if x.sum() > 0.0 else x - 1.0, chunk_size=1, threads=2, compile="now")
    x = np.array([[1.0], [-1.0], [2.0], [-2.0]])
    for _ in range(4):
        np.testing.assert_array_equal(g(x), [[2.0], [-2.0], [4.0], [-3.0]])


def test_callers_on_several_threads():
    f = tj.vmap(lambda x: tj.exp(x).cumsum(0), threads=2, compile="now")
    batches = [np.random.default_rng(k).normal(size=(40, 700)) for k in range(4)]
    expected = [f(b) for b in batches]
    wrong = []

    def work(k):
        for _ in range(20):
            if not (f(batches[k]) == expected[k]).all():
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []
    np.testing.assert_allclose(expected[3], np.exp(batches[3]).cumsum(1))


repeated = 1


def test_results_of_another_shape_after_something_was_rebound():
    global repeated
    g = tj.vmap(lambda x: tj.stack([x] * repeated), threads=2, compile="now")
    for repeated in (1, 3, 3, 2):
        np.testing.assert_array_equal(g(np.arange(4.0)), np.arange(4.0)[:, None] * np.ones(repeated))


class Model:
    scale = 3.0

    @tj.vmap(threads=2)
    def scaled(self, x):
        return self.scale * x


def test_methods_and_pickles():
    np.testing.assert_array_equal(Model().scaled(np.arange(4.0)), 3 * np.arange(4.0))
    again = pickle.loads(pickle.dumps(tj.vmap(np.sin, threads=2)))
    np.testing.assert_allclose(again(np.arange(4.0)), np.sin(np.arange(4.0)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": 0}, "threads is a whole number from 1 on, got 0"),
        ({"threads": 1.5}, "threads is"),
        ({"chunk_size": 0}, "chunk_size is"),
        ({"chunk_size": True}, "chunk_size is"),
        ({"randomness": "different"}, "draw the random numbers outside"),
        ({"randomness": "same"}, "draw the random numbers outside"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        tj.vmap(np.sin, **options)


def test_axes_are_checked_before_anything_runs():
    f = tj.vmap(lambda x, y: x + y, threads=2)
    with pytest.raises(ValueError, match="different sizes"):
        f(np.zeros(4), np.zeros(5))
    with pytest.raises(ValueError, match="is a number"):
        f(np.zeros(4), 1.0)


# Empty batches


@pytest.mark.parametrize("options", [{}, {"compile": "now"}, {"compile": "never"}, {"threads": 2}, {"chunk_size": 3}], ids=str)
def test_an_empty_batch_gives_empty_results(options):
    def f(w, x):
        y = tj.sort(x)[0] if x[0] > 5.0 else tj.exp(x) @ tj.outer(x, w)
        return y, {"sum": y.sum(), "w": w * 2.0}

    g = tj.vmap(f, in_axes=(None, 0), out_axes=(1, {"sum": 0, "w": None}), **options)
    for _ in range(2):
        y, rest = g(W, np.zeros((0, 3)))
        assert y.shape == (3, 0)
        assert rest["sum"].shape == (0,)
        np.testing.assert_array_equal(rest["w"], 2 * W)


def test_gradients_of_an_empty_batch():
    assert tj.vmap(tj.grad(score, argnums=1), in_axes=(None, 0))(W, np.zeros((0, 3))).shape == (0, 3)
    total = tj.grad(lambda w: tj.vmap(score, in_axes=(None, 0))(w, np.zeros((0, 3))).sum())
    np.testing.assert_array_equal(total(W), np.zeros(3))


# Transforms of transforms


def energy(x):
    return (tj.sin(x) * x[0]).sum() + tj.exp(x[1] * x[2])


def test_vmap_of_hessian():
    found = tj.vmap(tj.hessian(energy), threads=2, compile="now")(X)
    np.testing.assert_allclose(found, [tj.hessian(energy)(x) for x in X], rtol=1e-12, atol=1e-13)


def test_jacobian_of_vmap():
    for mode in ("forward", "reverse"):
        found = tj.jacobian(tj.vmap(energy, threads=2), mode=mode)(X[:4])
        assert found.shape == (4, 4, 3)
        for i in range(4):
            for j in range(4):
                wanted = tj.grad(energy)(X[i]) if i == j else np.zeros(3)
                np.testing.assert_allclose(found[i, j], wanted, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("options", [{}, {"threads": 2}, {"chunk_size": 1}], ids=str)
def test_vmap_of_vmap_of_grad(options):
    batch = np.random.default_rng(2).normal(size=(3, 5, 3))
    found = tj.vmap(tj.vmap(tj.grad(energy), **options), **options)(batch)
    np.testing.assert_allclose(found, [[tj.grad(energy)(x) for x in row] for row in batch], rtol=1e-12)


def test_vmap_of_jvp_and_of_hvp():
    def directional(x, v):
        return tj.jvp(energy, (x,), (v,))[1]

    V = X[::-1].copy()
    expected = [tj.grad(energy)(x) @ v for x, v in zip(X, V, strict=True)]
    np.testing.assert_allclose(tj.vmap(directional, threads=2)(X, V), expected, rtol=1e-12)
    products = [tj.hessian(energy)(x) @ v for x, v in zip(X, V, strict=True)]
    np.testing.assert_allclose(tj.vmap(tj.hvp(energy), chunk_size=4)(X, V), products, rtol=1e-11, atol=1e-12)


def test_grad_of_vmap_of_vmap_of_grad():
    batch = np.random.default_rng(3).normal(size=(2, 3, 3))

    def roughness(x):
        return (tj.vmap(tj.vmap(tj.grad(energy)))(x) ** 2).sum()

    found = tj.grad(roughness)(batch)
    expected = [[2 * tj.hessian(energy)(x) @ tj.grad(energy)(x) for x in row] for row in batch]
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)


def test_parts_are_called_each_once_and_the_lowest_failure_is_raised():
    done = []
    team.call(done.append, 70_000, 3)  # more than one job has
    assert sorted(done) == list(range(70_000))

    def fails(k):
        done.append(k)
        if k in (5, 3):
            raise ValueError(f"part {k}")

    done.clear()
    with pytest.raises(ValueError, match="part 3"):
        team.call(fails, 9, 2)
    assert sorted(done) == list(range(9))


def test_an_interrupt_leaves_the_parts_that_had_not_begun():
    done = []

    def interrupted(k):
        done.append(k)
        if k == 1:
            raise KeyboardInterrupt
        time.sleep(0.01)

    with pytest.raises(KeyboardInterrupt):
        team.call(interrupted, 1000, 2)
    assert len(done) < 500


def test_a_part_that_shares_works_alone():
    found = {}
    team.call(lambda k: team.call(lambda j: found.setdefault((k, j), threading.get_ident()), 3, 2), 2, 2)
    assert len(found) == 6
    assert all(found[k, 0] == found[k, j] for k in range(2) for j in range(3))
