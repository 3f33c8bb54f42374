"""Functions with loops along a length, and what compares calls of them with eager execution."""

import math

import numpy as np

import tapejit as tj

LENGTHS = (50, 60, 73, 20, 8, 9, 10, 11, 200, 1000, 0, 1, 2, 3, 7, 12, 61)
P = np.array([0.3, 0.6, 0.25])


def by_range(x, n):
    y = x[0]
    for _ in range(n):
        y = y * x[1] + tj.sin(y) * 0.1
    return y * x[2]


def by_counter(x, n):
    y = x[0]
    for i in range(n):
        y = y * x[1] + x[2] * i / (i + 1)
    return y / n if n else y


def backwards(x, n):
    y = x[0]
    for i in range(n - 1, -1, -1):
        y = y * x[1] + x[2] * (0.01 * i)
    return y


def from_one(x, n):
    y, z = x[0], x[1]
    for i in range(1, n + 1):
        y, z = z, y * x[2] + z * (1.0 / (i * i))
    return y + z


def with_reversed(x, n):
    y = x[0]
    for i in reversed(range(n)):
        y = y * x[1] + x[2] / (n - i)
    return y


def by_fori_loop(x, n):
    return tj.fori_loop(0, n, lambda i, y: y * x[1] + x[2] * i, x[0])


def with_defaults(x, n, dt=0.1, scale=2):
    y = x[0]
    for _ in range(n):
        y = y + dt * (x[1] - y) * scale
    return y * x[2]


def step(y, x, i):
    if i > 1000000:
        raise RuntimeError
    return y * x[1] + x[2] * i


def by_function(x, n):
    y = x[0]
    for i in range(n):
        y = step(y, x, i)
    return y


def early_values(x, n):
    """What the first passes leave is read after the loop."""
    y, first = x[0], x[1]
    for i in range(n):
        y = y * x[1] + x[2]
        if i == 0:
            first = y
    return y * first


def returns_count(x, n):
    y = x[0]
    for _ in range(n):
        y = y * x[1] + x[2]
    return y


def by_steps(x, n):
    """The step depends on their number."""
    dt, y, v = 1.0 / n if n else 1.0, x[0], x[1]
    for _ in range(n):
        y, v = y + dt * v, v - dt * x[2] * y / 2
    return y


def timed(x, n):
    """The time of each step, of which there are as many."""
    dt, y = 1.0 / n if n else 1.0, x[0]
    for i in range(n):
        y = y + dt * (x[1] * tj.cos(i * dt) - x[2] * y * tj.exp(-0.5 * i))
    return y


def rooted(x, n):
    y = x[0]
    for i in range(n):
        y = y * x[1] + x[2] / tj.sqrt(i + 1.0)
    return y * n


NUMBERS = [
    by_range, by_counter, backwards, from_one, with_reversed, by_fori_loop, with_defaults, by_function, early_values,
    returns_count, by_steps, timed, rooted,
]  # fmt: skip


def along(p, ys):
    v, total = p[0], 0.0
    for y in ys:
        v = p[0] + p[1] * v + p[2] * y**2
        total = total + tj.log(v) + y**2 / v
    return total


def by_index(p, ys):
    v, total = p[0], 0.0
    for t in range(len(ys)):
        v = p[0] + p[1] * v + p[2] * ys[t] ** 2
        total = total + v * ys[t]
    return total


def by_shape(p, ys):
    v = p[0] * 1.0
    for t in range(1, ys.shape[0]):
        v = p[1] * v + p[2] * ys[t] * ys[t - 1]
    return v


def mean(p, ys):
    total = 0.0
    for y in ys:
        total = total + (y - p[0]) ** 2 * p[1]
    return total / len(ys) + p[2] if len(ys) else p[0] * 1.0


def enumerated(p, ys):
    total = p[0]
    for i, y in enumerate(ys):
        total = total * p[1] + y * i
    return total * p[2]


def paired(p, ys):
    total = p[0]
    for a, b in zip(ys[1:], ys[:-1]):  # noqa: B905
        total = total * p[1] + a * b
    return total * p[2]


def from_the_end(p, ys):
    total = p[0]
    for i in range(len(ys) - 1, -1, -1):
        total = total * p[1] + ys[i]
    return total * p[2]


def by_reversed(p, ys):
    total = p[0]
    for y in reversed(ys):
        total = total * p[1] + y
    return total * p[2]


def smoothed(p, ys):
    """There and back."""
    a = p[0]
    for y in ys:
        a = a * p[1] + y
    for i in range(len(ys)):
        a = a * p[2] + ys[len(ys) - 1 - i]
    return a


def branches(p, ys):
    a = p[0]
    for y in ys:
        a = a * p[1] + y
        if a < -100.0:
            a = a * 0.5
    return a * p[2]


def scanned(p, ys):
    def body(carry, y):
        v, total = carry
        v = p[0] + p[1] * v + p[2] * y**2
        return (v, total + tj.log(v)), None

    (v, total), _ = tj.scan(body, (p[0], 0.0), ys)
    return total + v


def scanned_back(p, ys):
    return tj.scan(lambda h, y: (tj.tanh(h * p[1] + y), None), p[0], ys, reverse=True)[0] * p[2]


def chosen(p, ys):
    a = p[0]
    for y in ys:
        a = tj.cond(a > -100.0, lambda a, y: a * p[1] + y, lambda a, y: a + y, a, y)
    return a


SERIES = [
    along, by_index, by_shape, mean, enumerated, paired, from_the_end, by_reversed, smoothed, branches, scanned, scanned_back,
    chosen,
]  # fmt: skip


def rows(w, ys):
    h, total = tj.zeros(3), 0.0
    for y in ys:
        h = tj.tanh(w @ y + 0.9 * h)
        total = total + (h * h).sum()
    return total


def by_states(w, ys):
    """A state that is put together anew in each pass."""
    s = tj.stack([w[0, 0], w[1, 1]])
    for y in ys:
        a, b = s
        s = tj.stack([a + 0.1 * b, b - 0.1 * a + y @ w[0]])
    return (s * s).sum()


def by_closures(w, ys):
    def body(h, y):
        rate = lambda x: x * 0.5  # noqa: E731
        return rate(h) + y @ w[1]

    h = w[0, 0]
    for y in ys:
        h = body(h, y)
    return h


def filtered(w, ys):
    """With arrays from outside."""
    m, c = tj.zeros(2), tj.eye(2)
    total = 0.0
    for y in ys:
        m, c = TURN @ m, TURN @ c @ TURN.T + tj.eye(2) * w[0, 0] ** 2
        gain = c[:, 0] / (c[0, 0] + 1.0)
        m, c = m + gain * (y[0] * w[1, 0] - m[0]), c - tj.outer(gain, c[0])
        total = total + (m * m).sum()
    return total


TURN = np.array([[0.9, 0.1], [-0.1, 0.9]])


def by_parameters(params, ys):
    h = tj.zeros(3)
    for y in ys:
        h = tj.tanh(params["w"] @ y + params["a"] * h)
    return h.sum()


def two_arrays(w, ys, us):
    h = tj.zeros(3)
    for y, u in zip(ys, us):  # noqa: B905
        h = 0.5 * h + w @ y * u
    return (h * h).sum()


def elements(w, ys):
    h = w[:, 0] * 0.0
    for t in range(ys.shape[0]):
        h = h * 0.9 + w[:, 0] * ys[t, 0] + w[:, 1] * ys[t][1]
    return h.sum()


def name(f):
    return f.__name__


def series(n, *shape):
    return np.sin(np.arange(n * math.prod(shape), dtype=float) * 1.7).reshape(n, *shape)


def programs(g):
    return [p for s in g._lengths.signatures() for p in s.paths.counted]


def compare(f, make, lengths=LENGTHS, how=tj.value_and_grad, **options):
    """The replayed function after the calls with some lengths, all as eager."""
    g, eager = how(f, compile="now", **options), how(f, compile="never", **options)
    for n in lengths:
        args = make(n)
        found, expected = g(*args), eager(*args)
        for a, b in zip(found, expected, strict=True) if isinstance(found, tuple) else [(found, expected)]:
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11, err_msg=f"length {n}")
    return g
