"""Complex tensors: values are NumPy's, gradients dL/dRe + i dL/dIm as PyTorch's, eager and replayed."""

import mpmath
import numpy as np
import pytest
from oracle import check_grad

import tapejit as tj
import tapejit.array_api as xp
import tapejit.numpy as tnp

Z = np.array([1 + 2j, -3.5 + 0.25j, -1 - 0.75j, 0.5 - 2j])
W = np.array([0.5 - 1j, 2 + 1j, -0.25 + 3j, 0.75 + 1.5j])
UNARY = """exp log sqrt sin cos tan sinh cosh tanh square reciprocal conj sgn acos asin atan acosh asinh atanh expm1
    log1p""".split()
OPERATIONS = {
    **{name: (lambda z, w, name=name: getattr(z, name)()) for name in UNARY},
    "add": lambda z, w: 2 * z + w - 1j,
    "mul": lambda z, w: z * w * (1 - 2j),
    "div": lambda z, w: z / w + 1 / z + z / 2,
    "namespaces": lambda z, w: tnp.exp(z) * tnp.multiply(w, 2.0) + xp.asin(w) - tnp.power(z, 2),
    "powers": lambda z, w: z**3 + z**-2 + z**0.5 + z**w,
    "prod": lambda z, w: (z * w).prod() * z.prod(0, keepdim=True),
    "cumsum": lambda z, w: z.cumsum(0) * w.sum() + w.mean(),
    "products": lambda z, w: z @ w + tj.vdot(z, w) + z.reshape(2, 2) @ w.reshape(2, 2).T,
    "joined": lambda z, w: tj.cat([z, w])[1:5] * tj.stack([z, w])[0],
    "chosen": lambda z, w: tj.where(tj.tensor([True, False, True, False]), z, w),
    "real ones": lambda z, w: z * w.real + z.abs() * tj.exp(1j * w.angle()),
    "solve": lambda z, w: tj.linalg.solve(z.reshape(2, 2), w.reshape(2, 2)) + tj.linalg.inv(w.reshape(2, 2)),
    "fft": lambda z, w: tj.fft.fft(z, 5) * tj.fft.ifft(w, 5),
}


def of_pairs(f):
    """A real function of four real arrays, for the oracle."""
    return lambda a, b, c, d: tj.view_as_real(f(tj.complex(a, b), tj.complex(c, d)))


@pytest.mark.parametrize("name", OPERATIONS)
def test_derivatives_to_the_second_order(name):
    check_grad(of_pairs(OPERATIONS[name]), Z.real.copy(), Z.imag.copy(), W.real.copy(), W.imag.copy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", OPERATIONS)
def test_replayed_as_eager_with_complex_arrays(name):
    def loss(z, w):
        return OPERATIONS[name](z, w).abs().sum()

    z, w = tj.tensor(Z, requires_grad=True), tj.tensor(W)
    value = loss(z, w)
    value.backward()
    g = tj.value_and_grad(loss, compile="now")
    for _ in range(3):
        found, gradient = g(Z, W)
        assert gradient.dtype == complex
        np.testing.assert_allclose(found, value.item(), rtol=1e-13)
        np.testing.assert_allclose(gradient, z.grad.numpy(), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", [n for n in UNARY if hasattr(np, n)] + ["absolute", "angle", "conjugate", "negative"])
def test_values_and_protocol_are_numpys(name):
    far = [1e-3 + 1e-3j, -2 + 0j, 3j, 1e200 + 1e200j] if name in ("absolute", "angle", "sqrt") else []
    points = np.concatenate([Z, W, far])
    expected = getattr(np, name)(points)
    found = getattr(np, name)(tj.tensor(points))
    np.testing.assert_allclose(found.numpy(), expected, rtol=5e-15, atol=1e-15)
    if hasattr(tj, name):
        np.testing.assert_array_equal(getattr(tj, name)(tj.tensor(points)).numpy(), found.numpy())


@pytest.mark.parametrize("name", "sqrt log acos asin atan acosh asinh atanh".split())
def test_on_the_cuts_the_sign_of_a_zero_decides(name):
    points = np.array([complex(x, y) for x in (-2.0, 0.0, -0.0, 2.0, 0.3) for y in (0.0, -0.0)])
    points = np.concatenate([points, [complex(x, y) for x in (0.0, -0.0) for y in (-2.0, 2.0, 0.4)]])
    numpys = {"a": "arc"}.get(name[0], name[0]) + name[1:]
    with np.errstate(all="ignore"):
        expected = getattr(np, numpys)(points)
    found = getattr(tj, name)(tj.tensor(points)).numpy()
    np.testing.assert_allclose(found, expected, rtol=5e-15, atol=1e-15)
    if name not in ("atan", "atanh"):  # there NumPy's own zeros are of either sign
        np.testing.assert_array_equal(np.signbit(found.imag), np.signbit(expected.imag))


@pytest.mark.parametrize("name", "acos asin atan acosh asinh atanh expm1 log1p".split())
def test_inverse_functions_far_and_near(name):
    rng = np.random.default_rng(1)
    size, angle = 10.0 ** rng.uniform(-8, 2 if name == "expm1" else 100, 300), rng.uniform(-np.pi, np.pi, 300)
    points = size * np.exp(1j * angle)
    expected = np.array([complex(_precise(name, z)) for z in points])
    found = getattr(tj, name)(tj.tensor(points)).numpy()
    assert (np.abs(found - expected) / np.abs(expected)).max() < 2e-15


def _precise(name, z):
    with mpmath.workdps(150):
        z = mpmath.mpc(z)
        return mpmath.log(1 + z) if name == "log1p" else getattr(mpmath, name)(z)


@pytest.mark.parametrize("other", [2.5, 3, 1 - 2j, W, W.real, np.complex128(2j), "tensor", "real tensor"])
def test_arithmetic_in_both_orders(other):
    right = {"tensor": tj.tensor(W), "real tensor": tj.tensor(W.real)}[other] if isinstance(other, str) else other
    plain = right.numpy() if hasattr(right, "numpy") else right
    z = tj.tensor(Z)
    for f in (lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x * y, lambda x, y: x / y):
        np.testing.assert_allclose(f(z, right).numpy(), f(Z, plain), rtol=1e-14)
        np.testing.assert_allclose(f(right, z).numpy(), f(plain, Z), rtol=1e-14)
    assert (z == z.clone()).all()
    assert not (z != z).any()


def test_a_real_tensor_times_i_is_complex():
    x = tj.tensor([0.0, 1.0, 2.0], requires_grad=True)
    for y in (tj.exp(1j * x), tj.exp(x * 1j), np.exp(1j * x), tj.polar(tj.ones(3), x)):
        np.testing.assert_allclose(y.detach().numpy(), np.exp([0, 1j, 2j]), rtol=1e-15)
    tj.exp(1j * x).imag.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.cos([0.0, 1.0, 2.0]), rtol=1e-15)


def test_single_precision_stays():
    z = tj.tensor(Z.astype(np.complex64))
    assert z.dtype is tj.complex64
    assert (z * (1 + 2j)).dtype is tj.complex64
    assert tj.fft.fft(z).dtype is tj.complex64
    assert z.abs().dtype is tj.float32
    assert (1j * tj.ones(2, dtype=tj.float32)).dtype is tj.complex64
    assert z.to(tj.complex128).dtype is tj.complex128
    assert tj.tensor([1.0], dtype=tj.complex64).dtype is tj.complex64
    assert (z * tj.tensor(Z)).dtype is tj.complex128


def test_gradients_as_pytorch_gives_them():
    z = tj.tensor([3 + 4j, 0j], requires_grad=True)
    z.abs().sum().backward()
    np.testing.assert_allclose(z.grad.numpy(), [0.6 + 0.8j, 0])
    z.grad = None
    (z * z).backward(gradient=tj.tensor([1j, 1j]))  # grad_output * conj(2 z)
    np.testing.assert_allclose(z.grad.numpy(), [1j * (6 - 8j), 0])
    z.grad = None
    z.imag.sum().backward()
    np.testing.assert_array_equal(z.grad.numpy(), [1j, 1j])
    z.grad = None
    z.angle().sum().backward()
    np.testing.assert_allclose(z.grad.numpy(), [(-4 + 3j) / 25, 0])


def test_autograd_grad_of_complex_inputs():
    z, unused = tj.tensor(Z, requires_grad=True), tj.tensor(W, requires_grad=True)
    (first,) = tj.autograd.grad((z**3).real.sum(), z, create_graph=True)
    np.testing.assert_allclose(first.detach().numpy(), np.conj(3 * Z**2), rtol=1e-14)
    (second,) = tj.autograd.grad(first.real.sum(), [z])
    np.testing.assert_allclose(second.numpy(), np.conj(6 * Z), rtol=1e-14)
    assert tj.autograd.grad(z.abs().sum(), [z, unused], allow_unused=True)[1] is None
    with pytest.raises(RuntimeError, match="unused"):
        tj.autograd.grad(z.abs().sum(), [z, unused])
    with pytest.raises(RuntimeError, match="real scalar outputs"):
        tj.autograd.grad(z.sum(), [z])
    tj.autograd.backward([z.sum()], [tj.tensor(1 + 0j)])
    np.testing.assert_array_equal(z.grad.numpy(), np.ones(4))


def test_jit_and_vmap_give_what_they_are_given():
    f = tj.jit(lambda z: tj.exp(z) * 2j)
    for _ in range(3):
        assert isinstance(f(Z), np.ndarray)
        assert isinstance(f(tj.tensor(Z)), tj.ComplexTensor)
        np.testing.assert_allclose(f(Z), 2j * np.exp(Z), rtol=1e-14)
        np.testing.assert_allclose(f(W), 2j * np.exp(W), rtol=1e-14)
    rows = np.stack([Z, W])
    found = tj.vmap(lambda z: tj.fft.fft(z) * z.conj())(tj.tensor(rows))
    np.testing.assert_allclose(found.numpy(), np.fft.fft(rows) * rows.conj(), rtol=1e-13, atol=1e-13)


def test_shapes_and_indices():
    z = tj.tensor(Z.reshape(2, 2))
    assert z.shape == (2, 2)
    assert z.ndim == 2
    assert z.numel() == 4
    assert len(z) == 2
    assert z.is_complex()
    np.testing.assert_array_equal(z.T.numpy(), Z.reshape(2, 2).T)
    np.testing.assert_array_equal(z.H.numpy(), Z.reshape(2, 2).conj().T)
    np.testing.assert_array_equal(np.concatenate([z, z], axis=1).numpy(), np.tile(Z.reshape(2, 2), 2))
    np.testing.assert_allclose(np.sum(z, axis=0).numpy(), Z.reshape(2, 2).sum(0), rtol=1e-15)
    np.testing.assert_array_equal(z[:, 1].numpy(), Z.reshape(2, 2)[:, 1])
    assert [p.tolist() for p in z.unbind()] == Z.reshape(2, 2).tolist()
    np.testing.assert_array_equal(tj.view_as_complex(tj.view_as_real(z)).numpy(), z.numpy())
    z[0, 0] = 7j
    assert z[0, 0].item() == 7j
    assert complex(z[0, 0]) == 7j


def test_printed_as_pytorch_prints():
    assert repr(tj.tensor([1 + 2j, -0.5 - 1j])) == "tensor([ 1.0000+2.j, -0.5000-1.j])"
    assert repr(tj.tensor(3 - 4j, dtype=tj.complex64)) == "tensor(3.-4.j, dtype=tapejit.complex64)"
    assert repr(tj.tensor([1j], requires_grad=True)) == "tensor([0.+1.j], requires_grad=True)"


ERRORS = {
    "a complex loss": (RuntimeError, "real scalar outputs", lambda z: z.sum().backward()),
    "an order": (RuntimeError, "no order", lambda z: z < 1),
    "sort": (TypeError, "real tensors", lambda z: tj.sort(z)),
    "an elementwise function that is not there": (TypeError, "real tensors", lambda z: tj.erf(z)),
    "a NumPy function that is not there": (TypeError, "np.sort", lambda z: np.sort(z)),
    "a lost imaginary part": (TypeError, "imaginary", lambda z: z.to(tj.float64)),
    "float": (TypeError, "float", lambda z: float(z[0])),
    "values with a history": (RuntimeError, "detach", lambda z: z.numpy()),
    "parts of two dtypes": (RuntimeError, "one dtype", lambda z: tj.complex(z.real, z.imag.to(tj.float32))),
    "no pairs": (RuntimeError, "size 2", lambda z: tj.view_as_complex(tj.ones(3))),
    "rfft": (RuntimeError, "real tensor", lambda z: tj.fft.rfft(z)),
    "a norm": (ValueError, "ortho", lambda z: tj.fft.fft(z, norm="both")),
    "a length": (RuntimeError, "at least 1", lambda z: tj.fft.fft(z, 0)),
    "a complex function": (TypeError, "scalar", lambda z: tj.value_and_grad(lambda x: x * x)(Z)),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    error, words, call = ERRORS[name]
    with pytest.raises(error, match=words):
        call(tj.tensor(Z, requires_grad=True))


@pytest.mark.parametrize("way", ["mul", "fft"])
def test_an_array_from_outside_is_read_at_every_replay(way):
    outside = W.copy()
    f = tj.jit(lambda z: z * outside if way == "mul" else z * tj.fft.fft(outside))
    for k in range(4):
        outside[1] = k + 2j
        np.testing.assert_allclose(f(Z), Z * (outside if way == "mul" else np.fft.fft(outside)), rtol=1e-13)


def _hermitian(n, seed=0):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(2, n, n)) + 1j * rng.normal(size=(2, n, n))
    return a @ a.conj().swapaxes(-1, -2) + n * np.eye(n)


@pytest.mark.parametrize("upper", [False, True])
def test_cholesky_of_hermitian_matrices(upper):
    a = _hermitian(3)
    z = tj.tensor(a, requires_grad=True)
    factor = tj.linalg.cholesky(z, upper=upper)
    lower = np.linalg.cholesky(a)
    expected = lower.conj().swapaxes(-1, -2) if upper else lower
    np.testing.assert_allclose(factor.detach().numpy(), expected, atol=1e-13)
    weights = np.random.default_rng(1).normal(size=(2, 3, 3)) * (1 - 0.5j)
    (factor * weights).real.sum().backward()
    g, step = z.grad.numpy(), 1e-6
    np.testing.assert_allclose(g, g.conj().swapaxes(-1, -2), atol=1e-14)
    d = _hermitian(3, 2)

    def loss(a):
        found = np.linalg.cholesky(a)
        return ((found.conj().swapaxes(-1, -2) if upper else found) * weights).real.sum()

    slope = (loss(a + step * d) - loss(a - step * d)) / (2 * step)
    assert (g.conj() * d).real.sum() == pytest.approx(slope, rel=1e-7)
    with pytest.raises(tj.linalg.LinAlgError, match="positive definite"):
        tj.linalg.cholesky(tj.tensor(-a))


def test_einsum_and_tensordot():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(3, 4)) + 1j * rng.normal(size=(3, 4)), rng.normal(size=(4, 2))
    c = rng.normal(size=2) - 2j * rng.normal(size=2)
    z, w = tj.tensor(a, requires_grad=True), tj.tensor(c)
    found = tj.einsum("ij,jk,k->i", z, tj.tensor(b), w)
    np.testing.assert_allclose(found.detach().numpy(), np.einsum("ij,jk,k->i", a, b, c), rtol=1e-12)
    np.testing.assert_allclose(tj.einsum("ij,ij->", z, z).detach().numpy(), (a * a).sum(), rtol=1e-12)
    np.testing.assert_allclose(tj.tensordot(z, tj.tensor(b), 1).detach().numpy(), a @ b, rtol=1e-12)
    found.real.sum().backward()
    np.testing.assert_allclose(z.grad.numpy(), np.broadcast_to((b @ c).conj(), (3, 4)), rtol=1e-12)


def test_made_of_a_complex_dtype():
    for made in (tj.zeros(2, 3, dtype=tj.complex128), tj.ones((2, 3), dtype=tj.complex64), tj.full((2, 3), 1 + 2j)):
        assert made.shape == (2, 3)
        assert made.dtype.is_complex
    assert tj.full((2,), 1 + 2j).tolist() == [1 + 2j, 1 + 2j]
    assert tj.ones(1, dtype=tj.complex128, requires_grad=True).requires_grad
    assert tj.empty(3, dtype=tj.complex64).dtype is tj.complex64


@pytest.mark.parametrize("name", "sqrt rsqrt log exp acos asin atan acosh asinh atanh sinh tanh reciprocal log1p expm1".split())
def test_derivatives_on_the_axes(name):
    f = OPERATIONS.get(name) or (lambda z, w: getattr(z, name)())
    points = np.array([0.4 + 0j, 2j, -0.7j, 1 + 0.5j, -1 - 0.5j])
    cut = {"atan": 2j, "asinh": 2j, "acosh": 0.4 + 0j}  # there a difference has its ends on both sides
    points = points[points != cut.get(name)]
    parts = points.real.copy(), points.imag.copy()
    check_grad(lambda a, b: tj.view_as_real(f(tj.complex(a, b), None)), *parts, rtol=1e-5, atol=1e-6)
