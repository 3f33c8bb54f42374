"""Linear algebra of complex matrices: values against NumPy, derivatives to second order, replay, batches, phases, edges."""

import math

import numpy as np
import pytest
import scipy.linalg
from oracle import check_grad

import tapejit as tj
from tapejit import linalg


def draw(*shape, seed=0):
    rng = np.random.default_rng([seed, *shape])
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


def hermitian(z):
    return (z + z.mH) * 0.5


def modulus(z):
    return z.real**2 + z.imag**2


def svd_product(z):
    U, S, Vh = linalg.svd(z, False)
    return (U * S[..., None, :] ** 2) @ Vh


# Functions that no phase changes, of one or two complex tensors.
FUNCTIONS = {
    "eigh values": (lambda z: linalg.eigh(hermitian(z)).eigenvalues, [draw(2, 3, 3)]),
    "eigh vectors": (lambda z: modulus(linalg.eigh(hermitian(z)).eigenvectors), [draw(3, 3)]),
    "eigh upper": (lambda z: modulus(linalg.eigh(hermitian(z), "U").eigenvectors), [draw(3, 3)]),
    "eigvalsh": (lambda z: linalg.eigvalsh(hermitian(z)), [draw(3, 3)]),
    "eig values": (lambda z: linalg.eigvals(z)[0] * linalg.eigvals(z)[1] + linalg.eigvals(z).sum(), [draw(3, 3)]),
    "eig vectors": (lambda z: modulus(linalg.eig(z).eigenvectors), [draw(2, 2)]),
    "svdvals": (linalg.svdvals, [draw(2, 2, 3)]),
    "svd U": (lambda z: modulus(linalg.svd(z, False).U), [draw(3, 2)]),
    "svd Vh": (lambda z: modulus(linalg.svd(z, False).Vh), [draw(2, 3)]),
    "svd all": (svd_product, [draw(3, 2)]),
    "svd square": (svd_product, [draw(2, 2)]),
    "qr Q": (lambda z: linalg.qr(z).Q, [draw(3, 2)]),
    "qr R": (lambda z: linalg.qr(z).R, [draw(2, 2)]),
    "qr wide": (lambda z: linalg.qr(z).Q @ linalg.qr(z).R ** 2, [draw(2, 3)]),
    "det 2": (linalg.det, [draw(2, 2)]),
    "det 3": (linalg.det, [draw(2, 3, 3)]),
    "det 4": (linalg.det, [draw(4, 4)]),
    "slogdet": (lambda z: linalg.slogdet(z).sign * linalg.slogdet(z).logabsdet, [draw(3, 3)]),
    "logdet": (tj.logdet, [draw(2, 2)]),
    "inv": (linalg.inv, [draw(2, 2)]),
    "solve": (linalg.solve, [draw(2, 2, 2), draw(2, 2)]),
    "solve right": (lambda a, b: linalg.solve(a, b, left=False), [draw(2, 2), draw(1, 2)]),
    "triangular": (lambda a, b: linalg.solve_triangular(a, b, upper=True), [draw(2, 2), draw(2, 1)]),
    "triangular unit": (
        lambda a, b: linalg.solve_triangular(a, b, upper=False, left=False, unitriangular=True), [draw(2, 2), draw(1, 2)]),
    "lu": (lambda z: linalg.lu(z).L @ linalg.lu(z).U ** 2, [draw(3, 3)]),
    "lu_solve": (lambda a, b: linalg.lu_solve(*linalg.lu_factor(a), b, adjoint=True), [draw(2, 2), draw(2, 1)]),
    "cholesky_solve": (
        lambda a, b: tj.cholesky_solve(b, linalg.cholesky(hermitian(a) + 4.0 * tj.eye(2))), [draw(2, 2), draw(2, 1)]),
    "pinv": (linalg.pinv, [draw(3, 2)]),
    "lstsq": (lambda a, b: linalg.lstsq(a, b).solution, [draw(3, 2), draw(3, 1)]),
    "matrix_exp": (linalg.matrix_exp, [draw(2, 2)]),
    "matrix_power": (lambda z: linalg.matrix_power(z, -2), [draw(2, 2)]),
    "cond": (linalg.cond, [draw(2, 2)]),
    "nuclear norm": (lambda z: linalg.matrix_norm(z, "nuc"), [draw(2, 3)]),
    "norms": (lambda z: linalg.matrix_norm(z, 1) * linalg.vector_norm(z, 3) + linalg.norm(z), [draw(2, 3)]),
    "kron": (tj.kron, [draw(1, 2), draw(2)]),
    "multi_dot": (lambda x, y: linalg.multi_dot([x, y, x]), [draw(2, 3), draw(3, 2)]),
    "cross": (linalg.cross, [draw(2, 3), draw(2, 3, seed=1)]),
    "vander": (linalg.vander, [draw(3)]),
    "vecdot": (linalg.vecdot, [draw(2, 3), draw(2, 3, seed=1)]),
    "tensorsolve": (linalg.tensorsolve, [draw(2, 1, 2), draw(2, 1)]),
}  # fmt: skip


def of_parts(f, n):
    """A function of complex tensors as one of real parts and imaginary parts."""

    def g(*parts):
        y = f(*(tj.complex(parts[2 * k], parts[2 * k + 1]) for k in range(n)))
        return tj.view_as_real(y) if isinstance(y, tj.ComplexTensor) else y

    return g


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_to_the_second_order(name):
    f, arrays = FUNCTIONS[name]
    parts = [part.copy() for z in arrays for part in (z.real, z.imag)]
    check_grad(of_parts(f, len(arrays)), *parts, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_replayed_as_eager(name):
    f, arrays = FUNCTIONS[name]

    def loss(*zs):
        y = f(*zs)
        return (modulus(y) if isinstance(y, tj.ComplexTensor) else y**2).sum()

    leaves = [tj.tensor(a, requires_grad=True) for a in arrays]
    value = loss(*leaves)
    value.backward()
    g = tj.value_and_grad(loss, argnums=tuple(range(len(arrays))))
    for _ in range(3):
        found, gradients = g(*arrays)
        np.testing.assert_allclose(found, value.item(), rtol=1e-11)
        for gradient, z in zip(gradients, leaves, strict=True):
            np.testing.assert_allclose(gradient, z.grad.numpy(), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("dtype", [np.complex128, np.complex64])
@pytest.mark.parametrize("shape", [(3, 3), (5, 3), (3, 5), (2, 1, 4, 3), (1, 1), (30, 20), (0, 3), (3, 0), (0, 2, 2)])
def test_factors_multiply_to_the_matrix(shape, dtype):
    a = draw(*shape).astype(dtype)
    tolerance = {"rtol": 1e-10, "atol": 1e-10} if dtype == np.complex128 else {"rtol": 5e-4, "atol": 5e-4}
    t, k = tj.tensor(a), min(shape[-2:])
    for U, S, Vh in (linalg.svd(t, full_matrices=False), linalg.svd(t)):
        assert S.dtype is (tj.float64 if dtype == np.complex128 else tj.float32)
        np.testing.assert_allclose(((U[..., :k] * S[..., None, :]) @ Vh[..., :k, :]).numpy(), a, **tolerance)
        for unitary in (U, Vh.mH):
            eye = np.broadcast_to(np.eye(unitary.shape[-1]), (*shape[:-2], unitary.shape[-1], unitary.shape[-1]))
            np.testing.assert_allclose((unitary.mH @ unitary).numpy(), eye, **tolerance)
    np.testing.assert_allclose(linalg.svdvals(t).numpy(), np.linalg.svd(a, compute_uv=False), **tolerance)
    for mode in ("reduced", "complete"):
        for found, expected in zip(linalg.qr(t, mode), np.linalg.qr(a, mode), strict=True):
            np.testing.assert_allclose(found.numpy(), expected, **tolerance)
    if a.size:
        np.testing.assert_allclose(linalg.pinv(t).numpy(), np.linalg.pinv(a), **tolerance)


@pytest.mark.parametrize("shape", [(3, 3), (2, 1, 4, 4), (1, 1), (30, 30), (0, 0), (0, 2, 2)])
def test_eigenvalues_determinants_and_systems_are_numpys(shape):
    a = draw(*shape)
    s, t = a + a.conj().swapaxes(-1, -2), tj.tensor(a)
    w, V = linalg.eigh(tj.tensor(s))
    np.testing.assert_allclose(w.numpy(), np.linalg.eigvalsh(s), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(((V * w[..., None, :]) @ V.mH).numpy(), s, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(linalg.eigvalsh(tj.tensor(np.triu(s)), "U").numpy(), w.numpy(), rtol=1e-12, atol=1e-12)
    w, V = linalg.eig(t)
    np.testing.assert_allclose((t @ V).numpy(), (V * w[..., None, :]).numpy(), rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(linalg.det(t).numpy(), np.linalg.det(a), rtol=1e-11)
    for found, expected in zip(linalg.slogdet(t), np.linalg.slogdet(a), strict=True):
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-11)
    np.testing.assert_allclose(linalg.inv(t).numpy(), np.linalg.inv(a), rtol=1e-9, atol=1e-10)
    if len(shape) == 2 and shape[0]:
        for found, expected in zip(linalg.lu(t), scipy.linalg.lu(a), strict=True):
            np.testing.assert_allclose(found.numpy(), expected, rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(linalg.matrix_exp(t / 4).numpy(), scipy.linalg.expm(a / 4), rtol=1e-11, atol=1e-12)


def test_eigenvalues_of_real_matrices_are_complex():
    """As in PyTorch; NumPy's function gives real tensors where they are."""
    a = np.random.default_rng(0).normal(size=(2, 5, 5))
    w, V = linalg.eig(tj.tensor(a))
    assert w.dtype is tj.complex128
    np.testing.assert_allclose((tj.tensor(a) @ V).numpy(), (V * w[..., None, :]).numpy(), atol=1e-12)
    np.testing.assert_allclose(w.numpy(), np.linalg.eigvals(a), rtol=1e-12)
    rotation = np.array([[0.0, 2.0], [-2.0, 0.0]])
    np.testing.assert_allclose(sorted(linalg.eigvals(tj.tensor(rotation)).imag.tolist()), [-2.0, 2.0])
    check_grad(lambda x: modulus(linalg.eig(x).eigenvectors), a[0, :3, :3])
    check_grad(lambda x: tj.view_as_real(linalg.eigvals(x)), a[1, :3, :3])
    check_grad(lambda x: np.linalg.eigvals(x), np.diag([1.0, 2.0, 4.0]) + 0.1 * a[0, :3, :3])
    g = tj.grad(lambda x: np.linalg.eigvals(x).imag.abs().sum())
    for t in (1.0, 3.0):  # w = +-i sqrt(b c), of which each derivative is known
        np.testing.assert_allclose(g(np.array([[0.0, t], [-1.0, 0.0]])), [[0, t**-0.5], [-(t**0.5), 0]], atol=1e-12)
    assert isinstance(np.linalg.eig(tj.tensor(np.diag([1.0, 2.0])))[0], tj.Tensor)
    assert isinstance(np.linalg.eigvals(tj.tensor(rotation)), tj.ComplexTensor)


@pytest.mark.parametrize("f", [
    lambda z: linalg.eigh(hermitian(z)).eigenvectors.real.sum(),
    lambda z: linalg.eig(z).eigenvectors.real.sum(),
    lambda z: linalg.svd(z).U.real.sum(),
])  # fmt: skip
def test_what_depends_on_phases_has_no_number(f):
    z = tj.tensor(draw(3, 3), requires_grad=True)
    f(z).backward()
    assert np.isnan(z.grad.numpy()).any()


def test_equal_eigenvalues():
    z = tj.tensor(np.diag([1.0 + 0j, 1.0, 2.0]), requires_grad=True)
    (linalg.eigvalsh(z) ** 3).sum().backward()
    np.testing.assert_allclose(z.grad.numpy(), 3 * np.diag([1.0, 1.0, 4.0]), atol=1e-12)
    z.grad = None
    linalg.eigvals(z).real.sum().backward()
    np.testing.assert_allclose(z.grad.numpy(), np.eye(3), atol=1e-12)
    q = np.linalg.qr(draw(3, 3)).Q
    z = tj.tensor(q @ np.diag([1.0, 1.0, 2.0]) @ q.conj().T, requires_grad=True)
    modulus(linalg.eigh(z).eigenvectors[0]).backward(tj.tensor([1.0, 2.0, 3.0]))
    assert np.isnan(z.grad.numpy()).any()


def test_singular_matrices():
    a = draw(4, 4)
    a[3] = 2j * a[0]
    z = tj.tensor(a, requires_grad=True)
    linalg.det(z).backward(tj.tensor(1 + 0j))
    cofactors = [[(-1) ** (i + j) * np.linalg.det(np.delete(np.delete(a, i, 0), j, 1)) for j in range(4)] for i in range(4)]
    np.testing.assert_allclose(z.grad.numpy(), np.conj(cofactors), rtol=1e-10, atol=1e-12)
    sign, logarithm = linalg.slogdet(tj.zeros((2, 2), dtype=tj.complex128))
    assert sign.item() == 0
    assert logarithm.item() == -math.inf
    with pytest.raises(linalg.LinAlgError, match="singular"):
        linalg.inv(tj.zeros((2, 2), dtype=tj.complex128))
    with pytest.raises(linalg.LinAlgError, match="singular"):
        linalg.lu_factor(tj.zeros((2, 2), dtype=tj.complex128))
    assert linalg.matrix_rank(tj.tensor(np.outer(draw(3), draw(3, seed=1)))).item() == 1
    rank_one = np.outer(draw(3), draw(2))
    np.testing.assert_allclose(linalg.pinv(tj.tensor(rank_one)).numpy(), np.linalg.pinv(rank_one), rtol=1e-10)


def test_batched_by_vmap():
    a = draw(3, 2, 2)
    for f in (linalg.eigvalsh, linalg.svdvals, lambda z: modulus(linalg.eig(z).eigenvectors), linalg.det, linalg.lu_factor,
              lambda z: linalg.qr(z).R, linalg.inv):  # fmt: skip
        whole, each = f(tj.tensor(a)), tj.vmap(f)(tj.tensor(a))
        for x, y in zip(*((t if isinstance(t, tuple) else (t,)) for t in (whole, each)), strict=True):
            np.testing.assert_allclose(y.numpy(), x.numpy(), rtol=1e-12, atol=1e-13)
    loss = lambda z: modulus(linalg.det(z)) + linalg.svdvals(z).sum()  # noqa: E731
    rows = tj.vmap(tj.grad(loss))(tj.tensor(draw(2, 4, 4)))
    for row, one in zip(rows.numpy(), draw(2, 4, 4), strict=True):
        np.testing.assert_allclose(row, tj.grad(loss)(one), rtol=1e-9)


def test_numpy_functions_and_methods():
    a = draw(3, 3)
    z = tj.tensor(a)
    np.testing.assert_allclose(np.linalg.det(z).item(), np.linalg.det(a))
    np.testing.assert_allclose(np.linalg.svd(z, compute_uv=False).numpy(), np.linalg.svd(a, compute_uv=False))
    np.testing.assert_allclose(np.linalg.norm(z, axis=0).numpy(), np.linalg.norm(a, axis=0))
    np.testing.assert_allclose(np.linalg.norm(z, 2).item(), np.linalg.norm(a, 2))
    np.testing.assert_allclose(np.linalg.eigh(z + z.mH)[0].numpy(), np.linalg.eigh(a + a.conj().T)[0])
    np.testing.assert_allclose(z.det().item(), np.linalg.det(a))
    U, S, V = tj.svd(z)
    np.testing.assert_allclose(((U * S) @ V.mH).numpy(), a)
    np.testing.assert_allclose(z.norm().item(), np.linalg.norm(a))
    assert tj.eye(2, dtype=tj.complex64).dtype is tj.complex64


def test_errors():
    z = tj.tensor(draw(4, 2), requires_grad=True)
    with pytest.raises(RuntimeError, match="square"):
        linalg.det(z)
    with pytest.raises(RuntimeError, match="UPLO"):
        linalg.eigh(z[:2], "X")
    with pytest.raises(RuntimeError, match="mode"):
        linalg.qr(z, "full")
    for result in (linalg.svd(z).U, linalg.qr(z, "complete").Q):
        with pytest.raises(RuntimeError, match="no derivative"):
            modulus(result).sum().backward()
    with pytest.raises(np.linalg.LinAlgError, match="did not converge"):
        linalg.eigvals(tj.full((3, 3), complex(math.nan, 0)))
