"""Replayed gradients against a hand-derived gradient and the installed peers, in one run.

    python bench/bench_replay.py                 # a table: medians in microseconds and ratios
    python bench/bench_replay.py rosenbrock      # only rows whose name contains the word

The candidates of a row take turns, so that a busy machine slows all of them alike. Set OPENBLAS_NUM_THREADS=1 (and
XLA_FLAGS=--xla_cpu_multi_thread_eigen=false) for one thread. Under pytest-benchmark every row is a benchmark.
"""

import math
import os
import shutil
import sys
import time
import warnings

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import itertools

import numpy as np
import pytest
from numba import njit

import tapejit as tj

try:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
except ImportError:
    jax = None
try:
    import casadi
except ImportError:
    casadi = None
try:
    import ddx
except ImportError:
    ddx = None

RNG = np.random.default_rng(0)
FAST = dict(error_model="numpy", fastmath={"contract", "reassoc", "nsz"})
ROWS = {}


def row(name):
    def enter(make):
        ROWS[name] = make
        return make

    return enter


def blocked(function):
    """A JAX function that waits for its result."""
    return lambda *args: jax.block_until_ready(function(*args))


# Rosenbrock


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def rosenbrock_loop(x):
    total = 0.0
    for i in range(x.shape[0] - 1):
        total = total + 100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2
    return total


@njit(**FAST)
def rosenbrock_into(x, g):
    """Each element gathers from its neighbours: no element of g is written twice, and the loop vectorises."""
    n = x.shape[0]
    value = 0.0
    u = 1 - x[0]
    r = x[1] - x[0] * x[0]
    value += 100 * r * r + u * u
    g[0] = -400 * r * x[0] - 2 * u
    for i in range(1, n - 1):
        before = x[i] - x[i - 1] * x[i - 1]
        r = x[i + 1] - x[i] * x[i]
        u = 1 - x[i]
        value += 100 * r * r + u * u
        g[i] = 200 * before - 400 * r * x[i] - 2 * u
    g[n - 1] = 200 * (x[n - 1] - x[n - 2] * x[n - 2])
    return value


@njit(**FAST)
def rosenbrock_hand(x):
    g = np.empty_like(x)
    return rosenbrock_into(x, g), g


def rosenbrock_peers(n, scalar=False):
    x = RNG.standard_normal(n)
    found = {"hand": lambda: rosenbrock_hand(x)}
    function = tj.value_and_grad(rosenbrock_loop if scalar else rosenbrock, compile="now")
    found["tapejit"] = lambda: function(x)
    if not scalar:
        out = np.empty(n)
        found["tapejit into"] = lambda: function.into(x, out)
    if jax and not (scalar and n > 200):
        peer = blocked(jax.jit(jax.value_and_grad(rosenbrock_loop if scalar else rosenbrock)))
        found["jax"] = lambda: peer(x)
    if casadi and n <= 200:
        found["casadi"] = casadi_call(rosenbrock_sx, n, x)
    if ddx and n <= 200:
        found["ddx"] = ddx_call(n, x)
    return found


def rosenbrock_sx(x):
    n = x.shape[0]
    return sum(100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2 for i in range(n - 1))


def casadi_call(build, n, x, what="gradient"):
    """CasADi with generated C: its buffers are used, without conversion of arrays."""
    s = casadi.SX.sym("x", n)
    f = build(s)
    v = casadi.SX.sym("v", n)
    if what == "gradient":
        function = casadi.Function("f", [s], [f, casadi.gradient(f, s)])
        outputs = [np.empty(1), np.empty(n)]
        inputs = [x]
    else:
        product = casadi.jtimes(casadi.gradient(f, s), s, v, True)
        function = casadi.Function("f", [s, v], [product])
        outputs, inputs = [np.empty(n)], [x, RNG.standard_normal(n)]
    if shutil.which("gcc") or shutil.which("cc"):
        options = {"jit": True, "compiler": "shell", "jit_options": {"flags": ["-O3", "-march=native"]}}
        symbols = function.sx_in()
        function = casadi.Function("f", symbols, function.call(symbols), options)
    buffer, run = function.buffer()
    for j, a in enumerate(inputs):
        buffer.set_arg(j, memoryview(a))
    for j, a in enumerate(outputs):
        buffer.set_res(j, memoryview(a))
    keep = (function, buffer, inputs, outputs)
    return lambda run=run, keep=keep: run()


def ddx_call(n, x):
    def build():
        variables = [ddx.var(f"x{i}") for i in range(n)]
        total = 100 * (variables[1] - variables[0] * variables[0]) ** 2 + (1 - variables[0]) ** 2
        for a, b in itertools.pairwise(variables):
            total = total + 100 * (b - a * a) ** 2 + (1 - a) ** 2
        return total

    equation = ddx.equation(build)
    return lambda: equation.jacobian(x)


for _n in (2, 100, 10_000):
    ROWS[f"Rosenbrock n={_n}"] = lambda n=_n: rosenbrock_peers(n)
ROWS["Rosenbrock n=100, scalar loop"] = lambda: rosenbrock_peers(100, scalar=True)


@row("Rosenbrock n=100 inside njit, 1 000 calls")
def inside():
    x = RNG.standard_normal(100)
    function = tj.value_and_grad(rosenbrock, compile="now")
    function(x)
    into = function.nopython_into

    @njit
    def mine(x, g):
        total = 0.0
        for _ in range(1000):
            total += into(x, g)[0]
        return total

    @njit
    def hand(x, g):
        total = 0.0
        for _ in range(1000):
            total += rosenbrock_into(x, g)
        return total

    g = np.empty(100)
    return {"hand": lambda: hand(x, g), "tapejit": lambda: mine(x, g)}


# The path depends on the values


def seed_function(a):
    b = a * 2
    while b.norm() < 1000:
        b = b * 2
    return b if b.sum() > 0 else 100 * b


@row("value-dependent while/if, same path")
def same_path():
    function = tj.value_and_grad(seed_function, compile="now")
    return {"tapejit": lambda: function(0.3)}


@row("value-dependent while/if, another path each call")
def other_path():
    function = tj.value_and_grad(seed_function, compile="now")
    inputs = [0.3, -2.0, 1.1, -0.01, 5.0, 0.0007, -0.5, 2.5]
    for _ in range(3):
        for a in inputs:
            function(a)
    position = [0]

    def call():
        position[0] = (position[0] + 1) & 7
        return function(inputs[position[0]])

    return {"tapejit": call}


# Array code


def logistic(w, x, y):
    z = x @ w
    softplus = tj.softplus if isinstance(z, tj.Tensor) else jax.nn.softplus
    return (softplus(z) - y * z).mean()


def logistic_peers(n, d):
    x, w = RNG.standard_normal((n, d)), RNG.standard_normal(d)
    y = (RNG.random(n) > 0.5).astype(float)

    @njit(**FAST)
    def weights(z, y, s):
        total = 0.0
        for i in range(z.shape[0]):
            e = math.exp(-abs(z[i]))
            total += max(z[i], 0.0) + math.log1p(e) - y[i] * z[i]
            s[i] = ((1.0 if z[i] > 0 else e) / (1 + e) - y[i]) / z.shape[0]
        return total / z.shape[0]

    def hand():
        z = x @ w
        s = np.empty(n)
        value = weights(z, y, s)
        return value, s @ x

    function = tj.value_and_grad(logistic, compile="now")
    found = {"hand": hand, "tapejit": lambda: function(w, x, y)}
    if jax:
        peer = blocked(jax.jit(jax.value_and_grad(logistic)))
        jx, jy = jnp.asarray(x), jnp.asarray(y)
        found["jax"] = lambda: peer(w, jx, jy)
    return found


ROWS["logistic regression 1 000x20"] = lambda: logistic_peers(1000, 20)
ROWS["logistic regression 100 000x50"] = lambda: logistic_peers(100_000, 50)


@row("MLP 10-32-1 tanh, batch 32")
def small_mlp():
    def loss(p, x, t, tanh):
        return ((tanh(x @ p[0] + p[1]) @ p[2] + p[3] - t) ** 2).mean()

    p = tuple(RNG.standard_normal(s) for s in ((10, 32), (32,), (32, 1), (1,)))
    x, t = RNG.standard_normal((32, 10)), RNG.standard_normal((32, 1))
    function = tj.value_and_grad(lambda p, x, t: loss(p, x, t, tj.tanh), compile="now")
    found = {"tapejit": lambda: function(p, x, t)}
    if jax:
        peer = blocked(jax.jit(jax.value_and_grad(lambda p, x, t: loss(p, x, t, jnp.tanh))))
        found["jax"] = lambda: peer(p, x, t)
    return found


@row("MLP 784-128-10 relu, softmax-xent, batch 128")
def digits_mlp():
    p = tuple(RNG.standard_normal(s) * 0.05 for s in ((784, 128), (128,), (128, 10), (10,)))
    x, labels = RNG.standard_normal((128, 784)), np.eye(10)[RNG.integers(0, 10, 128)]

    def loss(p, x, labels):
        logits = tj.relu(x @ p[0] + p[1]) @ p[2] + p[3]
        return -(logits.log_softmax(1) * labels).sum() / 128

    function = tj.value_and_grad(loss, compile="now")
    found = {"tapejit": lambda: function(p, x, labels)}
    if jax:

        def peer_loss(p, x, labels):
            logits = jax.nn.relu(x @ p[0] + p[1]) @ p[2] + p[3]
            return -(jax.nn.log_softmax(logits, 1) * labels).sum() / 128

        peer = blocked(jax.jit(jax.value_and_grad(peer_loss)))
        jp, jx, jl = tuple(map(jnp.asarray, p)), jnp.asarray(x), jnp.asarray(labels)
        found["jax"] = lambda: peer(jp, jx, jl)
    return found


@row("200 x tanh(A@x+b), n=10")
def recurrent():
    def last(a, x, b, tanh):
        for _ in range(200):
            x = tanh(a @ x + b)
        return x.sum()

    a, x, b = RNG.standard_normal((10, 10)) * 0.3, RNG.standard_normal(10), RNG.standard_normal(10)
    function = tj.value_and_grad(lambda a, x, b: last(a, x, b, tj.tanh), (0, 1), compile="now")
    found = {"tapejit": lambda: function(a, x, b)}
    if jax:

        def scanned(a, x, b):
            return jax.lax.scan(lambda x, _: (jnp.tanh(a @ x + b), None), x, None, length=200)[0].sum()

        peer = blocked(jax.jit(jax.value_and_grad(scanned, (0, 1))))
        found["jax"] = lambda: peer(a, x, b)
    return found


# Black-Scholes: price and all Greeks as one gradient


def price(s, k, r, v, t, m):
    d1 = (m.log(s / k) + (r + 0.5 * v * v) * t) / (v * m.sqrt(t))
    d2 = d1 - v * m.sqrt(t)
    erfc = tj.erfc if m is tj else jax.scipy.special.erfc
    return s * (0.5 * erfc(-0.7071067811865476 * d1)) - k * m.exp(-r * t) * (0.5 * erfc(-0.7071067811865476 * d2))


@row("Black-Scholes, one option")
def one_option():
    function = tj.value_and_grad(lambda *a: price(*a, tj), (0, 1, 2, 3, 4), compile="now")
    option = (100.0, 110.0, 0.05, 0.2, 1.0)
    found = {"tapejit": lambda: function(*option)}
    if jax:
        peer = blocked(jax.jit(jax.value_and_grad(lambda *a: price(*a, jnp), (0, 1, 2, 3, 4))))
        found["jax"] = lambda: peer(*option)
    return found


@row("Black-Scholes, 1e6 options")
def many_options():
    options = [RNG.uniform(0.5, 1.5, 1_000_000) * c for c in (100, 110, 0.05, 0.2, 1)]
    function = tj.value_and_grad(lambda *a: price(*a, tj).sum(), (0, 1, 2, 3, 4), compile="now")
    outputs = [np.empty(1_000_000) for _ in options]
    found = {"tapejit": lambda: function(*options), "tapejit into": lambda: function.into(*options, outputs)}
    if jax:
        peer = blocked(jax.jit(jax.value_and_grad(lambda *a: price(*a, jnp).sum(), (0, 1, 2, 3, 4))))
        arrays = [jnp.asarray(o) for o in options]
        found["jax"] = lambda: peer(*arrays)
    return found


# Second order


@row("Hessian-vector product, Rosenbrock 100")
def second_order_product():
    x, v = RNG.standard_normal((2, 100))
    function = tj.hvp(rosenbrock, compile="now")
    found = {"tapejit": lambda: function(x, v)}
    if jax:
        peer = blocked(jax.jit(lambda x, v: jax.jvp(jax.grad(rosenbrock), (x,), (v,))[1]))
        found["jax"] = lambda: peer(x, v)
    if casadi:
        found["casadi"] = casadi_call(rosenbrock_sx, 100, x, "product")
    return found


@row("Hessian, Rosenbrock 100")
def second_order():
    x = RNG.standard_normal(100)
    function = tj.hessian(rosenbrock, compile="now")
    found = {"tapejit": lambda: function(x)}
    if jax:
        peer = blocked(jax.jit(jax.hessian(rosenbrock)))
        found["jax"] = lambda: peer(x)
    return found


# The pause


def pauses():
    """Seconds to record and compile scalar code of about so many records."""
    for n in (40, 388):
        function = tj.value_and_grad(rosenbrock_loop, compile="now")
        start = time.perf_counter()
        function(RNG.standard_normal(n))
        seconds = time.perf_counter() - start
        path = function.stats()["signatures"][0]["paths"][0]
        print(f"{path['records']} records: {seconds:.2f} s to record and compile, {path['seconds']:.2f} s of it compiling")


def measure(candidates, budget=1.0):
    """Medians in microseconds, the candidates taking turns."""
    times = {name: [] for name in candidates}
    repeats = {}
    for name, call in candidates.items():
        call(), call()
        start = time.perf_counter()
        call()
        repeats[name] = max(1, int(2e-4 / (time.perf_counter() - start)))
    stop = time.perf_counter() + budget * len(candidates)
    while time.perf_counter() < stop or len(times[name]) < 5:
        for name, call in candidates.items():
            count = repeats[name]
            start = time.perf_counter()
            for _ in range(count):
                call()
            times[name].append((time.perf_counter() - start) / count)
    return {name: sorted(t)[len(t) // 2] * 1e6 for name, t in times.items()}


@pytest.mark.parametrize("name", ROWS)
def test_replay(benchmark, name):
    benchmark(ROWS[name]()["tapejit"])


def main(words):
    warnings.simplefilter("ignore")
    print(f"{'microseconds':48}", *(f"{n:>14}" for n in ("hand", "tapejit", "tapejit into", "jax", "casadi", "ddx")))
    for name, make in ROWS.items():
        if words and not any(w.lower() in name.lower() for w in words):
            continue
        found = measure(make())
        cells = []
        for column in ("hand", "tapejit", "tapejit into", "jax", "casadi", "ddx"):
            ratio = f" ({found[column] / found['tapejit']:.2f})" if column in found and column != "tapejit" else ""
            cells.append(f"{found[column]:.2f}{ratio}" if column in found else "-")
        print(f"{name:48}", *(f"{c:>14}" for c in cells), flush=True)
    if not words:
        pauses()


if __name__ == "__main__":
    main(sys.argv[1:])
