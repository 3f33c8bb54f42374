"""Linear algebra's derivatives are one statement each: the same code in all ways in, pull and push each other's transpose, and
all ways in of one mind with finite differences."""

import contextlib
import sys

import numpy as np
import pytest
from finite_differences import differences

import tapejit as tj
from tapejit import nopython
from tapejit.nopython import solving
from tapejit.spec import decomposing, matrixrules, matrixwords

N = 3


def draw(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


SQUARE = draw(N, N) * 0.3 + np.diag([1.0, 2.0, 4.0])
POSITIVE = SQUARE @ SQUARE.T
TALL, WIDE, LARGER = draw(4, N), draw(N, 4), draw(4, 4)

# name of the statements -> functions of a matrix, of NumPy's linalg or tapejit's, and the matrix
CASES = {
    "solve": (lambda L: lambda a: (L.solve(a, a[:, :2] * a[:, :2]) ** 3).sum(), SQUARE),
    "inverse": (lambda L: lambda a: (L.inv(a) ** 3).sum(), SQUARE),
    "determinant": (lambda L: lambda a: L.det(a) ** 2, LARGER),
    "log_determinant": (lambda L: lambda a: L.slogdet(a)[1] ** 2, SQUARE),
    "cholesky": (lambda L: lambda a: (L.cholesky(a) ** 3).sum(), POSITIVE),
    "eigh": (lambda L: lambda a: (L.eigh(a)[0] ** 3).sum() + (L.eigh(a)[1] ** 4).sum(), POSITIVE),
    "svd": (lambda L: lambda a: (L.svd(a, False)[0] ** 4).sum() + (L.svd(a, False)[1] ** 3).sum(), TALL),
    "svd of wide ones": (lambda L: lambda a: (L.svd(a, False)[0] ** 4).sum() + (L.svd(a, False)[2] ** 4).sum(), WIDE),
    "qr": (lambda L: lambda a: (L.qr(a)[0] ** 4).sum() + (L.qr(a)[1] ** 3).sum(), TALL),
    "pinv": (lambda L: lambda a: (L.pinv(a) ** 3).sum(), TALL),
}
OPS = {op.__name__: op for op in vars(solving).values() if hasattr(op, "pushforward")}


def statement(case, kind):
    return getattr(matrixrules, f"{case.split()[0]}_{kind}")


@contextlib.contextmanager
def codes_run():
    """The code objects of Python functions that are called meanwhile."""
    seen = set()
    sys.setprofile(lambda frame, event, arg: seen.add(frame.f_code) if event == "call" else None)
    try:
        yield seen
    finally:
        sys.setprofile(None)


def test_compiled_ops_have_no_derivatives_of_their_own():
    assert len(OPS) == 9
    own = {f.__code__ for f in matrixrules.STATEMENTS.values()}
    for op in OPS.values():
        assert op.pullback.py_func.__code__ in own
        assert op.pushforward.py_func.__code__ in own
        assert op.pullback.py_func.__name__.removesuffix("_pull") == op.pushforward.py_func.__name__.removesuffix("_push")


@pytest.mark.parametrize("name", CASES)
def test_the_eager_way_in_runs_the_same_code(name):
    make, a = CASES[name]
    x = tj.tensor(a, requires_grad=True)
    y = make(tj.linalg)(x)
    with codes_run() as seen:
        y.backward()
    assert statement(name, "pull").__code__ in seen
    compiled = {op.pullback.py_func.__code__ for op in OPS.values()}
    assert statement(name, "pull").__code__ in compiled


def test_forward_mode_runs_the_statement_beside_it():
    for name, (make, a) in CASES.items():
        if name == "svd of wide ones":
            continue
        with codes_run() as seen:
            tj.func.jvp(make(tj.linalg), (tj.tensor(a),), (tj.tensor(a),))
        assert statement(name, "push").__code__ in seen, name


def test_complex_tensors_have_the_same_statements():
    for name, f in vars(decomposing.COMPLEX.rules).items():
        assert f.__code__ is matrixrules.STATEMENTS[name].__code__


# Functions of one matrix or two, all results of each, on which pull and push are compared. Symmetric ones move symmetrically.
L = tj.linalg
MAPS = {
    "solve": (L.solve, [(4, 4), (4, 2)]),
    "solve from the right": (lambda a, b: L.solve(a, b, left=False), [(4, 4), (2, 4)]),
    **{
        f"triangular {left:d}{upper:d}{unit:d}": (
            lambda a, b, left=left, upper=upper, unit=unit: L.solve_triangular(
                a, b, left=left, upper=upper, unitriangular=unit
            ),
            [(4, 4), (4, 2) if left else (2, 4)],
        )
        for left in (True, False)
        for upper in (True, False)
        for unit in (True, False)
    },
    "inv": (L.inv, [(4, 4)]),
    "det": (L.det, [(4, 4)]),
    "slogdet": (lambda a: L.slogdet(a)[1], [(4, 4)]),
    "cholesky": (lambda a: L.cholesky(a @ a.mT), [(4, 4)]),
    "eigh": (lambda a: L.eigh(a + a.mT), [(4, 4)]),
    "svd": (lambda a: L.svd(a, False), [(5, 3)]),
    "svd of wide ones": (lambda a: L.svd(a, False), [(3, 5)]),
    "full singular values": (lambda a: L.svd(a)[1], [(5, 3)]),
    "qr": (L.qr, [(5, 3)]),
    "qr of wide ones": (L.qr, [(3, 5)]),
    "pinv": (L.pinv, [(5, 3)]),
    "matrix_exp": (L.matrix_exp, [(4, 4)]),
    "lu_factor": (lambda a: L.lu_factor(a)[0], [(4, 4)]),
}


@pytest.mark.parametrize("batch", [(), (2,)])
@pytest.mark.parametrize("name", MAPS)
def test_pull_and_push_are_each_others_transpose(name, batch):
    f, shapes = MAPS[name]
    at = [tj.tensor(draw(*batch, *shape) + (2 * np.eye(4) if shape == (4, 4) else 0)) for shape in shapes]
    moves = [tj.tensor(draw(*x.shape, seed=1)) for x in at]

    def flat(*xs):
        found = f(*xs)
        return tj.cat([t.reshape(-1) for t in (found if isinstance(found, tuple) else (found,))])

    y, moved = tj.func.jvp(flat, tuple(at), tuple(moves))
    weights = tj.tensor(draw(*y.shape, seed=2))
    adjoints = tj.func.vjp(flat, *at)[1](weights)
    along = sum((g * t).sum().item() for g, t in zip(adjoints, moves, strict=True))
    assert (moved * weights).sum().item() == pytest.approx(along, rel=1e-9)
    step = 1e-6
    ends = [flat(*(x + sign * step * t for x, t in zip(at, moves, strict=True))).numpy() for sign in (1, -1)]
    np.testing.assert_allclose(moved.numpy(), (ends[0] - ends[1]) / (2 * step), rtol=1e-5, atol=1e-6)


def test_the_kernel_of_choleskys_adjoint_computes_what_is_stated():
    for n, batch in ((4, (2,)), (70, ())):
        lower = tj.tensor(np.tril(draw(*batch, n, n)) + n * np.eye(n))
        g = tj.tensor(draw(*batch, n, n, seed=1))
        stated = matrixrules.cholesky_adjoint_stated(lower, g)
        np.testing.assert_allclose(matrixwords.cholesky_adjoint(lower, g).numpy(), stated.numpy(), rtol=1e-9, atol=1e-12)


def eager(f, a, v):
    """Value, gradient, and the Hessian along v."""
    x = tj.tensor(a, requires_grad=True)
    y = f(x)
    (g,) = tj.autograd.grad(y, x, create_graph=True)
    return y.item(), g.detach().numpy(), tj.autograd.grad((g * tj.tensor(v)).sum(), x)[0].numpy()


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_every_way_in(name):
    make, a = CASES[name]
    f, plain = make(tj.linalg), make(np.linalg)
    v = np.cos(np.arange(a.size)).reshape(a.shape)
    if a is POSITIVE:
        v = v + v.T
    value, gradient, second = eager(f, a, v)
    for along in (1, 2):
        at = np.array([0.0])
        slope = plain if along == 1 else lambda x: float((eager(f, x, v)[1] * v).sum())
        found = differences(lambda t, slope=slope: slope(a + t[0] * v), at)[0]
        expected = gradient if along == 1 else second
        assert (expected * v).sum() == pytest.approx(found, rel=1e-5, abs=1e-6)
    recorded = tj.value_and_grad(f, compile="now")
    for _ in range(2):
        assert recorded(a)[0] == pytest.approx(value, rel=1e-13)
        np.testing.assert_allclose(recorded(a)[1], gradient, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(tj.hvp(f)(a, v), second, rtol=1e-9, atol=1e-10)
    for mode in ("tape", "dual"):
        y, g = nopython.value_and_grad(plain, mode=mode)(a)
        assert y == pytest.approx(value, rel=1e-11)
        if mode == "dual" and a is POSITIVE:
            g = (g + g.T) / 2
        np.testing.assert_allclose(g, gradient, rtol=1e-8, atol=1e-9)
    single = nopython.grad(plain, mode="tape")(a.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, gradient, rtol=2e-3, atol=2e-3 * np.abs(gradient).max())
    again = nopython.hvp(plain)(a, v)
    if a is POSITIVE:
        again = (again + again.T) / 2
    np.testing.assert_allclose(again, second, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", CASES)
def test_batches_and_single_precision(name):
    make, a = CASES[name]
    f = make(tj.linalg)
    _, gradient, _ = eager(f, a, a)
    stack = tj.func.vmap(tj.func.grad(f))(np.stack([a, a * 1.5, a]))
    np.testing.assert_allclose(stack[0], gradient, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(stack[1], eager(f, a * 1.5, a)[1], rtol=1e-9, atol=1e-10)
    x = tj.tensor(a, dtype=tj.float32, requires_grad=True)
    (single,) = tj.autograd.grad(f(x), x)
    assert single.dtype is tj.float32
    np.testing.assert_allclose(single.numpy(), gradient, rtol=2e-3, atol=2e-3 * np.abs(gradient).max())
