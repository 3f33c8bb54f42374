"""Triangular systems, Cholesky, LU, solve, inv and determinants: values against NumPy, derivatives against differences."""

import numpy as np
import pytest
import scipy.linalg
from oracle import check_grad

import tapejit as tj
from tapejit import linalg

BATCHES = [(), (2,), (2, 1)]
SIZES = [1, 3, 20]  # beyond 16 rows BLAS and LAPACK take over


def draw(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(dtype)


def square(*batch, n=3, seed=0, dtype=np.float64):
    """Well-conditioned and not symmetric."""
    return draw(*batch, n, n, seed=seed, dtype=dtype) * 0.3 + np.eye(n, dtype=dtype) * 2


def definite(*batch, n=3, seed=0, dtype=np.float64):
    a = draw(*batch, n, n, seed=seed, dtype=dtype) * 0.4
    return a @ a.swapaxes(-1, -2) + np.eye(n, dtype=dtype)


def symmetric(x):
    return (x + x.mT) / 2


def tol(dtype):
    return {"rtol": 1e-10, "atol": 1e-11} if dtype == np.float64 else {"rtol": 3e-4, "atol": 3e-4}


both = pytest.mark.parametrize("dtype", [np.float64, np.float32])


@both
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("batch", BATCHES)
def test_values(batch, n, dtype):
    a, s, b = square(*batch, n=n, dtype=dtype), definite(*batch, n=n, dtype=dtype), draw(*batch, n, 2, dtype=dtype)
    ta, ts, tb = map(tj.tensor, (a, s, b))
    root = np.linalg.cholesky(s)
    lower = np.tril(a)
    sign, logarithm = np.linalg.slogdet(a)
    lu, pivots = linalg.lu_factor(ta)
    P, L, U = linalg.lu(ta)
    for got, expected in (
        (linalg.cholesky(ts), root),
        (linalg.cholesky(ts, upper=True), root.swapaxes(-1, -2)),
        (tj.cholesky_solve(tb, tj.tensor(root)), np.linalg.solve(s, b)),
        (tj.cholesky_inverse(tj.tensor(root)), np.linalg.inv(s)),
        (linalg.solve(ta, tb), np.linalg.solve(a, b)),
        (linalg.solve(ta, tb.mT, left=False), np.linalg.solve(a.swapaxes(-1, -2), b).swapaxes(-1, -2)),
        (linalg.inv(ta), np.linalg.inv(a)),
        (linalg.solve_triangular(ta, tb, upper=False), np.linalg.solve(lower, b)),
        (linalg.solve_triangular(ta, tb, upper=True), np.linalg.solve(np.triu(a), b)),
        (linalg.solve_triangular(ta, tb.mT, upper=False, left=False), b.swapaxes(-1, -2) @ np.linalg.inv(lower)),
        (linalg.lu_solve(lu, pivots, tb), np.linalg.solve(a, b)),
        (linalg.lu_solve(lu, pivots, tb, adjoint=True), np.linalg.solve(a.swapaxes(-1, -2), b)),
        (P @ L @ U, a),
        (linalg.det(ta), np.linalg.det(a)),
        (linalg.slogdet(ta).sign, sign),
        (linalg.slogdet(ta).logabsdet, logarithm),
    ):
        assert got.dtype is ta.dtype
        np.testing.assert_allclose(got.numpy(), expected, **tol(dtype))


def test_pivots_count_from_one_and_name_the_row_exchanged():
    lu, pivots = linalg.lu_factor(tj.tensor([[1.0, 2.0], [4.0, 2.0]]))
    assert pivots.tolist() == [2, 2]
    assert lu.tolist() == [[4.0, 2.0], [0.25, 1.5]]


FUNCTIONS = {
    "cholesky": (lambda s: linalg.cholesky(symmetric(s)), [definite(2)]),
    "cholesky upper": (lambda s: linalg.cholesky(symmetric(s), upper=True), [definite()]),
    "cholesky_solve": (tj.cholesky_solve, [draw(2, 3, 2), square()]),
    "cholesky_solve upper": (lambda b, t: tj.cholesky_solve(b, t, upper=True), [draw(3, 1), square(2)]),
    "cholesky_inverse": (tj.cholesky_inverse, [square()]),
    "solve": (linalg.solve, [square(), draw(3, 2)]),
    "solve vector": (linalg.solve, [square(), draw(3)]),
    "solve vectors": (linalg.solve, [square(2), draw(2, 3)]),
    "solve one matrix": (linalg.solve, [square(), draw(2, 3, 2)]),
    "solve one right side": (linalg.solve, [square(2), draw(3, 2)]),
    "solve from the right": (lambda a, b: linalg.solve(a, b, left=False), [square(2, 1), draw(2, 2, 3)]),
    "triangular": (lambda a, b: linalg.solve_triangular(a, b, upper=False), [square(), draw(2, 3, 2)]),
    "triangular right": (lambda a, b: linalg.solve_triangular(a, b, upper=True, left=False), [square(2), draw(2, 3)]),
    "triangular unit": (
        lambda a, b: linalg.solve_triangular(a, b, upper=True, unitriangular=True),
        [square(), draw(3, 2)],
    ),
    "inv": (linalg.inv, [square(2)]),
    "det 2": (linalg.det, [square(2, n=2)]),
    "det 3": (linalg.det, [square()]),
    "det 4": (linalg.det, [square(2, n=4)]),
    "slogdet": (lambda a: linalg.slogdet(a).logabsdet, [square(2)]),
    "logdet": (linalg.logdet, [definite()]),
    "lu_factor": (lambda a: linalg.lu_factor(a).LU, [square(2)]),
    "lu_solve": (lambda a, b: linalg.lu_solve(*linalg.lu_factor(a), b), [square(), draw(3, 2)]),
    "lu_solve adjoint": (lambda a, b: linalg.lu_solve(*linalg.lu_factor(a), b, adjoint=True), [square(), draw(3, 2)]),
    "several of one": (lambda a, b: linalg.inv(a) @ b + linalg.solve(a, b) * linalg.det(a), [square(), draw(3, 2)]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives(name):
    function, arrays = FUNCTIONS[name]
    check_grad(function, *arrays)


@pytest.mark.parametrize("name", ["cholesky", "solve", "triangular", "inv", "slogdet"])
def test_float32(name):
    function, arrays = FUNCTIONS[name]
    check_grad(function, *(a.astype(np.float32) for a in arrays), order=1)


@pytest.mark.parametrize("n", [20, 150])
def test_large_gradients_are_those_of_the_formulas(n):
    """Blocks, LAPACK and BLAS beyond the small loops: d logdet = A^-T, and through the Cholesky factor the same."""
    s = definite(n=n)
    x = tj.tensor(s, requires_grad=True)
    (2 * linalg.cholesky(x).diagonal().log().sum()).backward()
    np.testing.assert_allclose(x.grad.numpy(), np.linalg.inv(s), rtol=1e-9, atol=1e-11)
    a, b = square(n=n) * 3, draw(n, 2)
    x = tj.tensor(a, requires_grad=True)
    linalg.slogdet(x).logabsdet.backward()
    np.testing.assert_allclose(x.grad.numpy(), np.linalg.inv(a).T, rtol=1e-9, atol=1e-11)
    x = tj.tensor(a, requires_grad=True)
    y = tj.tensor(b, requires_grad=True)
    linalg.solve(x, y).sum().backward()
    adjoint = np.linalg.solve(a.T, np.ones((n, 2)))
    np.testing.assert_allclose(y.grad.numpy(), adjoint, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(x.grad.numpy(), -adjoint @ np.linalg.solve(a, b).T, rtol=1e-8, atol=1e-10)


def test_gradients_of_symmetric_matrices_are_symmetric():
    x = tj.tensor(definite(n=4), requires_grad=True)
    (linalg.cholesky(x) * tj.tensor(draw(4, 4))).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), x.grad.numpy().T)


def test_the_determinant_of_a_singular_matrix_has_a_gradient():
    """The cofactors, also for rank n - 1, and zeros for less."""
    for n in (2, 3, 4, 5):
        a = np.diag(np.arange(n, dtype=float))
        x = tj.tensor(a, requires_grad=True)
        linalg.det(x).backward()
        expected = np.zeros((n, n))
        expected[0, 0] = np.prod(np.arange(1, n))
        np.testing.assert_allclose(x.grad.numpy(), expected, atol=1e-12)
    x = tj.tensor(np.ones((4, 4)), requires_grad=True)
    linalg.det(x).backward()
    np.testing.assert_allclose(x.grad.numpy(), np.zeros((4, 4)), atol=1e-12)


def test_one_solve_gives_both_adjoints():
    """A and B share a backward: the record stops the sweep once, and its rule solves once."""
    a, b = tj.tensor(square(), requires_grad=True), tj.tensor(draw(3, 2), requires_grad=True)
    x = linalg.solve(a, b)
    x.sum().backward(retain_graph=True)
    first = a.grad.clone()
    x.sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), 2 * first.numpy())
    with pytest.raises(RuntimeError, match="second time"):
        x.sum().backward()


def test_errors_name_the_matrix_of_the_batch():
    stack = np.stack([np.eye(3)] * 6).reshape(2, 3, 3, 3)
    stack[1, 2] = -1
    with pytest.raises(np.linalg.LinAlgError, match=r"cholesky.* \(1, 2\) of the batch is not positive definite.*order 1"):
        linalg.cholesky(tj.tensor(stack))
    for function in (lambda t: linalg.solve(t, t), linalg.inv, linalg.lu_factor):
        with pytest.raises(np.linalg.LinAlgError, match=r"\(1, 2\) of the batch is singular"):
            function(tj.tensor(stack))
        with pytest.raises(np.linalg.LinAlgError, match=r"matrix 1 of the batch is singular"):
            function(tj.tensor(np.stack([np.eye(20), np.zeros((20, 20))])))
        with pytest.raises(np.linalg.LinAlgError, match=r"the matrix is singular"):
            function(tj.zeros(2, 2))


def test_a_failed_op_leaves_the_tape_as_it_was():
    x = tj.tensor(definite(), requires_grad=True)
    y = x * 2
    with pytest.raises(np.linalg.LinAlgError):
        linalg.cholesky(-y)
    linalg.cholesky(y).sum().backward()
    assert np.isfinite(x.grad.numpy()).all()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: linalg.solve(tj.ones(2, 3), tj.ones(2)), RuntimeError, "square"),
        (lambda: linalg.solve(tj.eye(2), tj.ones(3, 1)), RuntimeError, "do not fit"),
        (lambda: linalg.solve(tj.eye(2), tj.ones(2, dtype=tj.float32)), RuntimeError, "one dtype"),
        (lambda: linalg.cholesky(np.eye(2)), TypeError, "tensors"),
        (lambda: linalg.cholesky(tj.ones(3)), RuntimeError, "matrix"),
        (lambda: linalg.inv(tj.tensor([[1, 2], [3, 4]])), RuntimeError, "floating-point"),
        (lambda: linalg.lu_factor(tj.eye(2), pivot=False), NotImplementedError, "pivot"),
    ],
)
def test_wrong_arguments(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("batch", [(), (0,), (2,)])
@pytest.mark.parametrize("n", [0, 2])
def test_empty(n, batch):
    a = tj.tensor(np.broadcast_to(np.eye(n), (*batch, n, n)).copy(), requires_grad=True)
    results = [linalg.cholesky(a), linalg.inv(a), linalg.solve(a, a), linalg.det(a), linalg.slogdet(a)[1]]
    assert results[3].shape == batch
    sum(r.sum() for r in results).backward()
    assert a.grad.shape == (*batch, n, n)


def test_changed_in_place():
    """What was saved is the tensor's value then: changing the matrix does no harm, changing the factor is an error."""
    a = tj.tensor(definite(), requires_grad=True)
    x = a * 1
    b = linalg.solve(x, tj.ones(3, 1))
    x += 1
    b.sum().backward()
    expected = tj.tensor(definite(), requires_grad=True)
    linalg.solve(expected, tj.ones(3, 1)).sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), expected.grad.numpy())
    root = linalg.cholesky(a)
    root += 1
    with pytest.raises(RuntimeError, match="inplace"):
        root.sum().backward()


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (2, 6, 4), (2, 4, 6), (1, 3), (3, 1)])
def test_lu_of_any_shape(shape):
    a = draw(*shape)
    k = min(shape[-2:])
    P, L, U = linalg.lu(tj.tensor(a))
    for found, expected in zip((P, L, U), scipy.linalg.lu(a), strict=True):
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-13)
    factors, pivots = linalg.lu_factor(tj.tensor(a))
    assert tuple(pivots.shape) == (*shape[:-2], k)
    np.testing.assert_allclose(np.triu(factors.numpy()[..., :k, :]), U.numpy(), atol=1e-13)
    for part in (1, 2):
        check_grad(lambda x: linalg.lu(x)[part], a)  # noqa: B023
    f = tj.value_and_grad(lambda x: (linalg.lu(x).U ** 2).sum() + linalg.lu(x).L.sum())
    for x in (a, a, draw(*shape)[..., ::-1, :].copy()):
        leaf = tj.tensor(x, requires_grad=True)
        ((linalg.lu(leaf).U ** 2).sum() + linalg.lu(leaf).L.sum()).backward()
        np.testing.assert_allclose(f(x)[1], leaf.grad.numpy(), rtol=1e-9, atol=1e-11)
    again = tj.lu_unpack(*tj.lu(tj.tensor(a)))
    np.testing.assert_allclose((again.P @ again.L @ again.U).numpy(), a, atol=1e-12)
    assert tj.lu_unpack(factors, pivots, unpack_pivots=False).P.numel() == 0
    assert tj.lu(tj.tensor(a), get_infos=True).infos.numpy().max() == 0
