"""NumPy's functions on tensors: NumPy's values, derivatives by finite differences, eagerly and replayed, and what is refused.

A case is a function of ``np`` and operands. It runs with numpy on arrays, with numpy on tensors, and with tapejit.numpy.
"""

import pathlib
import re

import numpy
import pytest
import scipy.special
from oracle import check_grad

import tapejit as tj
import tapejit.numpy
from tapejit.eager.numpytable import TABLE, listing
from tapejit.eager.ufuncs import SCIPY, UFUNCS

RNG = numpy.random.default_rng(3)
A, B = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4))
P = RNG.uniform(0.3, 0.9, (3, 4))
V, W = RNG.normal(size=6), RNG.normal(size=6)
M = RNG.normal(size=(3, 3)) + 3 * numpy.eye(3)
S = M @ M.T
T = RNG.normal(size=(2, 3, 4))
GAPS = numpy.where(A > 1, numpy.nan, A)
WEIGHTS = numpy.array([0.2, 0.3, 0.1, 0.4])

CASES = {
    "sum": (lambda np, x: np.sum(x, axis=0, keepdims=True), A),
    "sum of two axes": (lambda np, x: np.sum(x, axis=(0, 2)), T),
    "mean": (lambda np, x: np.mean(x, 1), A),
    "prod": (lambda np, x: np.prod(x, axis=(0, 1)), A),
    "var": (lambda np, x: np.var(x, axis=1), A),
    "var, ddof": (lambda np, x: np.var(x, ddof=1), A),
    "std": (lambda np, x: np.std(x, 0, keepdims=True), A),
    "max": (lambda np, x: np.max(x, axis=1) + np.amax(x), A),
    "min": (lambda np, x: np.min(x, axis=1) + np.amin(x), A),
    "ptp": (lambda np, x: np.ptp(x, axis=0), A),
    "average": (lambda np, x: np.average(x, axis=1, weights=WEIGHTS), A),
    "average, all": (lambda np, x: np.average(x), A),
    "nansum": (lambda np, x: np.nansum(x, axis=1), GAPS),
    "nanmean": (lambda np, x: np.nanmean(x, axis=1), GAPS),
    "nanprod": (lambda np, x: np.nanprod(x, axis=1), GAPS),
    "nanmax": (lambda np, x: np.nanmax(x, axis=1) + np.nanmin(x), GAPS),
    "nanvar": (lambda np, x: np.nanvar(x, axis=1), GAPS),
    "nanstd": (lambda np, x: np.nanstd(x, axis=1), GAPS),
    "nancumsum": (lambda np, x: np.nancumsum(x, axis=1), GAPS),
    "nancumprod": (lambda np, x: np.nancumprod(x, axis=1), GAPS),
    "cumsum": (lambda np, x: np.cumsum(x) + np.cumsum(x, axis=0).ravel(), A),
    "cumprod": (lambda np, x: np.cumprod(x, axis=1), A),
    "cumulative_sum": (lambda np, x: np.cumulative_sum(x, axis=1) + np.cumulative_prod(x, axis=1), A),
    "quantile": (lambda np, x: np.quantile(x, [0.2, 0.5], axis=1), A),
    "quantile of two axes": (lambda np, x: np.quantile(x, 0.3, axis=(0, 2)), T),
    "percentile": (lambda np, x: np.percentile(x, 30, axis=0), A),
    "nanquantile": (lambda np, x: np.nanquantile(x, 0.3, axis=0) + np.nanpercentile(x, 30), GAPS),
    "median": (lambda np, x: np.median(x, axis=1), A),
    "nanmedian": (lambda np, x: np.nanmedian(x), GAPS),
    "cov": (lambda np, x: np.cov(x), A),
    "cov of two": (lambda np, x, y: np.cov(x, y, rowvar=False, bias=True), A, B),
    "corrcoef": (lambda np, x: np.corrcoef(x), A),
    "transpose": (lambda np, x: np.transpose(x, (1, 2, 0)) + np.permute_dims(x, (1, 2, 0)), T),
    "transpose, all": (lambda np, x: np.transpose(x), T),
    "expand_dims": (lambda np, x: np.expand_dims(x, (0, -1)), A),
    "reshape": (lambda np, x: np.reshape(x, (2, -1)), A),
    "ravel": (lambda np, x: np.ravel(x) + np.ravel(x, order="F"), A),
    "flip": (lambda np, x: np.flip(x) + np.flip(x, 1), A),
    "fliplr": (lambda np, x: np.fliplr(x) + np.flipud(x), A),
    "rot90": (lambda np, x: np.rot90(x, 3, axes=(1, 0)), A),
    "roll": (lambda np, x: np.roll(x, 2) + np.roll(x, 1, axis=(0, 1)), A),
    "rollaxis": (lambda np, x: np.rollaxis(x, 2), T),
    "moveaxis": (lambda np, x: np.moveaxis(x, 0, -1), T),
    "swapaxes": (lambda np, x: np.swapaxes(x, 0, 2), T),
    "squeeze": (lambda np, x: np.squeeze(x[None], axis=0), A),
    "concatenate": (lambda np, x, y: np.concatenate([x, y], axis=1) + np.concat((y, x), 1), A, B),
    "concatenate, flat": (lambda np, x, y: np.concatenate([x, y], axis=None), A, B),
    "stack": (lambda np, x, y: np.stack([x, y], axis=-1), A, B),
    "stack of numbers": (lambda np, x: np.stack([x[0], 2 * x[1], x[2]]), V),
    "hstack": (lambda np, x, y: np.hstack([x, y]), A, B),
    "vstack": (lambda np, x, y: np.vstack([x, y]), V, W),
    "dstack": (lambda np, x, y: np.dstack([x, y]), A, B),
    "column_stack": (lambda np, x, y: np.column_stack([x, y]), V, W),
    "block": (lambda np, x, y: np.block([[x, y], [y, x]]), A, B),
    "append": (lambda np, x, y: np.append(x, y) + np.append(x, y, axis=0).ravel(), A, B),
    "delete": (lambda np, x: np.delete(x, [0, 2], axis=1), A),
    "insert": (lambda np, x: np.insert(x, 1, 5.0, axis=1), A),
    "split": (lambda np, x: np.split(x, 2)[1] * np.split(x, [3])[0], V),
    "array_split": (lambda np, x: np.array_split(x, 4)[1], V),
    "hsplit": (lambda np, x: np.hsplit(x, 2)[1] + np.vsplit(x, 3)[0][:, :2], A),
    "dsplit": (lambda np, x: np.dsplit(x, 2)[1], T),
    "unstack": (lambda np, x: np.unstack(x, axis=1)[2], A),
    "tile": (lambda np, x: np.tile(x, (2, 2)), A),
    "repeat": (lambda np, x: np.repeat(x, 2, axis=1), A),
    "repeat, counts": (lambda np, x: np.repeat(x, numpy.array([1, 2, 0]), axis=0), A),
    "broadcast_to": (lambda np, x: np.broadcast_to(x, (2, 3, 4)), A),
    "broadcast_arrays": (lambda np, x, y: np.broadcast_arrays(x, y)[1], A, V[:4]),
    "meshgrid": (lambda np, x, y: np.stack(np.meshgrid(x, y)), V, W[:2]),
    "atleast": (lambda np, x: np.atleast_3d(x) + np.atleast_2d(x)[..., None] + np.atleast_1d(x)[..., None], A),
    "pad": (lambda np, x: np.pad(x, ((1, 0), (2, 1)), constant_values=2.0), A),
    "pad, reflect": (lambda np, x: np.pad(x, 2, mode="reflect") + np.pad(x, 2, mode="wrap"), A),
    "pad, edge": (lambda np, x: np.pad(x, (1, 2), mode="edge") + np.pad(x, (1, 2), mode="symmetric"), A),
    "diag": (lambda np, x: np.diag(x, 1) + np.diag(np.diag(x), 0)[:2, :2], M),
    "diagonal": (lambda np, x: np.diagonal(x, 1, 1, 2), T),
    "diagflat": (lambda np, x: np.diagflat(x, -1), V),
    "tril": (lambda np, x: np.tril(x, 1) + np.triu(x, k=1), A),
    "matrix_transpose": (lambda np, x: np.matrix_transpose(x), T),
    "dot": (lambda np, x, y: np.dot(x, y), A, B.T),
    "dot of vectors": (lambda np, x, y: np.dot(x, y), V, W),
    "dot of more": (lambda np, x, y: np.dot(x, y), T, RNG.normal(size=(2, 4, 3))),
    "matmul": (lambda np, x, y: np.matmul(x, y), T, B.T),
    "outer": (lambda np, x, y: np.outer(x, y), A[:2], V),
    "vdot": (lambda np, x, y: np.vdot(x, y), A, B),
    "inner": (lambda np, x, y: np.inner(x, y), A, B),
    "tensordot": (lambda np, x, y: np.tensordot(x, y, axes=([1, 2], [0, 1])), T, A),
    "kron": (lambda np, x, y: np.kron(x, y), A, M[:2]),
    "cross": (lambda np, x, y: np.cross(x, y), M, S),
    "einsum": (lambda np, x, y: np.einsum("ij,kj->ik", x, y, optimize=True), A, B),
    "trace": (lambda np, x: np.trace(x, 1), M),
    "vander": (lambda np, x: np.vander(x, 3) + np.vander(x, 3, increasing=True), V),
    "convolve": (lambda np, x, y: np.convolve(x, y), V, W[:3]),
    "convolve, same": (lambda np, x, y: np.convolve(x, y, "same"), V, W[:4]),
    "convolve, valid": (lambda np, x, y: np.convolve(y, x, mode="valid"), V, W[:4]),
    "correlate": (lambda np, x, y: np.correlate(x, y), V, W[:3]),
    "correlate, full": (lambda np, x, y: np.correlate(x, y, "full"), V, W[:4]),
    "correlate, same": (lambda np, x, y: np.correlate(x, y, "same"), V, W[:4]),
    "correlate, turned": (lambda np, x, y: np.correlate(y, x, "full"), V, W[:4]),
    "where": (lambda np, x, y: np.where(x > 0, x, y), A, B),
    "where, float": (lambda np, x: np.where(numpy.eye(3, 4), x, 0.0), A),
    "select": (lambda np, x: np.select([x > 1, x > 0], [x * x, 2 * x], default=-1.0), A),
    "take": (lambda np, x: np.take(x, numpy.array([[0, 2], [1, 1]]), axis=1), A),
    "take, flat": (lambda np, x: np.take(x, [0, -1]), A),
    "take_along_axis": (lambda np, x: np.take_along_axis(x, numpy.argsort(A, 1), axis=1), A),
    "compress": (lambda np, x: np.compress([True, False, True], x, axis=0), A),
    "extract": (lambda np, x: np.extract(A > 0, x), A),
    "sort": (lambda np, x: np.sort(x) + np.sort(x, axis=0), A),
    "partition": (lambda np, x: np.sort(np.partition(x, 2)[:3]), V),
    "diff": (lambda np, x: np.diff(x, axis=0), A),
    "diff, more": (lambda np, x: np.diff(x, n=2, prepend=0.0, append=W[:2]), V),
    "ediff1d": (lambda np, x: np.ediff1d(x, to_begin=1.0), A),
    "gradient": (lambda np, x: np.gradient(x, 0.5, edge_order=2), V),
    "gradient, two": (lambda np, x: np.gradient(x, 0.5, 2.0)[1], A),
    "trapezoid": (lambda np, x: np.trapezoid(x, dx=0.5) + np.trapezoid(x, WEIGHTS.cumsum(), axis=1), A),
    "interp": (lambda np, x, y: np.interp(x, numpy.arange(6.0), y), P.ravel() * 5, W),
    "interp, ends": (lambda np, x, y: np.interp(x, numpy.arange(6.0), y, left=-1.0), V * 4, W),
    "linspace": (lambda np, x: np.linspace(x[0], x[1], 5), V),
    "linspace of arrays": (lambda np, x, y: np.linspace(x, y, 5, endpoint=False, axis=1), V, W),
    "logspace": (lambda np, x: np.logspace(x[0], x[1], 5, base=2.0), V),
    "geomspace": (lambda np, x: np.geomspace(x[0, 0], x[0, 1], 5), P),
    "clip": (lambda np, x: np.clip(x, -0.5, 0.5) + np.clip(x, 0.0, None), A),
    "unwrap": (lambda np, x: np.unwrap(x * 10), V),
    "nan_to_num": (lambda np, x: np.nan_to_num(x, nan=1.0), GAPS),
    "real": (lambda np, x: np.real(x) + np.conj(x), A),
    "round": (lambda np, x: x + np.round(x, 1) + np.around(x) + np.fix(x), A),
    "copy": (lambda np, x: np.copy(x) * 2, A),
    "unique": (lambda np, x: np.unique(x), V),
    "like": (lambda np, x: np.zeros_like(x) + np.ones_like(x) + np.full_like(x, 3.0) + x, A),
    "empty_like": (lambda np, x: x * np.where(np.ones(x.shape) > 0, 1.0, np.empty_like(x)), A),
    "nonzero": (lambda np, x: x[np.nonzero(A > 0)] + x.ravel()[np.flatnonzero(A > 0)], A),
    "linalg.norm": (lambda np, x: np.linalg.norm(x), A),
    "linalg.norm, axis": (lambda np, x: np.linalg.norm(x, ord=1, axis=1, keepdims=True), A),
    "linalg.norm, matrix": (
        lambda np, x: np.linalg.norm(x, "nuc") + np.linalg.norm(x, 2) + np.linalg.norm(x, numpy.inf), A
    ),
    "linalg.inv": (lambda np, x: np.linalg.inv(x), M),
    "linalg.det": (lambda np, x: np.linalg.det(x), M),
    "linalg.slogdet": (lambda np, x: np.linalg.slogdet(x)[1], M),
    "linalg.solve": (lambda np, x, y: np.linalg.solve(x, y), M, V[:3]),
    "linalg.solve, matrix": (lambda np, x, y: np.linalg.solve(x, y), M, A),
    "linalg.cholesky": (lambda np, x: np.linalg.cholesky((x + x.T) / 2), S),
    "linalg.eigh": (lambda np, x: np.linalg.eigh((x + x.T) / 2)[0] + np.linalg.eigvalsh((x + x.T) / 2), S),
    "linalg.svd": (lambda np, x: np.linalg.svd(x)[1] + np.linalg.svd(x, compute_uv=False) + np.linalg.svdvals(x), A),
    "linalg.qr": (lambda np, x: np.linalg.qr(x)[1], M),
    "linalg.pinv": (lambda np, x: np.linalg.pinv(x), A),
    "linalg.lstsq": (lambda np, x, y: np.linalg.lstsq(x, y)[0], A.T, V[:4]),
    "linalg.matrix_power": (lambda np, x: np.linalg.matrix_power(x, 3), M),
    "linalg.multi_dot": (lambda np, x, y: np.linalg.multi_dot([x, y.T, x]), A, B),
    "linalg.cond": (lambda np, x: np.linalg.cond(x), M),
    "linalg.norms": (lambda np, x: np.linalg.vector_norm(x, axis=1) + np.linalg.matrix_norm(x), M),
    "linalg.rest": (lambda np, x: np.linalg.trace(x) + np.linalg.diagonal(x) + np.linalg.matrix_transpose(x)[0], M),
    "linalg.products": (
        lambda np, x, y: np.linalg.matmul(x, y.T)
        + np.linalg.outer(x[0], y[0])[:3, :3]
        + np.linalg.vecdot(x, y)
        + np.linalg.tensordot(x, y, axes=2)
        + np.linalg.cross(x[:, :3], y[:, :3]),
        A,
        B,
    ),
    "add.reduce": (lambda np, x: np.add.reduce(x) + np.multiply.reduce(x, axis=0), A),
    "maximum.reduce": (lambda np, x: np.maximum.reduce(x, axis=None) + np.logaddexp.reduce(x, axis=1), A),
    "add.accumulate": (lambda np, x: np.add.accumulate(x, axis=1) + np.maximum.accumulate(x), A),
    "subtract.outer": (lambda np, x, y: np.subtract.outer(x, y), V, W),
    "vecdot": (lambda np, x, y: np.vecdot(x, y) + np.matvec(x, y[0]) + np.vecmat(y[:, 0], x)[:3], A, B),
    "divmod": (lambda np, x: np.divmod(x, 0.7)[1] + np.modf(x)[0] + np.frexp(x)[0], A),
    "polyval": (lambda np, p, x: np.polyval(p, x), V, W),
    "sinc": (lambda np, x: np.sinc(x) + np.i0(x), numpy.array([0.0, 0.3, -1.2])),
    "choose": (lambda np, x, y: np.choose(numpy.array([0, 1, 1, 0]), [x, y]), V[:4], W[:4]),
    "astype": (lambda np, x: np.astype(x, float) + np.real_if_close(x), A),
    "linalg.tensors": (
        lambda np, x, y: np.linalg.tensorsolve(x, y) + np.linalg.tensorinv(x[:, :, None], ind=1)[0, 0], M, V[:3]
    ),
    "mixed": (lambda np, x: numpy.arange(4) * x + x @ numpy.arange(4)[:, None] - numpy.float64(2.0) / x, A),
}
INFO = {
    "any all": (lambda np, x: (np.any(x > 0, axis=1), np.all(x > 0, axis=0)), A),
    "argmax": (lambda np, x: (np.argmax(x, axis=1), np.argmin(x), np.nanargmax(x), np.nanargmin(x, axis=0)), A),
    "counts": (lambda np, x: (np.count_nonzero(x > 0, axis=0), np.bincount(np.argmax(x, 0))), A),
    "order": (lambda np, x: (np.argsort(x, axis=0), np.searchsorted(np.sort(x.ravel()), 0.3)), A),
    "digitize": (lambda np, x: np.digitize(x, [-1.0, 0.0, 1.0]), A),
    "argpartition": (lambda np, x: np.argpartition(x, 2)[0] * 0, V),
    "places": (lambda np, x: (np.argwhere(x > 0), np.unravel_index(np.argmax(x), (3, 4))), A),
    "close": (lambda np, x: (np.isclose(x, x + 1e-9), np.allclose(x, x), np.array_equal(x, x + 1)), A),
    "signs": (lambda np, x: (np.isposinf(x), np.isneginf(x), np.isreal(x), np.angle(x), np.signbit(x)), A),
    "what it is": (lambda np, x: (np.shape(x), np.ndim(x), np.size(x), np.size(x, 1)), A),
    "kind": (lambda np, x: (np.iscomplexobj(x), np.isrealobj(x), np.iscomplex(x), np.array_equiv(x, x)), A),
    "isin": (lambda np, x: np.isin(x, [1.0, 2.0]), numpy.array([1.0, 3.0])),
    "rank": (lambda np, x: np.linalg.matrix_rank(x), M),
    "result_type": (lambda np, x: str(np.result_type(x, numpy.float32)), A),
    "imag": (lambda np, x: np.linalg.eigvals(numpy.diag([1.0, 2.0]) + 0 * x[:2, :2])[:0], A),
    "eig": (lambda np, x: np.linalg.eig(numpy.diag([1.0, 2.0]) + 0 * x[:2, :2])[0], A),
}
UNARY = """
    exp exp2 expm1 log log2 log10 log1p sqrt square cbrt reciprocal sin cos tan arcsin arccos arctan sinh cosh
    tanh arcsinh arctanh absolute fabs negative positive deg2rad radians rad2deg degrees sign floor ceil trunc
    rint conjugate
""".split()
BINARY = """
    add subtract multiply divide true_divide power float_power remainder mod fmod arctan2 hypot logaddexp
    logaddexp2 maximum minimum fmax fmin copysign heaviside floor_divide
""".split()
TESTS = """equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor""".split()


def numbers(found):
    """Results as arrays."""
    if isinstance(found, (tuple, list)):
        return [part for x in found for part in numbers(x)]
    return [numpy.asarray(found.detach().numpy() if isinstance(found, tj.Tensor) else found)]


def agree(found, expected, exact=False):
    for f, e in zip(numbers(found), numbers(expected), strict=True):
        assert f.shape == e.shape
        assert f.dtype.kind == e.dtype.kind or exact
        if e.dtype.kind in "US":
            assert f == e
        else:
            numpy.testing.assert_allclose(f, e, rtol=1e-11, atol=1e-12)


@pytest.mark.filterwarnings("ignore:All-NaN")
@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives(name):
    function, *operands = CASES[name]
    expected = function(numpy, *operands)
    tensors = [tj.tensor(x, requires_grad=True) for x in operands]
    found = function(numpy, *tensors)
    assert isinstance(found, tj.Tensor)
    assert found.requires_grad
    agree(found, expected)
    agree(function(tapejit.numpy, *tensors), expected)
    if not any(numpy.isnan(x).any() for x in operands):
        order = 1 if name in ("linalg.svd", "linalg.cond", "linalg.norm, matrix") else 2
        check_grad(lambda *xs: function(numpy, *xs), *operands, order=order)


@pytest.mark.parametrize("name", CASES)
def test_replayed(name):
    function, *operands = CASES[name]

    def total(*xs):
        y = function(numpy, *xs)
        return (y * y.detach().cos()).sum()

    argnums = tuple(range(len(operands)))
    replayed = tj.value_and_grad(total, argnums=argnums, compile="now")
    eager = tj.value_and_grad(total, argnums=argnums, compile="never")
    for _ in range(2):
        (value, gradients), (expected, others) = replayed(*operands), eager(*operands)
        numpy.testing.assert_allclose(value, expected, rtol=1e-10, atol=1e-12)
        for g, other in zip(gradients, others, strict=True):
            numpy.testing.assert_allclose(g, other, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", INFO)
def test_results_without_derivatives(name):
    function, x = INFO[name]
    agree(function(numpy, tj.tensor(x)), function(numpy, x), exact=True)
    agree(function(tapejit.numpy, tj.tensor(x)), function(numpy, x), exact=True)


@pytest.mark.parametrize("name", UNARY)
def test_ufuncs_of_one(name):
    ufunc = getattr(numpy, name)
    agree(ufunc(tj.tensor(P)), ufunc(P))
    check_grad(ufunc, P)


@pytest.mark.parametrize("name", [*BINARY, *TESTS])
def test_ufuncs_of_two(name):
    ufunc = getattr(numpy, name)
    x, y = P, RNG.uniform(1.1, 1.9, (3, 4))
    for found in (ufunc(tj.tensor(x), tj.tensor(y)), ufunc(x, tj.tensor(y)), ufunc(tj.tensor(x), y)):
        assert isinstance(found, tj.Tensor)
        agree(found, ufunc(x, y))
    if name in BINARY and name not in ("heaviside", "floor_divide"):
        check_grad(ufunc, x, y)


@pytest.mark.parametrize("name", [word.partition(":")[0] for word in SCIPY.split()])
def test_ufuncs_of_scipy(name):
    ufunc = getattr(scipy.special, name)
    operands = (P, P + 0.5, P)[: ufunc.nin]
    agree(ufunc(*map(tj.tensor, operands)), ufunc(*operands))
    check_grad(ufunc, *operands, order=1)


def test_ufuncs_of_integers():
    a, b = numpy.arange(1, 7), numpy.arange(2, 8)
    for name in "bitwise_and bitwise_or bitwise_xor left_shift right_shift gcd lcm add multiply".split():
        ufunc = getattr(numpy, name)
        agree(ufunc(tj.tensor(a), b), ufunc(a, b))
    agree(numpy.invert(tj.tensor(a)), numpy.invert(a))
    agree(numpy.ldexp(tj.tensor(P), 3), numpy.ldexp(P, 3))
    agree(numpy.nextafter(tj.tensor(P), 3.0), numpy.nextafter(P, 3.0))
    agree(numpy.logical_not(tj.tensor(a)), numpy.logical_not(a))
    for name in "isnan isinf isfinite".split():
        agree(getattr(numpy, name)(tj.tensor(GAPS)), getattr(numpy, name)(GAPS))


def test_every_row_of_the_table_is_tested():
    here = pathlib.Path(__file__)
    text = here.read_text() + here.with_name("numpy_forms.py").read_text()
    tested = set(re.findall(r"np\.((?:linalg\.)?\w+)", text)) | set(re.findall(r"numpy\.(\w+)", text))
    assert sorted(set(TABLE) - tested - {"imag", "copyto"}) == []
    ufuncs = {*UNARY, *BINARY, *TESTS, *tested, *re.findall(r"\w+", text)}
    functions = [UFUNCS[name].function for name in ufuncs & set(UFUNCS)]
    spelled = {name for name in UFUNCS if name in ufuncs or UFUNCS[name].function in functions}
    assert sorted(set(UFUNCS) - spelled - {"arccosh", "acosh", *(word.partition(":")[0] for word in SCIPY.split())}) == []


# --- what is refused ---------------------------------------------------------------------------------------------------

REFUSED = {
    "histogram": (lambda t: numpy.histogram(t), "counts"),
    "roots": (lambda t: numpy.roots(t), "complex"),
    "polyfit": (lambda t: numpy.polyfit(V, t, 2), "lstsq"),
    "polymul": (lambda t: numpy.polymul(t, t), "convolve"),
    "spacing": (lambda t: numpy.spacing(t), "spacing"),
    "ufunc into an array": (lambda t: numpy.add(t, 1, out=numpy.zeros(6)), "out="),
    "reduceat": (lambda t: numpy.add.reduceat(t, [0, 2]), "reduceat"),
    "an argument": (lambda t: numpy.argmax(t, where=W > 0), "where"),
    "order": (lambda t: numpy.reshape(t, (2, 3), order="K"), "order"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("way", ["eager", "auto", "never"])
def test_nothing_is_taken_for_a_constant(name, way):
    function, message = REFUSED[name]
    if way == "eager":
        attempt = lambda: function(tj.tensor(V, requires_grad=True))  # noqa: E731
    else:
        transformed = tj.value_and_grad(lambda x: function(x).sum(), compile=way)
        attempt = lambda: transformed(V)  # noqa: E731
    with pytest.raises(TypeError, match=message):
        attempt()


def test_constants_go_to_numpy_where_the_table_has_nothing():
    t = tj.tensor(V)
    agree(numpy.histogram(t, 3)[0], numpy.histogram(V, 3)[0])
    agree(numpy.polyfit(V, t, 2), numpy.polyfit(V, V, 2))
    with tj.no_grad():
        agree(numpy.histogram(tj.tensor(V, requires_grad=True), 3)[0], numpy.histogram(V, 3)[0])
    f = tj.jit(lambda x: numpy.trim_zeros(x)[0] + x)
    for x in (V, V, W, V):
        agree(f(x), x[0] + x)


def test_in_place_and_out():
    x = tj.tensor(V, requires_grad=True)
    a = W.copy()
    a += x
    a.sum().backward()
    assert x.grad.tolist() == [1.0] * 6
    out = numpy.zeros(6)
    assert numpy.add(x.detach(), 1, out=out) is out
    numpy.testing.assert_array_equal(out, V + 1)
    t = tj.zeros(6)
    assert numpy.exp(x.detach(), out=t) is t
    numpy.testing.assert_allclose(t.numpy(), numpy.exp(V))
    numpy.add.at(t, numpy.array([0, 0]), 1.0)
    assert t[0].item() == pytest.approx(numpy.exp(V[0]) + 2)
    numpy.copyto(t, W)
    numpy.testing.assert_array_equal(t.numpy(), W)
    agree(numpy.add(tj.tensor(V), 1.0, out=tj.zeros(6), where=V > 0), numpy.where(V > 0, V + 1, 0))


def test_dtypes():
    x = tj.tensor(V, dtype=tj.float32)
    assert numpy.sum(x, dtype=numpy.float64).dtype is tj.float64
    assert numpy.exp(x).dtype is tj.float32
    assert numpy.mean(tj.arange(4)).dtype is tj.float64
    assert numpy.add(x, x, dtype=float).dtype is tj.float64
    assert numpy.matmul(x.reshape(2, 3), numpy.ones((3, 2))).dtype is tj.float64


# --- the namespace -----------------------------------------------------------------------------------------------------


def test_the_namespace():
    np = tapejit.numpy
    assert np is tj.numpy
    assert isinstance(np.zeros((2, 3)), tj.Tensor)
    assert np.zeros(3, dtype=tj.float32).dtype is tj.float32
    assert np.arange(3).dtype is tj.int64
    x = tj.tensor(V, requires_grad=True)
    y = np.array([[x[0], 1.0], [2.0, x[1] * 3]])
    assert y.shape == (2, 2)
    np.sum(y).backward()
    assert x.grad.tolist() == [1.0, 3.0, 0.0, 0.0, 0.0, 0.0]
    assert np.asarray(x) is x
    assert np.array(x) is not x
    assert np.pi == numpy.pi
    assert np.newaxis is None
    assert np.float64 is numpy.float64
    assert np.linalg.norm([3.0, 4.0]).item() == 5.0
    assert np.random.default_rng is numpy.random.default_rng
    assert np.array(2.0, ndmin=2).shape == (1, 1)
    with pytest.raises(AttributeError):
        _ = np.no_such_name


def test_a_program_with_only_the_import_changed():
    source = """
import {module} as np

def loss(w, x, y):
    p = 1.0 / (1.0 + np.exp(-np.dot(x, w)))
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)) + 0.1 * np.linalg.norm(w) ** 2
"""
    spaces = {}
    for module in ("numpy", "tapejit.numpy"):
        exec(source.format(module=module), spaces.setdefault(module, {}))
    x, y = RNG.normal(size=(20, 3)), (RNG.random(20) > 0.5).astype(float)
    plain, own = spaces["numpy"]["loss"], spaces["tapejit.numpy"]["loss"]
    expected = plain(V[:3], x, y)
    gradients = [tj.value_and_grad(f, compile=c)(V[:3], x, y) for f in (plain, own) for c in ("now", "never")]
    for value, gradient in gradients:
        assert value == pytest.approx(expected, rel=1e-13)
        numpy.testing.assert_allclose(gradient, gradients[0][1], rtol=1e-12)


# --- pandas ------------------------------------------------------------------------------------------------------------


def test_columns_of_pandas_as_operands():
    pd = pytest.importorskip("pandas")
    s, x = pd.Series(V, index=list("abcdef")), tj.tensor(W, requires_grad=True)
    for found, expected in (
        (x * s, W * V), (s * x, W * V), (s - x, V - W), (x / s, W / V), (s < x, V < W), (x > s, W > V),
        (tj.maximum(x, s), numpy.maximum(W, V)), (numpy.exp(s) * x, numpy.exp(V) * W), (x ** s.abs(), None),
    ):  # fmt: skip
        assert isinstance(found, tj.Tensor)
        if expected is not None:
            agree(found, expected)
    frame = pd.DataFrame({"u": V, "v": W})
    agree(tj.ones(6, 2) * frame, frame.to_numpy())
    with pytest.raises(TypeError, match="numbers"):
        x * pd.Series(list("abcdef"))


def test_the_page_lists_the_table():
    """docs/numpy.md names each function and its arguments; ``python -m tapejit.eager.numpytable`` writes the lines."""
    page = (pathlib.Path(__file__).parents[2] / "docs" / "numpy.md").read_text()
    assert listing() in page, "put what `python -m tapejit.eager.numpytable` prints into docs/numpy.md"


@pytest.mark.parametrize("function", [numpy.tril, numpy.triu])
def test_triangles_of_a_vector_are_those_of_its_rows(function):
    x = numpy.array([1.0, 2.0, 3.0])
    numpy.testing.assert_array_equal(function(tj.tensor(x), k=1), function(x, k=1))
    numpy.testing.assert_array_equal(tj.grad(lambda x: function(x).sum())(x), function(numpy.ones((3, 3))).sum(0))
