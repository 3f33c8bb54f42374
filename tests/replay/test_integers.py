"""Integer arguments: run-time values where they only enter arithmetic, static where they steer Python."""

import numpy as np
import pytest

import tapejit as tj

X = np.array([1.0, 2.0])


def decay(x, step):
    rate = 0.1 / (1 + step)
    return (x * rate).sum() if step < 50 else (x * rate * 2).sum()


@pytest.mark.parametrize("policy", ["auto", "now"])
@pytest.mark.parametrize("steps", [range(300), np.arange(300)], ids=["int", "int64"])
def test_a_step_counter_is_recorded_a_few_times_and_then_replayed(policy, steps):
    g = tj.value_and_grad(decay, compile=policy)
    for step in steps:
        value, gradient = g(X, step)
        rate = 0.1 / (1 + step) * (1 if step < 50 else 2)
        assert value == pytest.approx(3 * rate)
        np.testing.assert_allclose(gradient, [rate, rate])
    assert g.calls["recorded"] <= 8
    assert g.calls["eager"] == 0


def test_by_name_too():
    g = tj.value_and_grad(decay)
    for step in range(100):
        assert g(X, step=step)[0] == pytest.approx(0.3 / (1 + step) * (1 if step < 50 else 2))
    assert g.calls["recorded"] <= 8


TABLE = {k: 1.0 + k for k in range(20)}
STEERING = {
    "range": lambda x, n: sum(x * 1.0 for _ in range(n + 1)).sum(),
    "index": lambda x, n: x[n % 2],
    "slice": lambda x, n: x[: n % 2 + 1].sum(),
    "shape": lambda x, n: (tj.ones(n + 1) * x[0]).sum(),
    "key": lambda x, n: (x * TABLE[n]).sum(),
    "exponent": lambda x, n: (x**n).sum(),
    "list item": lambda x, n: (x * [1.0, 2.0, 3.0][n % 3]).sum(),
    "kind": lambda x, n: (x * (2.0 if isinstance(n, int) else 3.0)).sum(),
    "returned": lambda x, n: ((x * 2).sum(), n)[0],
    "text": lambda x, n: (x * float(f"{n}")).sum(),
    "bits": lambda x, n: (x * (n >> 1)).sum(),
}


@pytest.mark.parametrize("kinds", [(int,), (np.int64,), (np.int64, int)], ids=["int", "int64", "both"])
@pytest.mark.parametrize("name", STEERING)
def test_what_steers_python_is_right_for_every_value(name, kinds):
    f = STEERING[name]
    g, eager = tj.value_and_grad(f), tj.value_and_grad(f, compile="never")
    for kind in (*kinds, *kinds):
        for n in map(kind, range(12)):
            (value, gradient), (wanted, slope) = g(X, n), eager(X, n)
            assert value == pytest.approx(wanted)
            np.testing.assert_allclose(gradient, slope)


def test_a_result_keeps_its_kind():
    g = tj.jit(lambda x, n: (x * n, n))
    for n in range(10):
        result = g(X, n)
        assert result[1] == n
        assert type(result[1]) is int


def test_large_integers_stay_exact():
    g = tj.jit(lambda x, n: x * (n % 10))
    for n in (*range(10), 2**53 + 1, 2**60 + 7):
        assert g(1.0, n) == n % 10


def test_float32_stays_float32():
    g = tj.jit(lambda x, n: x * n)
    for n in range(8):
        assert g(np.float32([1.0, 2.0]), n).dtype == np.float32


def call_all(g, calls):
    for arguments in calls:
        g(*arguments)


def test_a_function_recorded_often_says_which_argument_it_is():
    g = tj.jit(lambda x, count: sum(x * 1.0 for _ in range(count)))
    with pytest.warns(UserWarning, match=r"by the value of argument 'count'") as caught:
        call_all(g, [(1.0, n) for n in range(1, 60)])
    assert len(caught) == 1
    h = tj.jit(lambda x: x * 2)
    with pytest.warns(UserWarning, match=r"by the shape or dtype of argument 'x'"):
        call_all(h, [(np.ones(n),) for n in range(1, 60)])


def test_a_counter_may_be_the_exponent_of_a_number():
    def adam(w, m, v, t):
        slope = 2 * w
        m, v = 0.9 * m + 0.1 * slope, 0.999 * v + 0.001 * slope * slope
        return w - 0.1 * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8), m, v

    step, eager = tj.jit(adam), tj.jit(adam, compile="never")
    state = wanted = X, np.zeros(2), np.zeros(2)
    for t in range(1, 100):
        state, wanted = step(*state, t), eager(*wanted, t)
        np.testing.assert_allclose(state, wanted, rtol=1e-10, atol=1e-12)
    assert step.calls["recorded"] <= 6


def test_an_integer_tensor_that_is_an_index_is_one_program_for_all_its_values():
    table = np.arange(12.0).reshape(4, 3)

    def written(x, i):
        y = x * 1.0
        y[i] = y[1] * 3.0
        y[i, 0] = 7.0 * y.sum()
        return (y * y).sum()

    cases = {
        "row": (lambda x, i: (x[i] ** 2).sum(), range(-4, 4)),
        "column": (lambda x, i: (x[1:, i] ** 3).sum(), range(-3, 3)),
        "element": (lambda x, i: x[i, 2] * x[1, i - 1], range(-2, 3)),
        "written": (written, range(-4, 4)),
        "best": (lambda x, i: x[tj.argmax(x[i]), 0] * x.sum(), range(3)),
    }
    for f, places in cases.values():
        g = tj.grad(f, compile="now")
        eager = tj.grad(f, compile="never")
        for i in places:
            np.testing.assert_allclose(g(table, np.array(i)), eager(table, np.array(i)), rtol=1e-13)
        assert g.calls["recorded"] == 1
    with pytest.raises(IndexError):
        tj.grad(cases["row"][0], compile="now")(table, np.array(4))
    g = tj.grad(cases["row"][0], compile="now")
    g(table, np.array(3))
    with pytest.raises(IndexError):
        g(table, np.array(-5))


def test_integers_of_the_function_itself_stay_views():
    def f(x):
        total = 0.0
        for i in tj.arange(4):
            total = total + x[i, 0] * i
        return total

    g = tj.jit(f, compile="now")
    x = np.arange(12.0).reshape(4, 3)
    assert g(x) == g(x) == 42.0
    assert "take" not in g.tape


def test_indices_that_are_the_same_in_every_pass():
    """Springs between masses: their ends are looked at before the loop, whose code does not grow with its passes."""
    rng = np.random.default_rng(0)
    start, force = rng.normal(size=(2, 7, 3))

    def motion(k, a, b, steps):
        x, v = tj.tensor(start), tj.zeros(7, 3)
        for _ in range(steps):
            pull = k * (x[b] - x[a])
            v = 0.9 * v + 0.05 * (tj.tensor(force).index_add(0, a, pull).index_add(0, b, -pull))
            x = x + 0.1 * v
        return (x * x).sum()

    def lines(steps):
        g = tj.value_and_grad(lambda k, a, b: motion(k, a, b, steps), compile="now")
        g(1.3, *ends)
        return g, g.lower().count("\n")

    ends = rng.integers(0, 7, size=(2, 9))
    (short, few), (_, many) = lines(30), lines(45)
    assert many == few
    for a, b in (ends, rng.integers(0, 7, size=(2, 9))):
        leaf = tj.tensor(1.3, requires_grad=True)
        y = motion(leaf, tj.tensor(a), tj.tensor(b), 30)
        y.backward()
        np.testing.assert_allclose(short(1.3, a, b), (y.item(), leaf.grad.item()), rtol=1e-11)
    ends[1, 4] = 7
    with pytest.raises(IndexError):
        short(1.3, *ends)
