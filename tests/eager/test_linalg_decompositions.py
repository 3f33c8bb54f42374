"""eigh, svd, qr, eig and what is made of them: values, derivatives to second order, equal values, functions of matrices."""

import math

import numpy as np
import pytest
from oracle import check_grad

import tapejit as tj
from tapejit import linalg


def draw(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(dtype)


def symmetric(x):
    return (x + x.mT) / 2


def real_eigenvalues(*batch, n=3):
    return np.diag(np.arange(1.0, n + 1)) + 0.1 * draw(*batch, n, n)


both = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def tol(dtype):
    return {"rtol": 1e-10, "atol": 1e-10} if dtype == np.float64 else {"rtol": 5e-4, "atol": 5e-4}


@both
@pytest.mark.parametrize("shape", [(3, 3), (5, 3), (3, 5), (2, 1, 4, 3), (1, 1), (40, 30)])
def test_factors_multiply_to_the_matrix(shape, dtype):
    a = draw(*shape, dtype=dtype)
    t = tj.tensor(a)
    k = min(shape[-2:])
    for U, S, Vh in (linalg.svd(t, full_matrices=False), linalg.svd(t)):
        np.testing.assert_allclose(((U[..., :k] * S[..., None, :]) @ Vh[..., :k, :]).numpy(), a, **tol(dtype))
        np.testing.assert_allclose((U.mT @ U).numpy(), np.broadcast_to(np.eye(U.shape[-1]), (U.mT @ U).shape), **tol(dtype))
    np.testing.assert_allclose(linalg.svdvals(t).numpy(), np.linalg.svd(a, compute_uv=False), **tol(dtype))
    for mode in ("reduced", "complete"):
        Q, R = linalg.qr(t, mode)
        expected = np.linalg.qr(a, mode)
        np.testing.assert_allclose(Q.numpy(), expected.Q, **tol(dtype))
        np.testing.assert_allclose(R.numpy(), expected.R, **tol(dtype))
    np.testing.assert_allclose(linalg.qr(t, "r").R.numpy(), np.linalg.qr(a, "r"), **tol(dtype))
    np.testing.assert_allclose(linalg.pinv(t).numpy(), np.linalg.pinv(a), **tol(dtype))


@both
@pytest.mark.parametrize("shape", [(3, 3), (2, 1, 4, 4), (1, 1), (30, 30)])
def test_eigenvalues_and_vectors(shape, dtype):
    a = draw(*shape, dtype=dtype)
    s = a + a.swapaxes(-1, -2)
    w, V = linalg.eigh(tj.tensor(s))
    np.testing.assert_allclose(w.numpy(), np.linalg.eigvalsh(s), **tol(dtype))
    np.testing.assert_allclose(((V * w[..., None, :]) @ V.mT).numpy(), s, **tol(dtype))
    np.testing.assert_allclose(linalg.eigvalsh(tj.tensor(np.triu(s)), "U").numpy(), w.numpy(), **tol(dtype))


FUNCTIONS = {
    "eigh values": (lambda x: linalg.eigh(symmetric(x)).eigenvalues, [draw(2, 3, 3)]),
    "eigh vectors": (lambda x: linalg.eigh(symmetric(x)).eigenvectors ** 2, [draw(2, 3, 3)]),
    "eigh upper": (lambda x: linalg.eigh(symmetric(x), "U").eigenvectors ** 2, [draw(3, 3)]),
    "eigvalsh": (lambda x: linalg.eigvalsh(symmetric(x)), [draw(3, 3)]),
    "eig": (lambda x: np.linalg.eig(x)[1] ** 2, [real_eigenvalues(2)]),
    "eigvals": (lambda x: np.linalg.eigvals(x), [real_eigenvalues()]),
    "svdvals": (linalg.svdvals, [draw(2, 3, 4)]),
    "svd U": (lambda x: linalg.svd(x, False).U ** 2, [draw(4, 3)]),
    "svd Vh": (lambda x: linalg.svd(x, False).Vh ** 2, [draw(3, 4)]),
    "svd all": (lambda x: (lambda U, S, Vh: (U * S**2) @ Vh)(*linalg.svd(x, False)), [draw(4, 3)]),
    "svd square": (lambda x: linalg.svd(x).U ** 2, [draw(3, 3)]),
    "qr Q": (lambda x: linalg.qr(x).Q, [draw(2, 4, 3)]),
    "qr R": (lambda x: linalg.qr(x).R, [draw(3, 3)]),
    "qr wide": (lambda x: linalg.qr(x).Q @ linalg.qr(x).R ** 2, [draw(2, 3)]),
    "pinv": (linalg.pinv, [draw(4, 3)]),
    "pinv wide": (linalg.pinv, [draw(2, 2, 3)]),
    "lstsq": (lambda a, b: linalg.lstsq(a, b).solution, [draw(4, 2), draw(4, 2)]),
    "lstsq wide": (lambda a, b: linalg.lstsq(a, b).solution, [draw(2, 4), draw(2, 1)]),
    "lstsq residuals": (lambda a, b: linalg.lstsq(a, b).residuals, [draw(4, 2), draw(4, 2)]),
    "matrix_exp": (linalg.matrix_exp, [draw(2, 3, 3)]),
    "matrix_exp large": (lambda x: linalg.matrix_exp(x * 8) * 1e-4, [draw(2, 2)]),
    "matrix_power 3": (lambda x: linalg.matrix_power(x, 3), [draw(3, 3)]),
    "matrix_power -2": (lambda x: linalg.matrix_power(x, -2), [draw(3, 3) + 3 * np.eye(3)]),
    "multi_dot": (lambda *xs: linalg.multi_dot(xs), [draw(3), draw(3, 2), draw(2, 4), draw(4)]),
    "kron": (linalg.kron, [draw(2, 3), draw(3)]),
    "cross": (linalg.cross, [draw(2, 3), draw(1, 3, seed=1)]),
    "trace": (linalg.trace, [draw(3, 4)]),
    "diag": (lambda x: tj.diag(x, 1) + tj.diag(x[1:], -1).sum() * tj.diag(tj.diag(x)).sum(), [draw(3)]),
    "diag_embed": (lambda x: tj.diag_embed(x, -1, 0, 2), [draw(2, 3)]),
    "cond": (linalg.cond, [draw(3, 3)]),
    "cond 1": (lambda x: linalg.cond(x, 1), [draw(3, 3)]),
    "vander": (linalg.vander, [draw(3)]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives(name):
    function, arrays = FUNCTIONS[name]
    check_grad(function, *arrays)


@pytest.mark.parametrize("name", ["eigh vectors", "svd all", "qr Q", "pinv", "matrix_exp"])
def test_float32(name):
    function, arrays = FUNCTIONS[name]
    check_grad(function, *(a.astype(np.float32) for a in arrays), order=1, rtol=1e-2, atol=1e-2)


ORDERS = ["fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf]


@pytest.mark.parametrize("order", ORDERS)
def test_matrix_norms(order):
    a = draw(2, 4, 3)
    assert linalg.matrix_norm(tj.tensor(a), order, keepdim=True).shape == (2, 1, 1)
    np.testing.assert_allclose(linalg.matrix_norm(tj.tensor(a), order).numpy(), np.linalg.norm(a, order, (-2, -1)))
    np.testing.assert_allclose(linalg.norm(tj.tensor(a), order, (2, 0)).numpy(), np.linalg.norm(a, order, (2, 0)))
    np.testing.assert_allclose(linalg.norm(tj.tensor(a[0]), order).numpy(), np.linalg.norm(a[0], order))
    check_grad(lambda x: linalg.matrix_norm(x, order), a[0])


@pytest.mark.parametrize("order", [0, 1, 2, 3, 0.5, -1, math.inf, -math.inf])
def test_vector_norms(order):
    a = draw(2, 3) + 2 * np.sign(draw(2, 3))
    np.testing.assert_allclose(linalg.vector_norm(tj.tensor(a), order, 1).numpy(), np.linalg.norm(a, order, 1))
    np.testing.assert_allclose(linalg.vector_norm(tj.tensor(a), order).item(), np.linalg.norm(a.ravel(), order))
    check_grad(lambda x: linalg.vector_norm(x, order, 1), a)


def rotated(values, seed=0):
    q = np.linalg.qr(draw(len(values), len(values), seed=seed)).Q
    return q @ np.diag(values) @ q.T


EQUAL = [np.diag([1.0, 1.0, 2.0, 3.0]), rotated([1.0, 1.0, 2.0, 3.0]), np.eye(4), rotated([1.0, 1.0, 1.0, 5.0])]


@pytest.mark.parametrize("a", EQUAL)
def test_equal_values_where_the_function_does_not_mix_them(a):
    """d norm(A) = A / norm(A), d sum(w^3) = 3 A^2, d nuc(A) = U Vh, through the vectors where they are used."""
    def gradient(f):
        x = tj.tensor(a, requires_grad=True)
        f(x).backward()
        return x.grad.numpy()

    def product(factors):
        U, S, Vh = factors
        return ((U * S[..., None, :]) @ Vh).norm()

    expected = a / np.linalg.norm(a)
    np.testing.assert_allclose(gradient(lambda x: product(linalg.svd(x))), expected, atol=1e-10)
    np.testing.assert_allclose(gradient(lambda x: (lambda w, V: product((V, w, V.mT)))(*linalg.eigh(x))), expected, atol=1e-10)
    np.testing.assert_allclose(gradient(lambda x: (linalg.eigvalsh(x) ** 3).sum()), 3 * a @ a, atol=1e-10)
    np.testing.assert_allclose(gradient(lambda x: linalg.matrix_norm(x, "nuc")), np.eye(4), atol=1e-10)
    np.testing.assert_allclose(gradient(lambda x: linalg.svdvals(x).prod()), np.linalg.det(a) * np.linalg.inv(a), atol=1e-9)


def test_equal_values_that_a_function_mixes_have_no_number():
    """What the vectors' adjoints cannot tell is NaN, never a number that looks right."""
    x = tj.tensor(np.diag([1.0, 1.0, 2.0]), requires_grad=True)
    linalg.eigh(x).eigenvectors.sum().backward()
    assert np.isnan(x.grad.numpy()[0, 1])
    x = tj.tensor(np.diag([1.0, 1.0, 2.0]), requires_grad=True)
    linalg.svd(x).U.sum().backward()
    assert np.isnan(x.grad.numpy()).any()


def test_rank_deficient():
    """The pseudo-inverse is smooth where the rank stays: (c A)^+ = A^+ / c. Singular values that are 0 count as equal ones."""
    a = np.outer([1.0, 2.0, 3.0], [1.0, -1.0])
    check_grad(lambda c: linalg.pinv(tj.tensor(a) * c), np.array(1.7))
    x = tj.tensor(a, requires_grad=True)
    (linalg.svdvals(x) ** 2).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * a, atol=1e-12)
    assert linalg.matrix_rank(tj.tensor(a)).item() == 1
    np.testing.assert_allclose(linalg.lstsq(tj.tensor(a), tj.ones(3, 1)).solution.numpy(), np.linalg.pinv(a) @ np.ones((3, 1)))


def test_gradients_of_symmetric_matrices_are_symmetric():
    x = tj.tensor(draw(4, 4) + draw(4, 4).T, requires_grad=True)
    (linalg.eigh(x).eigenvectors ** 2 * tj.tensor(draw(4, 4))).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), x.grad.numpy().T, atol=1e-14)


def test_errors():
    with pytest.raises(np.linalg.LinAlgError, match="matrix 1 of the batch did not converge"):
        linalg.eig(tj.tensor(np.stack([np.eye(2), np.full((2, 2), np.nan)])))
    with pytest.raises(np.linalg.LinAlgError, match="did not converge"):
        linalg.svd(tj.full((3, 3), math.nan))
    with pytest.raises(RuntimeError, match="UPLO"):
        linalg.eigh(tj.eye(2), "X")
    with pytest.raises(RuntimeError, match="mode"):
        linalg.qr(tj.eye(2), "full")
    with pytest.raises(RuntimeError, match="two different"):
        linalg.matrix_norm(tj.eye(2), "fro", (0, 0))
    with pytest.raises(RuntimeError, match="orders"):
        linalg.matrix_norm(tj.eye(2), 3)
    x = tj.tensor(draw(4, 2), requires_grad=True)
    for result in (linalg.svd(x).U, linalg.qr(x, "complete").Q):
        with pytest.raises(RuntimeError, match="no derivative"):
            result.sum().backward()
    linalg.svd(x).S.sum().backward()  # after errors the sweep works as before
    np.testing.assert_allclose(x.grad.numpy(), np.linalg.svd(draw(4, 2), False)[0] @ np.linalg.svd(draw(4, 2), False)[2])


def test_only_what_is_asked_for():
    """retain_grad, several roots, a graph kept and used again: the sweep that stops is the sweep."""
    x = tj.tensor(draw(3, 3) + 4 * np.eye(3), requires_grad=True)
    y = x * 2
    y.retain_grad()
    z = linalg.inv(y)
    z.retain_grad()
    w = linalg.inv(z).sum() + z.sum() * 0
    w.backward(retain_graph=True)
    np.testing.assert_allclose(x.grad.numpy(), np.full((3, 3), 2.0), atol=1e-10)
    np.testing.assert_allclose(y.grad.numpy(), np.ones((3, 3)), atol=1e-10)
    assert z.grad is not None
    (g,) = tj.autograd.grad(w, y)
    np.testing.assert_allclose(g.numpy(), np.ones((3, 3)), atol=1e-10)


def test_a_loop_runs_in_constant_memory():
    from tapejit.core import tape

    x = tj.tensor(draw(8, 8) + 8 * np.eye(8), requires_grad=True)
    sizes = []
    for step in range(600):
        (linalg.eigh(symmetric(x)).eigenvalues.sum() + linalg.solve(x, x).sum()).backward()
        x.grad = None
        if step % 200 == 199:
            sizes.append(int(tape.main.header[tape.R.H_BYTES]))
    assert sizes[-1] < 3 * (1 << 22)


def test_in_a_thread():
    import threading

    found = []

    def work():
        x = tj.tensor(draw(3, 3), requires_grad=True)
        linalg.svdvals(x).sum().backward()
        found.append(x.grad.numpy().copy())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    u, _, vh = np.linalg.svd(draw(3, 3))
    assert len(found) == 4
    for g in found:
        np.testing.assert_allclose(g, u @ vh, atol=1e-10)
