"""``vmap`` where examples take different paths: the results of single calls, derivatives too, whatever the path of each."""

import numpy as np
import pytest

import tapejit as tj

X = np.linspace(-3.0, 90.0, 61)
SCALE = 1.7


def branching(x, a=1.0):
    if x > 2.0:
        return tj.sin(x) * a if x > 40.0 else x * x * a
    return tj.exp(0.1 * x) - a


def looping(x):
    y = x * x + 0.5
    while y < 100.0:
        y = y * SCALE + 1.0
    return y * 0.5


def by_whole_numbers(x):
    return x ** int(abs(x) % 3.0) + x


FUNCTIONS = [branching, looping, by_whole_numbers]


def one_by_one(f, batch):
    found = [f(x) for x in batch]
    return np.stack(found) if not isinstance(found[0], tuple) else tuple(map(np.stack, zip(*found, strict=True)))


@pytest.mark.parametrize("f", FUNCTIONS)
@pytest.mark.parametrize("compile", ["now", "auto", "never"])
def test_each_example_takes_its_own_path(f, compile):
    expected = one_by_one(tj.jit(f, compile="never"), X)
    g = tj.vmap(f, compile=compile)
    for batch in (X, X[::-1].copy(), X):
        order = slice(None) if batch is X or batch[0] == X[0] else slice(None, None, -1)
        np.testing.assert_allclose(g(batch), expected[order], rtol=1e-13)
    np.testing.assert_allclose(g(X[-5:]), expected[-5:], rtol=1e-13)  # others of these lengths


@pytest.mark.parametrize("f", FUNCTIONS)
@pytest.mark.parametrize("compile", ["now", "never"])
def test_derivatives(f, compile):
    expected = one_by_one(tj.value_and_grad(f, compile="never"), X)
    found = tj.vmap(tj.value_and_grad(f), compile=compile)(X)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-13)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-12)
    second = one_by_one(tj.hessian(f, compile="never"), X)
    np.testing.assert_allclose(tj.vmap(tj.hessian(f), compile=compile)(X), second, rtol=1e-11, atol=1e-14)


def test_compiled_programs_answer_for_the_examples():
    g = tj.vmap(branching, compile="now")
    g(X)
    single = g._by_path.single
    before = single.calls
    g(X + 0.01)
    after = single.calls
    assert after["recorded"] == before["recorded"] == 3
    assert sum(after.values()) - sum(before.values()) == 1


def test_batches_on_one_path_are_one_program():
    g = tj.vmap(branching, compile="now")
    low = np.linspace(-3.0, 1.0, 61)
    g(low)
    before = g.calls
    g(X)
    np.testing.assert_allclose(g(low), np.exp(0.1 * low) - 1.0)
    assert g.calls["replayed"] == before["replayed"] + 1


def test_axes_trees_and_what_is_the_same_for_all():
    def f(parts, weights, scale=2.0):
        total = (parts["a"] * weights).sum()
        if total > 0.0:
            return {"y": parts["a"] * scale, "z": (total, 1.0)}
        return {"y": parts["a"] - weights, "z": (total * total, 0.0)}

    rng = np.random.default_rng(0)
    a, w = rng.normal(size=(3, 40)), rng.normal(size=3)
    g = tj.vmap(f, in_axes=({"a": 1}, None), out_axes={"y": -1, "z": 0}, compile="now")
    for _ in range(2):
        found = g({"a": a}, w)
        for e in range(40):
            single = f({"a": tj.tensor(a[:, e])}, w)
            np.testing.assert_allclose(found["y"][:, e], single["y"].numpy())
            np.testing.assert_allclose(found["z"][0][e], single["z"][0].numpy())
            assert found["z"][1][e] == single["z"][1]


def test_float32_stays():
    x = X.astype("f4")
    for _ in range(2):
        found = tj.vmap(branching, compile="now")(x)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, one_by_one(tj.jit(branching, compile="never"), x), rtol=1e-6)
    found = tj.vmap(lambda x: x * 2.0 if x > 0.0 else 0.0, compile="now")(np.array([1.0, -1.0, 2.0], "f4"))
    np.testing.assert_array_equal(found, np.array([2, 0, 4], "f4"))
    assert found.dtype == np.float32


def test_tensors_give_tensors_and_have_a_history():
    g = tj.vmap(branching)
    found = g(tj.tensor(X))
    assert isinstance(found, tj.Tensor)
    np.testing.assert_allclose(found.numpy(), one_by_one(tj.jit(branching, compile="never"), X), rtol=1e-13)
    x = tj.tensor(X, requires_grad=True)
    g(x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), one_by_one(tj.grad(branching, compile="never"), X), rtol=1e-13)


def test_a_rebound_variable_is_noticed():
    global SCALE
    g = tj.vmap(looping, compile="now")
    g(X)
    try:
        SCALE = 1.3
        expected = one_by_one(tj.jit(looping, compile="never"), X)
        np.testing.assert_allclose(g(X), expected, rtol=1e-13)
    finally:
        SCALE = 1.7
    np.testing.assert_allclose(g(X), one_by_one(tj.jit(looping, compile="never"), X), rtol=1e-13)


def test_in_chunks_and_threads():
    expected = one_by_one(tj.jit(branching, compile="never"), X)
    for options in ({"chunk_size": 7}, {"threads": 2}):
        g = tj.vmap(branching, compile="now", **options)
        for _ in range(2):
            np.testing.assert_allclose(g(X), expected, rtol=1e-13)


def test_methods():
    class Model:
        level = 2.0

        @tj.vmap
        def respond(self, x):
            return x * self.level if x > self.level else x - self.level

    model = Model()
    for _ in range(2):
        np.testing.assert_allclose(model.respond(X), np.where(X > 2.0, X * 2.0, X - 2.0))


def test_two_batch_dimensions():
    both = np.stack([X, -X])
    expected = np.stack([one_by_one(tj.jit(branching, compile="never"), x) for x in both])
    np.testing.assert_allclose(tj.vmap(tj.vmap(branching))(both), expected, rtol=1e-13)


def test_results_of_other_shapes_are_refused():
    g = tj.vmap(lambda x: x if x.sum() > 0.0 else x[:1])
    with pytest.raises(ValueError, match="example 1 takes another path"):
        g(np.array([[1.0, 2.0], [-1.0, -2.0]]))
    with pytest.raises(ValueError, match="out_axes is None"):
        tj.vmap(branching, out_axes=None)(X)


def test_an_error_of_one_example_arrives():
    def f(x):
        if x > 80.0:
            raise ValueError("too large")
        return x * 2.0 if x > 0.0 else x

    g = tj.vmap(f, compile="now")
    for _ in range(2):
        with pytest.raises(ValueError, match="too large"):
            g(X)
    np.testing.assert_allclose(g(X[:50]), np.where(X[:50] > 0, X[:50] * 2, X[:50]))


def test_inside_of_another_transform_it_stays_an_error():
    with pytest.raises(RuntimeError, match="differs within the batch"):
        tj.grad(lambda x: tj.vmap(branching)(x).sum())(X)
    with pytest.raises(RuntimeError, match="differs within the batch"):
        tj.grad(lambda x: tj.vmap(branching)(x).sum(), compile="never")(X)


def test_into_writes_the_results():
    out = np.empty(len(X))
    g = tj.vmap(branching, compile="now")
    for _ in range(2):
        g.into(X, out)
        np.testing.assert_allclose(out, one_by_one(tj.jit(branching, compile="never"), X), rtol=1e-13)


def many_paths(p):
    x, n = p[0], 0
    while x < 100 and n < 50:
        x = x * 1.5 + tj.sin(p[1] * x) if x < p[2] else x * 1.3 + tj.exp(-x)
        n += 1
    return x * p[1]


def test_programs_lead_to_one_another_in_any_order_of_examples():
    rng = np.random.default_rng(0)
    points = np.stack([rng.choice([1.0, 3.0, 9.0], 40), rng.random(40), rng.choice([5.0, 20.0, 60.0], 40)], 1)
    single = tj.value_and_grad(many_paths, compile="now")
    expected = one_by_one(single, points)
    batch = tj.vmap(tj.value_and_grad(many_paths), compile="now")
    for _ in range(4):  # recorded, compiled, and then all of them native
        known = batch(points)
    walk = batch._by_path.walk
    for array, other in zip(known, expected, strict=True):
        np.testing.assert_allclose(array, other, rtol=1e-12)
    for _ in range(3):
        order = rng.permutation(40)
        for array, other in zip(batch(points[order]), known, strict=True):
            np.testing.assert_allclose(array, other[order], rtol=1e-12)  # one program may answer for several paths later
    assert 4 < len(walk.programs) <= len(single.stats()["signatures"][0]["paths"])
