"""Loops written in Python: recordings that repeat themselves compile as loops, with the results of eager execution."""

import numpy as np
import pytest
from random_loops import Program

import tapejit as tj
from tapejit.graph import periods, reroll

DATA = np.random.default_rng(0).normal(size=(40, 3))
CHOICE = np.random.default_rng(5).integers(0, 4, 24)
SPREAD = np.random.default_rng(1).normal(size=(3, 40)).T
NUMBERS = [float(x) for x in np.random.default_rng(2).normal(size=40)]
W = np.random.default_rng(3).normal(size=(3, 3)) * 0.4


@pytest.fixture(autouse=True)
def short_loops(monkeypatch):
    """Loops are looked for in short recordings, too."""
    monkeypatch.setattr(reroll, "FEWEST", 20)
    monkeypatch.setattr(periods, "SAVED", 10)


def loops(g):
    """The loops of the program that a function used last: their numbers of passes."""
    return loops_of(next(iter(g._signatures.values())).paths.last)


def loops_of(program):
    return [node.attr.trips for node in program.frozen.graph.nodes if node.op == "loop"]


def number(x):
    """A chain of one number."""
    y = x[0]
    for _ in range(30):
        y = tj.sin(y) * x[1] + x[2]
    return y


def lorenz(p):
    x, y, z = p[0], p[1], p[2]
    for _ in range(25):
        x, y, z = x + 0.01 * 10.0 * (y - x), y + 0.01 * (x * (28.0 - z) - y), z + 0.01 * (x * y - 8 / 3 * z)
    return x * y + z


def reads(x):
    """Elements of the argument, as in a scalar loop over its length."""
    total = 0.0
    for i in range(len(x) - 1):
        total = total + 100.0 * (x[i + 1] - x[i] ** 2) ** 2 + (1.0 - x[i]) ** 2
    return total


def backwards(x):
    total = x[0]
    for i in range(len(x) - 2, 0, -1):
        total = total * 0.9 + x[i] * x[i + 1] - tj.exp(-x[i - 1])
    return total


def strided(x):
    total = 0.0
    for i in range(0, len(x) - 3, 2):
        total = total + tj.sin(x[i]) * x[i + 3]
    return total


def anywhere(x):
    """Elements in no order."""
    total = x[0]
    for i in np.random.default_rng(5).permutation(len(x)):
        total = tj.tanh(total) + x[int(i)] * x[0]
    return total


def numbers(x):
    """Numbers of Python that change from pass to pass."""
    y, z = x[0], x[1]
    for t in range(35):
        y = y * NUMBERS[t] + tj.cos(z) / (t + 1)
        z = z * 0.5 + y * y * 0.01 + 2.0**-t
    return y * z


def data(x):
    """Rows of an array outside."""
    s = x[:3]
    for t in range(40):
        s = tj.tanh(s * DATA[t] + x[3:6])
    return (s * s).sum()


def columns(x):
    s = x[:3]
    for t in range(40):
        s = tj.tanh(s * SPREAD[t] + x[3:6] * DATA[t, 0])
    return (s * s).sum()


def list_of_states(x):
    y, ys = x[0], []
    for t in range(30):
        y = tj.sin(y) + x[1] * x[t % 3]
        ys.append(y)
    return (tj.stack(ys) * np.linspace(0.5, 1.5, 30)).sum()


def list_of_vectors(x):
    y, ys = x[:3], []
    for _ in range(20):
        y = tj.sin(y) * x[3] + y[0]
        ys.append(y)
    return (tj.cat(ys) ** 2).sum()


def two_back(x):
    """Fibonacci's recurrence."""
    a, b = x[0], x[1]
    for _ in range(30):
        a, b = b, tj.sin(a) + 0.3 * b
    return a * b


def vectors_two_back(x):
    before = now = x[:3]
    for _ in range(30):
        before, now = now, 2.0 * now - before - 0.1 * tj.sin(now) * x[3]
    return (now * now).sum()


def matrices(x):
    a, s = x[:9].reshape(3, 3) * 0.3, x[:3]
    for _ in range(25):
        s = tj.tanh(W @ s + a @ s)
        a = a * 0.9 + 0.01 * (a @ W)
    return (s * s).sum() + a.sum()


def nested(x):
    y, total = x[0], x[1]
    for _ in range(12):
        for _ in range(9):
            y = tj.sin(y) * 0.9 + x[2]
        total = total + y * x[3]
        y = y + 0.1 * total
    return total * y


def triangle(x):
    total = 0.0
    for i in range(9):
        for j in range(i):
            total = total + tj.sqrt((x[i] - x[j]) ** 2 + 1.0)
    return total


def decided(x):
    """The same way in all passes."""
    y = x[0]
    for t in range(30):
        y = tj.sin(y) + 0.5 if y > -10.0 else y * x[t % 3]
        y = y * x[1]
    return y


def now_and_then(x):
    y = x[0]
    for t in range(36):
        y = tj.sin(y) * x[1]
        if t % 3 == 0:
            y = y + x[2] * x[3]
    return y


def masks(x):
    s = x[:5]
    for _ in range(20):
        s = tj.where(s > 0.1, s * 0.7, s + x[5]) + tj.relu(x[6] - s)
    return (s * s).sum()


def booleans(x):
    y = x[0]
    for _ in range(30):
        y = tj.where(y > x[1], y * 0.5, y + x[2])
    return y * y


def zeros(x):
    """Factors that are zero or infinite."""
    y = x[0] * 0.0
    for _ in range(20):
        y = tj.sqrt(y * y) * 0.5 + x[1] * x[2]
    return y


def carried_vector(x):
    total = tj.zeros(len(x))
    for t in range(20):
        total = total + x * NUMBERS[t]
        total = tj.sin(total)
    return total.sum()


def two_loops(x):
    y = x[0]
    for _ in range(20):
        y = tj.sin(y) + x[1]
    for _ in range(25):
        y = tj.cos(y) * x[2]
    return y


def fills(x):
    """Elements of an array are set one by one."""
    z = tj.zeros(20)
    for t in range(20):
        z[t] = x[t] * x[0]
    return (z * z).sum()


def follows(x):
    """Each element is made of the one before it."""
    z = tj.zeros(30)
    z[0] = x[0]
    for t in range(1, 30):
        z[t] = tj.sin(z[t - 1].clone()) * x[1] + x[2]
    return (z * z).sum()


def rows(x):
    z = tj.zeros((25, 3))
    for t in range(1, 25):
        z[t] = tj.tanh(z[t - 1].clone() * x[:3] + x[3:6])
    return (z * np.linspace(0, 1, 75).reshape(25, 3)).sum()


def overwrites(x):
    """An array with a gradient of its own, whose elements are read before they are written."""
    z = x * x[0]
    for t in range(20):
        z[t] = 0.5 * z[t] + x[1] * x[t % 7]
    return (z * z).sum()


def backwards_in_place(x):
    z, total = tj.cat([x, x[:5] * 2.0]), x[0]
    for t in range(23, -1, -1):
        z[t] = tj.cos(z[t + 1].clone()) * x[1]
        total = total + 0.3 * z[t]
    return total + z.sum()


def stacked(x):
    s, states, sums = x[:3], [], []
    for t in range(20):
        s = tj.tanh(s * DATA[t] + x[3:6])
        states.append(s)
        sums.append(s.sum())
    return (tj.stack(states, 1) ** 2).sum() + (tj.stack(sums) * x).sum()


def invariants(x):
    y = x[0]
    for _ in range(25):
        y = y * tj.exp(x[1]) + tj.sin(x[2]) * W[0, 0]
    return y * 1e-3


def fresh_arrays(x):
    """The same array made anew in every pass, beside a value that may be inf for all that is known."""
    m = x[:9].reshape(3, 3)
    for _ in range(12):
        m = m / (m + 2.0) + 0.1 * np.eye(3)
    return m.sum()


def looked_up(x):
    """An element of the state of the pass before, at places without a rule."""
    y = x[:4]
    for t in range(24):
        y = tj.cos(y) + 0.1 * y[int(CHOICE[t])]
    return y.sum()


PROGRAMS = [
    number, lorenz, reads, backwards, strided, anywhere, numbers, data, columns, list_of_states, list_of_vectors, two_back,
    vectors_two_back, matrices, nested, triangle, decided, now_and_then, masks, booleans, zeros, carried_vector, two_loops,
    fills, follows, rows, overwrites, backwards_in_place, stacked, invariants, fresh_arrays, looked_up,
]  # fmt: skip


def point(seed=0):
    return np.random.default_rng([seed, 7]).uniform(0.2, 0.9, size=20)


def compare(f, x, rtol=1e-9):
    v = np.random.default_rng(8).normal(size=x.shape).astype(x.dtype)
    transforms = {"gradient": tj.value_and_grad, "product": tj.hvp}
    for name, transform in transforms.items():
        replayed, eager = (transform(f, compile=c) for c in ("now", "never"))
        for seed in range(3):
            y = (x + 0.01 * seed).astype(x.dtype)
            args = (y,) if name == "gradient" else (y, v)
            mine, true = replayed(*args), eager(*args)
            for a, b in zip(*((r if isinstance(r, tuple) else (r,)) for r in (mine, true)), strict=True):
                np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol, err_msg=name)
    return replayed


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
def test_loops_agree_with_eager(f):
    assert loops(compare(f, point()))


SINGLE = [number, lorenz, reads, numbers, masks, carried_vector, two_back, nested]


@pytest.mark.parametrize("f", SINGLE, ids=lambda f: f.__name__)
def test_loops_in_single_precision(f):
    compare(f, point().astype(np.float32), 2e-3)


def test_captured_arrays_are_read_at_every_call():
    rows = DATA.copy()

    def f(x):
        s = x
        for t in range(40):
            s = tj.tanh(s * rows[t])
        return s.sum()

    g, x = tj.value_and_grad(f, compile="now"), np.ones(3) * 0.3
    g(x)
    assert loops(g)
    rows[:20] *= 0.5
    np.testing.assert_allclose(g(x)[1], tj.value_and_grad(f, compile="never")(x)[1], rtol=1e-12)


def test_parts_of_arrays_that_numpy_works_out_in_each_pass():
    """As a recurrent network has them whose input goes through a matrix outside of the differentiated part."""
    rows = DATA.copy()

    def f(x):
        s = x
        for t in range(40):
            a = rows[t] @ SPREAD[:3]
            s = 0.9 * s + tj.tanh(s * a[:3] + a[1:2]) * a[-1]
        return s.sum()

    g, eager, x = tj.value_and_grad(f, compile="now"), tj.value_and_grad(f, compile="never"), np.ones(3) * 0.3
    for factor in (1.0, 0.5, 2.0):
        rows[:20] *= factor
        for _ in range(2):
            np.testing.assert_allclose(g(x)[1], eager(x)[1], rtol=1e-9, atol=1e-12)
        assert loops(g)


def test_parts_of_arrays_that_somebody_keeps_are_read_at_every_call():
    kept = [DATA[t] * 1.0 for t in range(40)]

    def f(x):
        s = x
        for t in range(40):
            s = tj.tanh(s * kept[t][1:]) * kept[t][:1]
        return s.sum()

    g, eager, x = tj.value_and_grad(f, compile="now"), tj.value_and_grad(f, compile="never"), np.ones(2) * 0.3
    for _ in range(3):
        np.testing.assert_allclose(g(x)[1], eager(x)[1], rtol=1e-9, atol=1e-12)
        kept[3][0] += 0.5
        kept[30][2] -= 0.5


def halved(x):
    """As many passes as the data want."""
    y, count = x[0], 0
    while y > 0.01:
        y = y * x[1]
        count += 1
    return y * count


def test_while():
    g, eager = tj.value_and_grad(halved, compile="now"), tj.value_and_grad(halved, compile="never")
    for first in (0.5, 0.9, 0.5, 0.1, 0.02, 0.9, 0.5):
        x = np.array([first, 0.8])
        for a, b in zip(g(x), eager(x), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)
    assert g.calls["recorded"] < 7
    assert any(loops_of(p) for p in next(iter(g._signatures.values())).paths.programs)


def sides(x):
    """Decides in every pass; another path differs in the middle."""
    y = x[0]
    for t in range(30):
        y = y * 0.9 + x[1] if y < x[2] else y * 0.5
        y = y + 0.01 * t
    return y * y


def test_guards_inside_loops_lead_to_other_paths():
    g, eager = tj.value_and_grad(sides, compile="now"), tj.value_and_grad(sides, compile="never")
    for limit in (9.0, 0.8, 0.3, 9.0, 0.5, 0.3, 0.8):
        x = np.array([0.2, 0.1, limit])
        for a, b in zip(g(x), eager(x), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)


def test_decisions_have_the_bits_of_eager():
    """A threshold equal to what eager execution works out, to the last bit."""

    def f(x):
        y, way = x[0], 0
        for t in range(25):
            y = tj.exp(-y) * x[1] + 0.1 * y / (t + 1.0)
            if y >= limit:
                way += 1
        return y * way

    for k in range(12):
        y = tj.tensor(0.3 + 0.01 * k)
        for t in range(25):
            y = tj.exp(-y) * 0.7 + 0.1 * y / (t + 1.0)
        limit = y.item()
        x = np.array([0.3 + 0.01 * k, 0.7])
        g, eager = tj.value_and_grad(f, compile="now"), tj.value_and_grad(f, compile="never")
        g(x)
        assert g(x)[0] == eager(x)[0]
        assert g.calls["recorded"] == 1


def test_results_in_the_callers_arrays():
    g = tj.value_and_grad(reads, compile="now")
    x = point()
    out = np.empty(len(x))
    for _ in range(3):
        g.into(x, out)
    np.testing.assert_allclose(out, tj.grad(reads, compile="never")(x), rtol=1e-12)
    g.into(x, x)
    np.testing.assert_allclose(x, out)


def test_jacobians_of_loops():
    def f(x):
        s = x
        for t in range(30):
            s = tj.sin(s) * 0.9 + DATA[t] * s[0]
        return s

    x = np.array([0.1, 0.2, 0.3])
    np.testing.assert_allclose(tj.jacobian(f, compile="now")(x), tj.jacobian(f, compile="never")(x), rtol=1e-12)


def test_a_factorisation_in_a_loop_fails_as_in_eager():
    def f(x):
        a = x
        for _ in range(20):
            a = tj.linalg.cholesky(a @ a.mT + x)
        return a.sum()

    g, x = tj.value_and_grad(f, compile="now"), np.eye(2)
    for _ in range(2):
        np.testing.assert_allclose(g(x)[1], tj.value_and_grad(f, compile="never")(x)[1], rtol=1e-10)
    assert loops(g)
    with pytest.raises(tj.linalg.LinAlgError):
        g(-9.0 * x)


def in_list(x, count):
    y, ys = x, []
    for _ in range(count):
        y = tj.sin(y) * 0.9 + x
        ys.append(y)
    return (tj.stack(ys) ** 2).sum()


def in_place(x, count):
    z = tj.zeros(count)
    z[0] = x
    for t in range(1, count):
        z[t] = tj.sin(z[t - 1].clone()) * 0.9 + x
    return (z * z).sum()


@pytest.mark.parametrize("f", [in_list, in_place], ids=lambda f: f.__name__)
def test_lists_and_arrays_of_states_do_not_change_the_size_of_a_program(f):
    sizes = []
    for count in (100, 400):
        g = tj.value_and_grad(lambda x, count=count: f(x, count), compile="now")
        value, gradient = g(0.3)
        true = tj.value_and_grad(lambda x, count=count: f(x, count), compile="never")(0.3)
        np.testing.assert_allclose((value, gradient), true, rtol=1e-12)
        sizes.append(len(next(iter(g._signatures.values())).paths.last.frozen.graph.nodes))
    assert sizes[0] == sizes[1]


def test_numbers_of_passes_do_not_change_the_size_of_a_program():
    sizes = []
    for count in (50, 500):

        def f(x, count=count):
            y = x
            for _ in range(count):
                y = tj.sin(y) * 0.9 + x
            return y

        g = tj.value_and_grad(f, compile="now")
        g(0.3)
        sizes.append(len(next(iter(g._signatures.values())).paths.last.frozen.graph.nodes))
    assert sizes[0] == sizes[1]


def test_nested_loops_whose_outer_passes_do_not_fit_together_keep_the_inner_loops(monkeypatch):
    """Backwards a pass is longer than forwards; here too long for a pass: the outer loop forwards has no counterpart."""
    monkeypatch.setattr(periods, "LEVELS", (200, 30))
    monkeypatch.setattr(periods, "LITTLE", 100)

    def sweeps(x):
        u = [tj.sin(x * k) for k in range(20)]
        for _ in range(6):
            c, d = [x], [u[0] / x]
            for k in range(1, 20):
                m = 3.0 - x * c[k - 1]
                c.append(x / m)
                d.append((u[k] - x * d[k - 1]) / m)
            for k in range(18, -1, -1):
                d[k] = d[k] - c[k] * d[k + 1]
            u = d
        return (tj.stack(u) ** 2).sum()

    g = tj.value_and_grad(sweeps, compile="now")
    np.testing.assert_allclose(g(0.5), tj.value_and_grad(sweeps, compile="never")(0.5), rtol=1e-11)
    assert len(loops(g)) > 20


def check_random(seed):
    program = Program(seed)
    x = point(seed)
    for name, args in (("value_and_grad", (x,)), ("hvp", (x, np.cos(np.arange(20.0))))):
        replayed, eager = (getattr(tj, name)(program.function, compile=c) for c in ("now", "never"))
        for _ in range(2):
            for a, b in zip(*((r if isinstance(r, tuple) else (r,)) for r in (replayed(*args), eager(*args))), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-8, err_msg=program.source)


@pytest.mark.parametrize("seed", [*range(12), 1035])
def test_random_loops(seed):
    check_random(seed)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(100, 300, 10))
def test_many_random_loops(first):
    for seed in range(first, first + 10):
        check_random(seed)


@pytest.mark.parametrize("count", [20, 28, 31])
def test_short_loops_that_write_floats_backwards(count):
    """LLVM 22 ends the process at some of them, if it may make vectors."""

    def backwards(x):
        z = tj.zeros(count, dtype=tj.float32)
        for t in range(count - 1, -1, -1):
            z[t] = x[t] * 1.5 - x[t] * x[0]
        return z

    x = np.linspace(-1, 1, count, dtype=np.float32)
    g = tj.jit(backwards, compile="now")
    v, never = (tj.value_and_grad(lambda x: (backwards(x) ** 2).sum(), compile=when) for when in ("now", "never"))
    for _ in range(2):
        np.testing.assert_allclose(np.asarray(g(x)), x * (1.5 - x[0]), rtol=1e-6)
        np.testing.assert_allclose(np.asarray(v(x)[1]), np.asarray(never(x)[1]), rtol=1e-5)


def functions(g):
    """What functions the bodies of the loops work out, in order."""
    program = next(iter(g._signatures.values())).paths.last
    bodies = [node.attr.graph for node in program.frozen.graph.nodes if node.op == "loop"]
    return [{x.op for x in body.nodes} & {"sin", "cos", "exp", "log"} for body in bodies]


def test_the_reverse_of_a_loop_does_not_work_out_again_what_the_loop_did():
    def swings(x):
        y = x[0]
        for k in range(30):
            y = y + x[1] * tj.sin(y) - x[2] * tj.cos(y) + tj.exp(-y * y) * x[k]
        return y

    def large(x):
        y = x * 1.0
        for _ in range(30):
            y = y + 0.1 * tj.sin(y) - 0.2 * tj.cos(y)
        return y.sum()

    g = tj.value_and_grad(swings, compile="now")
    agree(swings, g, DATA[:, 0])
    assert functions(g)[0] == {"sin", "cos", "exp"}
    assert not any(functions(g)[1:])
    g = tj.value_and_grad(large, compile="now")
    agree(large, g, np.linspace(-1.0, 1.0, 300))
    assert all(found == {"sin", "cos"} for found in functions(g))


def test_a_decision_keeps_its_bits_where_another_record_works_out_the_same():
    def f(x):
        y, total = x[0], 0.0
        for k in range(30):
            total = total + tj.sin(y) * x[k]
            y = y + x[1] * tj.cos(y) + (0.3 if tj.sin(y) > 0.1 else -0.2)
        return total

    g = tj.value_and_grad(f, compile="now")
    for scale in (1.0, 0.5, -1.0):
        agree(f, g, scale * DATA[:, 0])


def agree(f, g, x):
    """Value and gradient are those of eager execution."""
    t = tj.tensor(x, requires_grad=True)
    expected = f(t)
    expected.backward()
    for _ in range(2):
        value, gradient = g(x)
        np.testing.assert_allclose(value, expected.item(), rtol=1e-12)
        np.testing.assert_allclose(gradient, t.grad.numpy(), rtol=1e-9, atol=1e-12)
