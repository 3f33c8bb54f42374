"""Gradients of long recordings: what a rule leaves once is made again for records of the same kind, with the same results."""

import numpy as np
import pytest

import tapejit as tj
from tapejit.core import engine, rote
from tapejit.eager import lessons, rotesweep, tangents, tensorsweep
from tapejit.graph import batch
from tapejit.replay import jacobianpasses, vmap

MATRIX = np.random.default_rng(0).normal(size=(3, 3)) * 0.4
DATA = np.random.default_rng(1).normal(size=(40, 3))


@pytest.fixture(autouse=True)
def short_recordings(monkeypatch):
    monkeypatch.setattr(lessons, "SHORT", 0)
    monkeypatch.setattr(jacobianpasses, "LONG", 100)


def numbers(x, passes=30):
    y, z = x[0], x[1]
    for _ in range(passes):
        y, z = y + 0.1 * (z - y) * x[2], tj.sin(z) * y / (1.5 + y * y) - x[3]
    return y * z


def one_operand_twice(x):
    y = x[0]
    for _ in range(20):
        y = y * y - (y + y) / 3.0 + tj.maximum(y, y) * 0.1
    return y


def changing_numbers(x):
    y = x[0]
    for t in range(20):
        y = 0.5 * y * (1.0 / (1 + t)) + x[1] - t * 0.01
    return y


def arrays(x):
    v, m = x[:3], x.reshape(2, 3)
    for t in range(15):
        v = tj.tanh(MATRIX @ v) + DATA[t] * x[0]
        m = m[:, [2, 0, 1]] * v + m.sum(0) * 0.1 - tj.softmax(m, 1)
        v = tj.where(v > 0.1, v * v, 0.3 * v) - m[0].mean()
    return (m * m).sum() + v.prod()


def norms(x):
    v = x * 1.0
    for _ in range(12):
        v = v / (1.0 + tj.linalg.norm(v) ** 2) + x
    return tj.linalg.norm(v) ** 2


def stacked(x):
    v = x[:2]
    for _ in range(12):
        v = tj.stack([v[0] * v[1], v[1] - tj.cat([v, x]).sum()]) * 0.3
    return v.sum()


FUNCTIONS = [numbers, one_operand_twice, changing_numbers, arrays, norms, stacked]


@pytest.mark.parametrize("f", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_gradients_are_those_of_eager(f, dtype):
    x = np.linspace(0.2, 0.9, 6).astype(dtype)
    found, expected = (tj.value_and_grad(f, compile=c)(x) for c in ("now", "never"))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11 if dtype == "f8" else 2e-4, atol=1e-12 if dtype == "f8" else 1e-5)


@pytest.mark.parametrize("f", [numbers, one_operand_twice, norms])
def test_second_derivatives(f):
    x = np.linspace(0.2, 0.9, 6)
    found, expected = (tj.hessian(f, compile=c)(x) for c in ("now", "never"))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)


def test_a_rule_runs_once_for_records_of_one_kind(monkeypatch):
    calls = []
    rules = tensorsweep._contributions
    monkeypatch.setattr(tensorsweep, "_contributions", lambda *args: calls.append(args[1]) or rules(*args))

    def f(x):
        for _ in range(300):
            x = tj.sin(x) * 0.9
        return x

    tj.grad(f, compile="now")(0.5)
    assert len(calls) < 30


@pytest.mark.parametrize("f", [numbers, arrays])
def test_sums_that_the_engine_cannot_take_are_left_to_tensors(f, monkeypatch):
    stops = []
    begin, rest = rotesweep.RoteSweep.__init__, rotesweep.RoteSweep._add_rest

    def without_sums(self, *args):
        begin(self, *args)
        self.words[rote.S_ADD] = engine._MAX_OPS - 1  # there is no kernel

    monkeypatch.setattr(rotesweep.RoteSweep, "__init__", without_sums)
    monkeypatch.setattr(rotesweep.RoteSweep, "_add_rest", lambda *args: stops.append(args) or rest(*args))
    x = np.linspace(0.2, 0.9, 6)
    found, expected = (tj.value_and_grad(f, compile=c)(x) for c in ("now", "never"))
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-12)
    assert len(stops) > 20


def test_many_constants_are_noted_now_and_then(monkeypatch):
    monkeypatch.setattr(rotesweep, "_MOST_NOTED", 9)
    x = np.linspace(0.2, 0.9, 6)
    for f in (changing_numbers, stacked, arrays):
        found, expected = (tj.value_and_grad(f, compile=c)(x) for c in ("now", "never"))
        np.testing.assert_allclose(found[1], expected[1], rtol=1e-12)


def test_hooks_see_every_gradient():
    seen = []

    def f(x):
        for _ in range(10):
            x = tj.sin(x)
            x.register_hook(lambda g: seen.append(1) or 2.0 * g)
        return x

    found, expected = (tj.grad(f, compile=c)(0.5) for c in ("now", "never"))
    assert found == pytest.approx(expected, rel=1e-12)
    assert len(seen) == 20


def test_records_tell_where_they_come_from():
    g = tj.value_and_grad(numbers, compile="now")
    g(np.linspace(0.2, 0.9, 6))
    assert "?" not in g.tape


BATCH = np.linspace(0.2, 0.9, 6) + np.linspace(-0.1, 0.1, 5)[:, None]


@pytest.mark.parametrize("f", FUNCTIONS)
def test_batches_of_gradients_are_those_of_single_calls(f):
    g = tj.value_and_grad(f, compile="never")
    values, gradients = zip(*(g(x) for x in BATCH), strict=True)
    found = tj.vmap(tj.value_and_grad(f), compile="now")(BATCH)
    np.testing.assert_allclose(found[0], values, rtol=1e-11)
    np.testing.assert_allclose(found[1], gradients, rtol=1e-10, atol=1e-12)
    outside = tj.grad(lambda xs: tj.vmap(f)(xs).sum(), compile="now")(BATCH)
    np.testing.assert_allclose(outside, gradients, rtol=1e-10, atol=1e-12)


def several(f, rows):
    """A function with so many results."""

    def g(x):
        y = f(x)
        return tj.stack([tj.sin((k + 1.0) * y) * x[k % 3] for k in range(rows)])

    return g


@pytest.mark.parametrize("f", FUNCTIONS)
@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("rows", [3, 20])
def test_jacobians(f, mode, rows):
    x = np.linspace(0.2, 0.9, 6)
    found, expected = (tj.jacobian(several(f, rows), mode=mode, compile=c)(x) for c in ("now", "never"))
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_batches_of_jacobians():
    g = several(numbers, 10)
    for transform in (tj.jacfwd, tj.jacrev):
        expected = [transform(g, compile="never")(x) for x in BATCH]
        np.testing.assert_allclose(tj.vmap(transform(g), compile="now")(BATCH), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("f", FUNCTIONS)
def test_products_with_the_hessian(f):
    x, v = np.linspace(0.2, 0.9, 6), np.linspace(-1.0, 1.0, 6)
    found, expected = (tj.hvp(f, compile=c)(x, v) for c in ("now", "never"))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)


def test_the_rules_of_tangents_and_batches_run_once_for_records_of_one_kind(monkeypatch):
    calls = {"tangent": 0, "batch": 0}

    def counted(name, owner, what):
        function = getattr(owner, what)

        def counting(*args):
            calls[name] += 1
            return function(*args)

        monkeypatch.setattr(owner, what, counting)

    counted("tangent", tangents, "tangent_of")
    counted("batch", batch.Batch, "_emission")

    def f(x):
        for _ in range(300):
            x = tj.sin(x) * 0.9
        return x

    tj.jvp(f, compile="now")((0.5,), (1.0,))
    assert 0 < calls["tangent"] < 20
    tj.vmap(f, compile="now")(np.linspace(0, 1, 3))
    assert 0 < calls["batch"] < 20
    tj.vmap(tj.jacfwd(several(lambda x: f(x[0]), 4)), compile="now")(BATCH)
    tj.jacrev(several(lambda x: f(x[0]), 12), compile="now")(BATCH[0])
    assert calls["tangent"] < 200  # six passes, of which each learns for itself
    assert calls["batch"] < 200


def test_decisions_in_long_batches():
    def f(x):
        y = x[0]
        for _ in range(30):
            y = tj.sin(y) * x[1] if bool(y > 0.0) else y + 0.1
        return y

    expected = [tj.grad(f, compile="never")(x) for x in BATCH]
    np.testing.assert_allclose(tj.vmap(tj.grad(f), compile="now")(BATCH), expected, rtol=1e-11)
    with pytest.raises(RuntimeError, match="differs within the batch"):
        tj.jit(tj.vmap(f), compile="now")(np.array([[0.5, 1.0], [-0.5, 1.0]]))


def test_memory_that_is_filled_part_by_part():
    def f(x):
        parts = tj.zeros(6)
        for k in range(40):
            parts = parts * 0.9
            parts[k % 6] = x[k % 3] * parts.sum() + x[1]
        return (parts * parts).sum()

    expected = [tj.grad(f, compile="never")(x) for x in BATCH]
    np.testing.assert_allclose(tj.vmap(tj.grad(f), compile="now")(BATCH), expected, rtol=1e-11)
    found, expected = (tj.hessian(f, compile=c)(BATCH[0]) for c in ("now", "never"))
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("f", [changing_numbers, stacked, arrays])
def test_batches_and_tangents_whose_rules_make_more_than_is_noted(f, monkeypatch):
    monkeypatch.setattr(rotesweep, "_MOST_NOTED", 5)  # constants; rules that make more records are not learned from
    x, g = BATCH[0], several(f, 10)
    for mode in ("forward", "reverse"):
        found, expected = (tj.jacobian(g, mode=mode, compile=c)(x) for c in ("now", "never"))
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("f", [numbers, arrays])
def test_sums_of_a_batched_sweep_that_the_engine_cannot_take(f, monkeypatch):
    begin, made = rotesweep.RoteSweep.__init__, []

    def without_sums(self, tape, order, swept, handles):
        begin(self, tape, order, swept, handles)
        made.append(swept.tape is not tape)
        self.words[rote.S_ADD] = engine._MAX_OPS - 1  # there is no kernel

    monkeypatch.setattr(rotesweep.RoteSweep, "__init__", without_sums)
    g = several(f, 10)
    found, expected = (tj.jacrev(g, compile=c)(BATCH[0]) for c in ("now", "never"))
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    assert any(made)  # the sweep of a recording from inside of a batch


def hessian_of_squares(g, compile):
    return tj.hessian(lambda x: tj.dot(g(x), g(x)), compile=compile)


@pytest.mark.parametrize("transform", [tj.jacrev, tj.jacfwd, hessian_of_squares])
def test_what_a_batched_pass_reads_of_the_recording_is_brought_in_by_the_engine(transform, monkeypatch):
    made, stand_in = [], vmap.Example._standing_in
    monkeypatch.setattr(vmap.Example, "_standing_in", lambda *args: made.append(1) or stand_in(*args))
    x, counts = BATCH[0], []
    for passes in (10, 40):
        g = several(lambda x, n=passes: numbers(x, n), 10)
        found, expected = (transform(g, compile=c)(x) for c in ("now", "never"))
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
        made.clear()
        transform(g, compile="now")(x)
        counts.append(len(made))
    assert counts[0] == counts[1]  # those that rules read that were run by Python
