"""Functions that use what nopython mode supports, one feature each; all take a vector of six numbers."""

# ruff: noqa: B905, RUF007, SIM108  (these are the constructs under test)

import math

import numpy as np
from numba import njit

POINT = np.array([0.3, -0.7, 1.1, 0.9, 0.2, 0.6])
MATRIX = np.arange(36.0).reshape(6, 6) / 10
FUNCTIONS = {}


def feature(f):
    FUNCTIONS[f.__name__] = f
    return f


@njit
def helper(a, y):
    w = np.zeros(3)
    for k in range(3):
        w[k] = a[k] * y
    return w[0] + w[1] * w[2]


@njit
def passive_helper(n):
    w = np.zeros(n)
    for k in range(n):
        w[k] = k
    return w.sum()


@njit
def power_by_recursion(x, n):
    if n == 0:
        return x * 1.0
    return x * power_by_recursion(x, n - 1)


@njit
def with_default(x, scale=3.0):
    return x * scale


@njit
def two_results(a, b):
    return a * b, a + b


@feature
def loop_carried_from_int(x):
    s = 0
    for i in range(x.size):
        s += x[i] * x[i] * i
    return s


@feature
def recurrence_in_work_array(x):
    w = np.zeros(x.shape[0])
    for i in range(1, len(x)):
        w[i] = w[i - 1] + x[i] * x[i - 1]
    return w[len(x) - 1] * w[2]


@feature
def work_matrix_and_index_array(x):
    w = np.zeros((2, 3), dtype=np.float64)
    for i in range(2):
        for j in range(3):
            w[i, j] = x[i * 3 + j] ** 2
    w[0, 1] += 3 * x[0]
    idx = np.zeros(2, dtype=np.int64)
    idx[0] = 1
    return w[0, idx[0]] * w[1, 2]


@feature
def slices_and_views(x):
    a = x[1:4]
    b = x[::-1]
    w = np.empty(3)
    w[:] = a
    w[0:2] = b[0:2]
    v = w[1:]
    v[0] = v[0] * x[5]
    return w[0] * w[1] + w[2] * a[2]


@feature
def iteration(x):
    s = 0.0
    for v in x:
        s += math.sin(v)
    for k, v in enumerate(x):
        s += k * v * v
    for a, b in zip(x, x[1:]):
        s += a * b
    return s


@feature
def sums_and_means(x):
    m = x.reshape((2, 3))
    return np.sum(x) * x[0] + x.sum() * x.mean() + np.mean(m) + m.sum()


@feature
def axis_reductions(x):
    m = x.reshape((3, 2)) * 2.0
    a = np.sum(m, axis=0)
    b = m.sum(axis=-1)
    return a[0] * b[1] + np.sum(m, 1)[2]


@feature
def third_axis(x):
    m = x.reshape((1, 2, 3)) * x[0]
    return np.sum(m, axis=2)[0, 1] * np.sum(m, axis=1)[0, 2] + m.sum(0)[1, 1]


@feature
def dots(x):
    y = np.dot(MATRIX, x)
    return np.dot(y, x)


@feature
def matmul(x):
    y = MATRIX @ x
    m = x.reshape((2, 3))
    p = m @ m.T
    q = x @ MATRIX
    return y @ y + p[0, 1] * p[1, 1] + q[2]


@feature
def outer_trace_norm(x):
    o = np.outer(x[:2], x[2:4])
    return o[0, 1] * o[1, 0] + np.trace(o) + np.linalg.norm(x) + np.vdot(x, x)


@feature
def array_expression(x):
    y = x * 2.0 + x * x - 1.0 / (x + 2.0)
    return y[0] * y[3]


@feature
def broadcasting(x):
    m = x.reshape((2, 3))
    r = m * x[:3] + m * m[:, :1]
    return np.sum(r * r) + np.sum(3.0 - m[0])


@feature
def array_functions(x):
    y = np.sin(x) * np.exp(-x) + np.tanh(x) ** 2
    return y[0] + y[1] * y[2] + np.sum(np.sqrt(np.abs(x)))


@feature
def array_in_place(x):
    y = np.zeros(6)
    y += x
    y *= 2.0
    y[1:3] -= x[2]
    y /= 3.0
    y **= 2
    m = np.ones((2, 3))
    m *= x[:3]
    return y[0] * y[1] + y[2] + m[1, 2]


@feature
def array_comparison_and_where(x):
    y = np.where(x > 0.5, x * x, -x)
    z = np.where(x < 0, 0.0, x)
    return np.sum(y * z) + np.sum((x > 0.25) * x)


@feature
def extremes_of_several(x):
    n = max(1, len(x), 2)
    return max(x[0], 0.1, x[1] * n, x[2]) * min(x[0] * x[1], x[1], x[2]) + max(n, x[2], x[0])


@feature
def copies_of_every_order(x):
    a = np.zeros((2, len(x)))
    a[0] = x
    a[1] = x * x
    t = a.T.copy()
    every_other = a[:, ::2].copy()
    a[0, 0] = 2.0
    plain = np.arange(6.0).reshape((2, 3)).T.copy() * x[0]
    t[0, 0] += every_other[1, 1]
    return np.sum(t * t * t) * every_other[1, 0] * np.sum(plain) + np.sum(a.copy() * a)


@feature
def extremes(x):
    return np.max(x) * np.min(x) + x.max() * x[x.argmax() - 1] + np.argmin(x) * x[2] + max(x[0], x[1], x[2])


@feature
def products_and_spread(x):
    return np.prod(x) + np.var(x) * np.std(x) + np.cumsum(x)[3] * np.cumprod(x)[2] + np.diff(x)[1] ** 2


@feature
def calls(x):
    a, b = two_results(x[0], x[1])
    return (
        helper(x, x[3])
        + passive_helper(4) * x[0]
        + a * b
        + with_default(x[2])
        + with_default(x[2], scale=x[1])
    )


@feature
def recursion(x):
    return power_by_recursion(x[0], 4)


@feature
def tuples(x):
    t = (x[0], x[1] * 2, 3.0)
    a, b, c = t
    b, a = a, b
    total = 0.0
    for v in (x[2], x[3]):
        total += v * v
    return a * b + c * t[1] + total


@feature
def lists(x):
    values = [x[0], x[1]]
    values.append(x[2] * x[3])
    s = 0.0
    for v in values:
        s += v * v
    return s * len(values) + [v * 2 for v in values][1]


@feature
def arrays_from_sequences(x):
    a = np.array([x[0], x[1] * x[2]])
    b = np.array([1.0, 2.0, 3.0])
    b[1] = x[4]
    c = np.array([[x[0], 1.0], [x[1], x[2]]])
    d = np.array((x[5], 2.0))
    return a[0] * a[1] * b[1] + b[2] + c[1, 1] * c[1, 0] + d[0] * d[1]


@feature
def comprehension(x):
    return np.sum(np.array([v * v for v in x]))


@feature
def branches(x):
    if x[0] > 0:
        y = 1.0
    else:
        y = x[1] * 2
    z = x[2] if x[1] < 0 else 0
    return y * z + max(x[0], 0.1) + min(x[1], x[2]) + abs(x[1])


@feature
def while_with_break(x):
    y = 1.0
    it = 0
    while True:
        yn = 0.5 * (y + (x[2] + 2) / y)
        err = abs(yn - y)
        y = yn
        it += 1
        if err < 1e-12 or it > 100:
            break
        if it == 3:
            continue
    return y


@feature
def best_so_far(x):
    best = x[0]
    arg = 0
    for i in range(1, len(x)):
        if x[i] > best:
            best = x[i]
            arg = i
    return best * x[arg]


@feature
def closures(x):
    def square(v):
        return v * v

    return square(x[0]) + square(x[1])


@feature
def numpy_scalar_functions(x):
    return (
        np.sqrt(np.abs(x[1])) + np.log(x[2]) ** 2.5 + 2 ** x[0] + x[2] ** x[3] + float(x[0]) + int(x[2])
        + np.square(x[0]) + np.maximum(x[0], x[1]) * np.minimum(x[2], 3.0)
    )  # fmt: skip


@feature
def math_functions(x):
    a, b = x[0], x[2]
    return (
        math.exp(a) + math.expm1(b) + math.log(b) + math.log1p(a) + math.log2(b) + math.log10(b) + math.sqrt(b)
        + math.sin(a) * math.cos(b) + math.tan(a) + math.asin(a) + math.acos(a) + math.atan(b) + math.atan2(a, b)
        + math.sinh(a) + math.cosh(b) + math.tanh(a) + math.asinh(a) + math.acosh(b) + math.atanh(a)
        + math.erf(a) + math.erfc(b) + math.hypot(a, b) + math.pow(b, a) + math.fabs(x[1]) + math.degrees(a)
    )  # fmt: skip


@feature
def rounding(x):
    return (
        x[0] * math.floor(x[2]) + x[1] * round(x[3]) + x[2] % 0.4 + x[2] // 0.3 * x[4] + np.ceil(x[0]) * x[5]
    )


@feature
def views_and_copies(x):
    a = x.reshape((2, 3)).T.copy()
    b = a.ravel()
    c = np.copy(x)
    c[0] = c[0] * x[1]
    d = x.astype(np.float64)
    e = a[:, 0]
    return a[0, 1] * a[2, 0] + b[3] * c[0] + d[2] * e[1] + a.T[1, 2] + a.flatten()[1]


@feature
def value_dependent_index(x):
    k = 0
    s = 0.0
    while k < 5 and s < 1.0:
        s += x[k] ** 2
        k += 1
    return s / k


@feature
def powers(x):
    s = x[2] ** -2 + x[2] ** 0.5 + x[1] ** 3 + (-x[1]) ** x[0] + pow(x[3], 2)
    for n in range(4):
        s += x[2] ** n
    return s


@feature
def augmented(x):
    y = x[0]
    y **= 2
    y -= 1
    y /= x[2]
    y *= y
    return -y + +y * 3.0


@feature
def constant_on_one_path(x):
    if x[0] > 100:
        return x[1]
    return 0.0


@feature
def allocators(x):
    a = np.zeros_like(x)
    a[0] = x[0]
    b = np.ones(3)
    b[1] = x[1]
    c = np.full(2, x[2])
    d = np.full(3, 2.0)
    d[0] = x[3]
    e = np.empty_like(x)
    e[:] = 1.5
    e[2] = x[4]
    f = np.full_like(x, x[5])
    return a[0] * b[1] * c[1] + b[0] + d[0] * d[1] + e[2] * e[3] + f[3]


@feature
def overwriting_the_argument(x):
    x[0] = x[0] * 2
    for i in range(3):
        x[i] += MATRIX[0, i] * x[i + 1]
    return x[0] * x[1] + x[2]


@feature
def swaps(x):
    a, b = x[0], x[1]
    for _ in range(5):
        a, b = b + 0.1 * a * a, a
    return a * b


@feature
def sum_read_in_its_loop(x):
    s = 0.0
    t = 1.0
    for i in range(6):
        s += x[i] * x[i]
        t *= 1.0 + 0.1 * s
    return s * t


@feature
def sum_copied_then_continued(x):
    s = x[0]
    for i in range(3):
        s += x[i] * x[i]
    kept = s
    twice = 2.0 * s
    for i in range(3, 6):
        s = s + x[i] * kept - x[0]
    return s * kept + twice


@feature
def nested_sums(x):
    total = 0.0
    for i in range(6):
        inner = 0.0
        for j in range(i + 1):
            inner += x[j] * MATRIX[i, j]
        total += inner * inner
        for j in range(2):
            total -= x[j] * 0.5
    return total + total * x[0]


@feature
def sum_in_branches(x):
    s = x[1]
    n = 0
    for i in range(6):
        if x[i] > 0.5:
            s += x[i] ** 2
        elif x[i] < 0:
            s = x[i] * 3
        else:
            s -= x[0] * x[i]
            n += 1
    return s * n


@feature
def sum_restarted(x):
    out = np.zeros(3)
    for k in range(3):
        s = x[k]
        for j in range(4):
            s += x[j] * x[k]
        out[k] = s
        s = s * 2
    return out[0] * out[1] * out[2] + s


@feature
def two_sums_at_once(x):
    a = 0.0
    b = 0.0
    for i in range(6):
        a += x[i]
        b += x[i] * x[i]
    a, b = b, a
    for i in range(2):
        a += x[i] * 2.0
        b -= x[i + 1]
    return a * b


@feature
def identity(x):
    return x[2]


@feature
def many_terms(x):
    y = x[0] * x[1] + x[2] * x[3] + x[4] * x[5]
    a, b, c = y * x[0], y + x[1] * x[1], math.sin(y) * x[2]
    w = np.zeros(12)
    for k in range(12):
        w[k] = x[k % 6] * (k + 1)
    z = w[0] * w[1] + w[2] * w[3] + w[4] * w[5] + w[6] * w[7] + w[8] * w[9] + w[10] * w[11]
    return a * b * c + z * y


@feature
def sorting(x):
    y = np.sort(x)
    return y[0] * y[1] + y[5] * x[np.argsort(x)[2]]
