"""What Python looked at comes out in replay with the bits of eager execution."""

import numpy as np
import pytest
from random_array_programs import Program

import tapejit as tj
from tapejit.replay import background


def compiled(f):
    return tj.jit(f, compile="now")


def interpreted(f, monkeypatch):
    monkeypatch.setattr(background, "submit", lambda *_: True)
    return tj.jit(f)


def test_a_product_minus_its_rounded_value_is_zero():
    h = lambda a, b, c: a * (1.0 if a * b - c == 0 else 2.0)  # noqa: E731
    g = compiled(h)
    a, b = 1.5944831696449162, 0.7634834309038385
    assert g(a, b, 0.3) == 2 * a
    assert g(a, b, a * b) == a
    assert g(a, b, a * b) == a
    assert g(a, b, 0.3) == 2 * a


@pytest.mark.parametrize("seed", range(20))
def test_an_escaped_float_holds_for_the_arguments_it_was_recorded_with(seed):
    x = np.random.default_rng(seed).standard_normal(50)
    g = compiled(lambda x: (x * float((x * x + 0.1).sum())).sum())
    first = g(x)
    for _ in range(5):
        np.testing.assert_allclose(g(x), first, rtol=1e-14)
    assert g.calls["recorded"] == 1


UNARY = (
    "exp exp2 expm1 log1p sin cos tan atan sinh cosh tanh asinh sigmoid softplus silu gelu erf erfc square cube relu "
    "log log2 log10 sqrt rsqrt reciprocal acosh asin acos atanh"
).split()
_SAFE = {
    **dict.fromkeys("log log2 log10 sqrt rsqrt reciprocal".split(), lambda x: x.abs() + 0.3),
    "acosh": lambda x: x.abs() + 1.1,
    **dict.fromkeys("asin acos atanh".split(), lambda x: x * 0.2),
}


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [1, 37])
def test_every_function_decides_as_eager(name, dtype, n):
    op, safe = getattr(tj, name), _SAFE.get(name, lambda x: x)

    def f(x, y):
        z = op(safe(x)) * y + x
        first = z[0].item()
        return x.sum() * first + z.sum().item()

    rng = np.random.default_rng(0)
    arguments = [rng.uniform(-2, 2, (2, n)).astype(dtype) for _ in range(4)]
    g, eager = compiled(f), tj.jit(f, compile="never")
    for _ in range(2):
        for x, y in arguments:
            np.testing.assert_allclose(g(x, y), eager(x, y), rtol=1e-12 if dtype is np.float64 else 1e-4)
    assert g.calls["recorded"] == len(arguments)


def decisions(program):
    """A function that tells where the value of a random program lies, to the last bit."""

    def f(x, y, t):
        v = program.function(x, y)
        return x.sum() * 0 + (1.0 if v < t else 2.0 if v == t else 3.0 if v > t else 4.0)

    return f


def _check(seed, make):
    program = Program(seed)
    f = decisions(program)
    eager, g = tj.jit(f, compile="never"), make(f)
    value = tj.jit(program.function, compile="never")
    calls = []
    for _ in range(3):
        x, y = program.arguments()
        v = float(value(x, y))
        calls += [(x, y, float(t)) for t in (v, np.nextafter(v, np.inf), np.nextafter(v, -np.inf))]
    for repeated in range(2):
        before = g.calls["recorded"]
        for arguments in calls:
            assert g(*arguments) == eager(*arguments), program.source
        assert not repeated or g.calls["recorded"] == before, program.source
    return g


@pytest.mark.parametrize("seed", range(12))
def test_random_programs_compiled(seed):
    assert _check(seed, compiled).calls["eager"] == 0


@pytest.mark.parametrize("seed", range(12))
def test_random_programs_interpreted(seed, monkeypatch):
    _check(seed, lambda f: interpreted(f, monkeypatch))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12, 300))
def test_more_random_programs(seed, monkeypatch):
    _check(seed, compiled)
    _check(seed, lambda f: interpreted(f, monkeypatch))


_ONE = np.array([0.0, -0.0, 5e-324, 1e-310, 1.5, -3e200, -1e-200, np.inf, np.nan])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "reduce", ["x.sum()", "x.mean()", "x.norm()", "tj.dot(x.ravel(), 3 * x.ravel())", "x.sum(0, keepdim=True)"]
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_sum_of_one_term_decides_as_its_kernel_does(reduce, dtype):
    reduced = eval(f"lambda x: {reduce}", {"tj": tj})

    def f(x):
        return float((1 / reduced(x)).item())  # told from -0.0 too

    g = tj.jit(f, compile="now")
    with np.errstate(all="ignore"):
        for v in [*_ONE, *_ONE]:
            x = np.array([v], dtype)
            np.testing.assert_array_equal(g(x), f(tj.tensor(x)))
    assert g.stats()["calls"]["replayed"] >= len(_ONE)
