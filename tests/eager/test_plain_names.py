"""PyTorch's plain names: values against NumPy's, derivatives against finite differences, and the same when replayed."""

import numpy as np
import pytest
import scipy.special
from oracle import check_grad

import tapejit as tj

RNG = np.random.default_rng(11)
A, B, C = (RNG.normal(size=(3, 4)) for _ in range(3))
V, W = RNG.normal(size=5), RNG.normal(size=5)
M, N = RNG.normal(size=(3, 3)), RNG.normal(size=(3, 3))
BATCH, BATCH2 = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(2, 4, 3))
POSITIVE = RNG.uniform(0.5, 2.0, (3, 4))
GAPS = np.where(A > 0.9, np.nan, A)
INDEX = np.array([2, 0, 2])
ALONG = np.array([[0, 2, 1, 1], [1, 1, 0, 2]])
MASK = A > 0

# name: (what it does to tensors, the same in NumPy, operands)
COMPOSED = {
    "logaddexp": (tj.logaddexp, np.logaddexp, A, B),
    "logaddexp, ties": (lambda x: tj.logaddexp(x, x * 1.0), lambda x: x + np.log(2), A),
    "logaddexp2": (tj.logaddexp2, np.logaddexp2, A, B),
    "fmod": (tj.fmod, np.fmod, A * 3, POSITIVE),
    "lerp": (tj.lerp, lambda x, y, w: x + w * (y - x), A, B, C),
    "addcmul": (lambda x, y, z: tj.addcmul(x, y, z, value=2.0), lambda x, y, z: x + 2 * y * z, A, B, C),
    "addcdiv": (lambda x, y, z: tj.addcdiv(x, y, z, value=2.0), lambda x, y, z: x + 2 * y / z, A, B, POSITIVE),
    "rsub": (lambda x, y: tj.rsub(x, y, alpha=3), lambda x, y: y - 3 * x, A, B),
    "div, floor": (lambda x, y: x + tj.div(x, y, rounding_mode="floor"), lambda x, y: x + np.floor(x / y), A, POSITIVE),
    "div, trunc": (lambda x, y: x + tj.div(x, y, rounding_mode="trunc"), lambda x, y: x + np.trunc(x / y), A, POSITIVE),
    "copysign": (tj.copysign, np.copysign, A, -B),
    "fmax": (tj.fmax, np.fmax, A, B),
    "fmin": (tj.fmin, np.fmin, A, B),
    "deg2rad": (tj.deg2rad, np.deg2rad, A),
    "rad2deg": (tj.rad2deg, np.rad2deg, A),
    "frac": (tj.frac, lambda x: x - np.trunc(x), A),
    "cbrt": (tj.cbrt, np.cbrt, A),
    "ldexp": (lambda x: tj.ldexp(x, tj.tensor([1, 2, 3, 0])), lambda x: np.ldexp(x, [1, 2, 3, 0]), A),
    "frexp": (lambda x: tj.frexp(x).mantissa, lambda x: np.frexp(x)[0], A),
    "nan_to_num": (tj.nan_to_num, np.nan_to_num, GAPS),
    "float_power": (lambda x: tj.float_power(x, 3), lambda x: np.float_power(x, 3), A),
    "hstack": (lambda x, y: tj.hstack((x, y)), lambda x, y: np.hstack((x, y)), A, B),
    "vstack": (lambda x, y: tj.vstack((x, y)), lambda x, y: np.vstack((x, y)), V, W),
    "dstack": (lambda x, y: tj.dstack((x, y)), lambda x, y: np.dstack((x, y)), A, B),
    "column_stack": (lambda x, y: tj.column_stack((x, y)), lambda x, y: np.column_stack((x, y)), V, W),
    "block_diag": (tj.block_diag, scipy.linalg.block_diag, A, M),
    "cartesian_prod": (tj.cartesian_prod, lambda x, y: np.stack(np.meshgrid(x, y, indexing="ij"), -1).reshape(-1, 2), V, W[:2]),
    "combinations": (tj.combinations, lambda x: np.array([[x[i], x[j]] for i in range(5) for j in range(i + 1, 5)]), V),
    "meshgrid, ij": (
        lambda x, y: tj.stack(tj.meshgrid(x, y)), lambda x, y: np.stack(np.meshgrid(x, y, indexing="ij")), V, W[:3]
    ),
    "meshgrid, xy": (
        lambda x, y: tj.stack(tj.meshgrid(x, y, indexing="xy")), lambda x, y: np.stack(np.meshgrid(x, y)), V, W[:3]
    ),
    "repeat": (lambda x: x.repeat(2, 1, 3), lambda x: np.tile(x, (2, 1, 3)), A),
    "tile": (lambda x: tj.tile(x, (2,)), lambda x: np.tile(x, 2), A),
    "repeat_interleave": (lambda x: tj.repeat_interleave(x, 2, 1), lambda x: np.repeat(x, 2, 1), A),
    "repeat_interleave, counts": (
        lambda x: tj.repeat_interleave(x, tj.tensor([1, 0, 2]), dim=0), lambda x: np.repeat(x, [1, 0, 2], 0), A
    ),
    "movedim": (lambda x: tj.movedim(x, (0, 1), (2, 0)), lambda x: np.moveaxis(x, (0, 1), (2, 0)), BATCH),
    "rot90": (lambda x: tj.stack([tj.rot90(x, k)[:3, :3] for k in range(-1, 4)]), lambda x: np.stack(
        [np.rot90(x, k)[:3, :3] for k in range(-1, 4)]), A),
    "fliplr": (tj.fliplr, np.fliplr, A),
    "flipud": (tj.flipud, np.flipud, A),
    "unflatten": (lambda x: x.unflatten(1, (2, -1)), lambda x: x.reshape(3, 2, 2), A),
    "unfold": (lambda x: x.unfold(0, 3, 1), lambda x: np.lib.stride_tricks.sliding_window_view(x, 3), V),
    "as_strided": (
        lambda x: tj.as_strided(x, (2, 2), (1, 4), 1), lambda x: np.array([[x[0, 1], x[1, 1]], [x[0, 2], x[1, 2]]]), A
    ),
    "tensor_split": (lambda x: tj.tensor_split(x, 3)[0] * 2, lambda x: np.array_split(x, 3)[0] * 2, V),
    "select": (lambda x: x.select(1, 2), lambda x: x[:, 2], A),
    "diagflat": (lambda x: tj.diagflat(x, 1), lambda x: np.diagflat(x, 1), V),
    "sum_to_size": (lambda x: x.sum_to_size(1, 4), lambda x: x.sum(0, keepdims=True), A),
    "constant_pad_nd": (lambda x: tj.constant_pad_nd(x, (1, -1, 2, 0), 5.0), lambda x: np.pad(
        x[:, :-1], ((2, 0), (1, 0)), constant_values=5.0), A),
    "cumprod": (lambda x: tj.cumprod(x, 1), lambda x: np.cumprod(x, 1), A * (A > -0.5)),
    "logcumsumexp": (lambda x: tj.logcumsumexp(x, 0), lambda x: np.logaddexp.accumulate(x, 0), A),
    "cummax": (lambda x: tj.cummax(x, 1).values, lambda x: np.maximum.accumulate(x, 1), A),
    "cummin": (lambda x: tj.cummin(x, 0).values, lambda x: np.minimum.accumulate(x, 0), A),
    "diff": (lambda x, y: tj.diff(x, 2, 1, append=y), lambda x, y: np.diff(x, 2, 1, append=y), A, B),
    "gradient": (lambda x: tj.stack(tj.gradient(x, spacing=0.5, edge_order=2)), lambda x: np.stack(
        np.gradient(x, 0.5, edge_order=2)), A),
    "gradient, places": (
        lambda x, y: tj.gradient(x, spacing=(y,), dim=0)[0], lambda x, y: np.gradient(x, y), V, np.cumsum(POSITIVE.ravel()[:5])
    ),
    "trapezoid": (lambda y, x: tj.trapezoid(y, x), np.trapezoid, A, np.cumsum(POSITIVE, 1)),
    "cumulative_trapezoid": (
        lambda y: tj.cumulative_trapezoid(y, dx=0.5), lambda y: np.cumsum((y[:, 1:] + y[:, :-1]) * 0.25, 1), A
    ),
    "nansum": (lambda x: tj.nansum(x, 1), lambda x: np.nansum(x, 1), GAPS),
    "nanmean": (lambda x: tj.nanmean(x, axis=0, keepdims=True), lambda x: np.nanmean(x, 0, keepdims=True), GAPS),
    "var_mean": (lambda x: tj.stack(tj.var_mean(x, 1)), lambda x: np.stack([x.var(1, ddof=1), x.mean(1)]), A),
    "std_mean": (lambda x: tj.stack(tj.std_mean(x, 1)), lambda x: np.stack([x.std(1, ddof=1), x.mean(1)]), A),
    "aminmax": (lambda x: tj.stack(tj.aminmax(x, dim=0)), lambda x: np.stack([x.min(0), x.max(0)]), A),
    "kthvalue": (lambda x: tj.kthvalue(x, 2, 1).values, lambda x: np.sort(x, 1)[:, 1], A),
    "msort": (tj.msort, lambda x: np.sort(x, 0), A),
    "nanmedian": (lambda x: tj.nanmedian(x, 1).values, lambda x: np.nanquantile(x, 0.5, axis=1, method="lower"), GAPS),
    "quantile": (lambda x: tj.quantile(x, 0.3, dim=1), lambda x: np.quantile(x, 0.3, axis=1), A),
    "quantiles": (
        lambda x: tj.quantile(x, tj.tensor([0.1, 0.7]), 0, True), lambda x: np.quantile(x, [0.1, 0.7], axis=0, keepdims=True), A
    ),
    "quantile, its share": (lambda x, q: tj.quantile(x, q), lambda x, q: np.quantile(x, q), V, np.array(0.4)),
    "quantile, midpoint": (
        lambda x: tj.quantile(x, 0.3, interpolation="midpoint"), lambda x: np.quantile(x, 0.3, method="midpoint"), V
    ),
    "nanquantile": (lambda x: tj.nanquantile(x, 0.4, 1), lambda x: np.nanquantile(x, 0.4, axis=1), GAPS),
    "cov": (tj.cov, np.cov, A),
    "cov, weights": (
        lambda x: tj.cov(x, fweights=tj.tensor([1, 2, 1, 3]), correction=0),
        lambda x: np.cov(x, fweights=[1, 2, 1, 3], ddof=0), A
    ),
    "corrcoef": (lambda x: tj.corrcoef(x), np.corrcoef, A),
    "dist": (lambda x, y: tj.dist(x, y, 3), lambda x, y: (np.abs(x - y) ** 3).sum() ** (1 / 3), A, B),
    "renorm": (lambda x: tj.renorm(x, 2, 0, 1.5), lambda x: x * np.minimum(
        1, 1.5 / (np.linalg.norm(x, axis=1, keepdims=True) + 1e-7)), A * 2),
    "bincount": (lambda w: tj.bincount(tj.tensor([0, 3, 3, 1, 0]), w), lambda w: np.bincount([0, 3, 3, 1, 0], w), V),
    "scatter": (lambda x, y: tj.scatter(x, 0, tj.tensor(ALONG), y), lambda x, y: _put(x, y), A, B),
    "scatter, a number": (lambda x: x.scatter(1, tj.tensor([[0, 2]]), 5.0), lambda x: np.where(
        np.arange(12).reshape(3, 4) == 0, 5.0, np.where(np.arange(12).reshape(3, 4) == 2, 5.0, x)), A),
    "scatter_add": (lambda x, y: tj.scatter_add(x, 0, tj.tensor(ALONG), y), lambda x, y: _join(x, y, np.add), A, B),
    "scatter, multiply": (lambda x, y: tj.scatter(x, 0, tj.tensor(ALONG), y, reduce="multiply"), lambda x, y: _join(
        x, y, np.multiply), A, B),
    "scatter_reduce, amax": (lambda x, y: tj.scatter_reduce(x, 0, tj.tensor(ALONG), y, "amax"), lambda x, y: _join(
        x, y, np.maximum), A, B),
    "scatter_reduce, amin": (lambda x, y: tj.scatter_reduce(x, 0, tj.tensor(ALONG), y, "amin"), lambda x, y: _join(
        x, y, np.minimum), A, B),
    "index_add": (lambda x, y: x.index_add(0, tj.tensor(INDEX), y, alpha=2), lambda x, y: np.stack(
        [x[0] + 2 * y[1], x[1], x[2] + 2 * (y[0] + y[2])]), A, B),
    "index_copy": (lambda x, y: x.index_copy(0, tj.tensor([2, 0]), y[:2]), lambda x, y: np.stack([y[1], x[1], y[0]]), A, B),
    "index_fill": (lambda x: x.index_fill(0, tj.tensor(INDEX), 7.0), lambda x: np.stack([x[0] * 0 + 7, x[1], x[2] * 0 + 7]), A),
    "index_reduce": (lambda x, y: x.index_reduce(0, tj.tensor(INDEX), y, "mean"), lambda x, y: np.stack(
        [(x[0] + y[1]) / 2, x[1], (x[2] + y[0] + y[2]) / 3]), A, B),
    "index_put": (lambda x, y: x.index_put((tj.tensor([0, 0]), tj.tensor([1, 1])), y[:2], True), lambda x, y: x + np.where(
        np.arange(12).reshape(3, 4) == 1, y[0] + y[1], 0), A, V),
    "take": (lambda x: tj.take(x, tj.tensor([[0, -1], [5, 5]])), lambda x: np.take(x, [[0, -1], [5, 5]]), A),
    "put": (lambda x, y: x.put(tj.tensor([1, -1]), y[:2]), lambda x, y: np.array([x[0], y[0], x[2], x[3], y[1]]), V, W),
    "masked_fill": (lambda x: x.masked_fill(tj.tensor(MASK), 3.0), lambda x: np.where(MASK, 3.0, x), A),
    "masked_select": (lambda x: x.masked_select(tj.tensor(MASK)), lambda x: x[MASK], A),
    "masked_scatter": (lambda x, y: x.masked_scatter(tj.tensor(MASK), y), lambda x, y: _masked(x, y), A, B),
    "select_scatter": (lambda x, y: x.select_scatter(y[0], 0, 1), lambda x, y: np.stack([x[0], y[0], x[2]]), A, B),
    "slice_scatter": (lambda x, y: x.slice_scatter(y[:2], 0, 1), lambda x, y: np.stack([x[0], y[0], y[1]]), A, B),
    "diagonal_scatter": (lambda x, y: x.diagonal_scatter(y[:3]), lambda x, y: x - np.diag(np.diag(x)) + np.diag(y[:3]), M, V),
    "tensordot": (lambda x, y: tj.tensordot(x, y, ((1, 2), (2, 1))), lambda x, y: np.tensordot(
        x, y, ((1, 2), (2, 1))), BATCH, BATCH2),
    "inner": (tj.inner, np.inner, A, B),
    "addmm": (lambda x, y, z: tj.addmm(x, y, z.T, beta=2, alpha=3), lambda x, y, z: 2 * x + 3 * y @ z.T, M, A, B),
    "addmv": (lambda x, y, z: tj.addmv(x, y, z), lambda x, y, z: x + y @ z, V[:3], A, V[:4]),
    "addr": (lambda x, y, z: tj.addr(x, y, z, alpha=2), lambda x, y, z: x + 2 * np.outer(y, z), A, V[:3], V[:4]),
    "baddbmm": (lambda x, y, z: tj.baddbmm(x, y, z), lambda x, y, z: x + y @ z, M, BATCH, BATCH2),
    "addbmm": (lambda x, y, z: tj.addbmm(x, y, z, beta=0.5), lambda x, y, z: 0.5 * x + (y @ z).sum(0), M, BATCH, BATCH2),
    "cdist": (tj.cdist, lambda x, y: np.sqrt(((x[:, None] - y) ** 2).sum(-1)), A, B),
    "cdist, 1": (lambda x, y: tj.cdist(x, y, p=1), lambda x, y: np.abs(x[:, None] - y).sum(-1), A, B),
    "unique": (tj.unique, np.unique, V),
    "softmax in single precision": (
        lambda x: tj.softmax(x, axis=1, dtype=tj.float64), lambda x: scipy.special.softmax(x, 1), A.astype(np.float32)
    ),
    "linspace of tensors": (lambda x: tj.linspace(x[0], x[1], 4), lambda x: np.linspace(x[0], x[1], 4), V),
}

EINSUM = [
    ("i,i->", V, W), ("i,j", V, W), ("ij->ji", A), ("ij", A), ("ba", A), ("ii->i", M), ("ii", M), ("ij->", A), ("ij->j", A),
    ("ij,jk", M, A), ("ij,kj->ik", A, B), ("bij,bjk->bik", BATCH, BATCH2), ("bij,bjk->", BATCH, BATCH2),
    ("bij,cji->bc", BATCH, BATCH2), ("...ij,...jk->...ik", BATCH, BATCH2), ("i...,i...", A, B), ("ij,jk,kl->il", A, A.T, B),
    ("ij,ij,ij->ij", A, B, C), ("ij,k->ijk", A, V), ("ijk,j->ik", BATCH, V[:3]), ("...,...", A, B),
    ("iij,j->i", N[None] * M[:, :, None], V[:3]),
    ("ij,ij->i", A, B), ("ab,cd->abcd", A, M),
]  # fmt: skip


def _positions():
    return ALONG, np.broadcast_to(np.arange(4), ALONG.shape)


def _put(x, y):
    out = x.copy()
    out[_positions()] = y[:2]
    return out


def _join(x, y, ufunc):
    out = x.copy()
    ufunc.at(out, _positions(), y[:2])
    return out


def _masked(x, y):
    out = x.copy()
    out[MASK] = y.ravel()[: MASK.sum()]
    return out


@pytest.mark.parametrize("name", COMPOSED)
def test_values_and_derivatives(name):
    function, reference, *operands = COMPOSED[name]
    found = function(*map(tj.tensor, operands))
    single = any(x.dtype == np.float32 for x in operands)
    np.testing.assert_allclose(found.numpy(), reference(*operands), rtol=1e-6 if single else 1e-12, atol=1e-13)
    if not any(np.isnan(x).any() for x in operands):
        check_grad(function, *operands)


@pytest.mark.parametrize("name", COMPOSED)
def test_replayed(name):
    function, _, *operands = COMPOSED[name]

    def total(*xs):
        y = function(*xs)
        return (y * y.detach().cos()).sum()

    numbers = tuple(range(len(operands)))
    replayed = tj.value_and_grad(total, argnums=numbers, compile="now")
    eager = tj.value_and_grad(total, argnums=numbers, compile="never")
    for scale in (1.0, 1.0, 1.01):
        xs = [x * scale for x in operands]
        (value, gradients), (expected, others) = replayed(*xs), eager(*xs)
        np.testing.assert_allclose(value, expected, rtol=1e-6 if "single" in name else 1e-11, atol=1e-12)
        for g, other in zip(gradients, others, strict=True):
            np.testing.assert_allclose(g, other, rtol=1e-4 if "single" in name else 1e-10, atol=1e-12)


@pytest.mark.parametrize("case", EINSUM, ids=lambda c: c[0])
def test_einsum(case):
    equation, *operands = case
    found = tj.einsum(equation, *map(tj.tensor, operands))
    np.testing.assert_allclose(found.numpy(), np.einsum(equation, *operands), rtol=1e-12, atol=1e-13)
    if all(x.size < 20 for x in operands):
        check_grad(lambda *xs: tj.einsum(equation, *xs), *operands)


def test_einsum_of_lists_and_what_it_refuses():
    x, y = tj.tensor(A), tj.tensor(B)
    np.testing.assert_allclose(tj.einsum(x, [0, 1], y, [2, 1], [0, 2]).numpy(), A @ B.T, rtol=1e-12)
    np.testing.assert_allclose(tj.einsum("ij,kj", [x, y]).numpy(), A @ B.T, rtol=1e-12)
    for equation in ("ij", "ij,k", "ij,jk->ik", "i1,ij", "ij,ij->kk", "ij,ij->ii"):
        with pytest.raises(RuntimeError, match=r"einsum|size"):
            tj.einsum(equation, x, y)


WITHOUT = {
    "signbit": (tj.signbit, np.signbit, np.array([1.0, -1.0, 0.0, -0.0, np.inf, -np.inf])),
    "heaviside": (lambda x: tj.heaviside(x, 0.5), lambda x: np.heaviside(x, 0.5), np.array([1.0, -1.0, 0.0])),
    "isposinf": (tj.isposinf, np.isposinf, np.array([1.0, np.inf, -np.inf])),
    "isneginf": (tj.isneginf, np.isneginf, np.array([1.0, np.inf, -np.inf])),
    "angle": (tj.angle, np.angle, np.array([1.0, -2.0, 0.0])),
    "count_nonzero": (lambda x: tj.count_nonzero(x, dim=0), lambda x: np.count_nonzero(x, 0), np.array([[1, 0], [2, 0]])),
    "argwhere": (tj.argwhere, np.argwhere, MASK),
    "nonzero": (lambda x: tj.stack(tj.nonzero(x, as_tuple=True)), lambda x: np.stack(np.nonzero(x)), MASK),
    "tril_indices": (lambda x: tj.tril_indices(3, 4, 1), lambda x: np.stack(np.tril_indices(3, 1, 4)), A),
    "triu_indices": (lambda x: tj.triu_indices(3, 4), lambda x: np.stack(np.triu_indices(3, 0, 4)), A),
    "isin": (lambda x: tj.isin(x, tj.tensor([1, 5])), lambda x: np.isin(x, [1, 5]), np.arange(6)),
    "searchsorted": (lambda x: tj.searchsorted(tj.tensor(np.sort(V)), x, right=True), lambda x: np.searchsorted(
        np.sort(V), x, "right"), A),
    "bucketize": (lambda x: tj.bucketize(x, tj.tensor(np.sort(V))), lambda x: np.searchsorted(np.sort(V), x), A),
    "histc": (lambda x: tj.histc(x, 4, -1, 1), lambda x: np.histogram(x, 4, (-1, 1))[0].astype(float), A),
    "gcd": (lambda x: tj.gcd(x, tj.tensor(6)), lambda x: np.gcd(x, 6), np.arange(12)),
    "bitwise": (lambda x: (x << 1 if False else tj.bitwise_left_shift(x, 1)) ^ 5, lambda x: (x << 1) ^ 5, np.arange(12)),
    "round": (lambda x: tj.round(x, decimals=2), lambda x: np.round(x, 2), A),
    "cumprod of integers": (lambda x: tj.cumprod(x, 0), np.cumprod, np.arange(1, 6)),
    "unravel_index": (lambda x: tj.stack(tj.unravel_index(x, (3, 4))), lambda x: np.stack(np.unravel_index(x, (3, 4))), INDEX),
    "isclose": (lambda x: tj.isclose(x, x + 1e-9), lambda x: np.isclose(x, x + 1e-9), A),
    "mode": (lambda x: tj.mode(x).values, lambda x: np.array(2), np.array([3, 2, 2, 1])),
}  # fmt: skip


@pytest.mark.parametrize("name", WITHOUT)
def test_results_without_derivatives(name):
    function, reference, x = WITHOUT[name]
    found, expected = function(tj.tensor(x)), reference(x)
    assert found.numpy().dtype.kind == np.asarray(expected).dtype.kind
    np.testing.assert_array_equal(found.numpy(), expected)


def test_ties_and_places_of_running_extremes():
    x = tj.tensor([1.0, 3.0, 3.0, np.nan, 5.0])
    values, places = tj.cummax(x, 0)
    np.testing.assert_array_equal(values.numpy(), [1, 3, 3, np.nan, np.nan])
    assert places.tolist() == [0, 1, 2, 3, 3]
    assert tj.unique_consecutive(tj.tensor([1, 1, 2, 1]), return_counts=True)[1].tolist() == [2, 1, 1]


@pytest.mark.parametrize("reduce", ["sum", "prod", "mean", "amax", "amin"])
@pytest.mark.parametrize("include_self", [True, False])
def test_scatter_reduce(reduce, include_self):
    x, y = tj.tensor(A), tj.tensor(B)
    found = tj.scatter_reduce(x, 0, tj.tensor(ALONG), y, reduce, include_self=include_self)
    parts = [[[A[i, j]] if include_self else [] for j in range(4)] for i in range(3)]
    for i in range(2):
        for j in range(4):
            parts[ALONG[i, j]][j].append(B[i, j])
    join = {"sum": np.sum, "prod": np.prod, "mean": np.mean, "amax": np.max, "amin": np.min}[reduce]
    expected = [[join(parts[i][j]) if parts[i][j] else A[i, j] for j in range(4)] for i in range(3)]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-14)
    check_grad(lambda x, y: tj.scatter_reduce(x, 0, tj.tensor(ALONG), y, reduce, include_self=include_self), A, B)


# --- keywords, devices, dtypes ----------------------------------------------------------------------------------------


def test_synonyms_of_keywords():
    x = tj.tensor(A)
    assert tj.sum(x, axis=1, keepdims=True).shape == x.sum(dim=1, keepdim=True).shape == (3, 1)
    assert tj.equal(tj.sum(input=x, dim=0), x.sum(0))
    assert tj.equal(tj.flip(x, dims=(0,)), x.flip(0))
    assert tj.permute(x, dims=(1, 0)).shape == (4, 3)
    assert tj.cumsum(tj.ones(3, dtype=tj.int32), 0, dtype=tj.float32).dtype is tj.float32
    with pytest.raises(TypeError):
        tj.sum(x, axes_of=1)


def test_out():
    x, out = tj.tensor(A), tj.zeros(3, 4)
    assert tj.exp(x, out=out) is out
    np.testing.assert_allclose(out.numpy(), np.exp(A), rtol=1e-14)
    assert tj.add(x, x, out=out) is out
    values, places = tj.zeros(3), tj.zeros(3, dtype=tj.int64)
    tj.max(x, 1, out=(values, places))
    np.testing.assert_array_equal(values.numpy(), A.max(1))
    for bad, message in (
        (lambda: tj.exp(x, out=tj.zeros(2)), "shape"),
        (lambda: tj.exp(x.requires_grad_(), out=out), "derivative"),
        (lambda: tj.exp(x.detach(), out=tj.zeros(3, 4, dtype=tj.int64)), "cannot be stored"),
    ):
        with pytest.raises(RuntimeError, match=message):
            bad()


def test_devices():
    x = tj.ones(2, device="cpu", requires_grad=True)
    assert x.device == tj.device("cpu") == "cpu"
    assert x.device.type == "cpu"
    assert x.to("cpu") is x.cpu() is x.to(tj.device("cpu")) is x
    assert not tj.cuda.is_available()
    assert x.to(device="cpu", dtype=tj.float32).dtype is tj.float32
    assert x.to("cpu", tj.int64).dtype is tj.int64
    for bad in (x.cuda, lambda: x.to("cuda"), lambda: tj.zeros(2, device="cuda:0"), lambda: tj.tensor(1.0, device="cuda")):
        with pytest.raises(RuntimeError, match="CPU"):
            bad()
    with pytest.raises(RuntimeError, match="kind"):
        tj.device("toaster")


def test_dtypes():
    x = tj.ones(2)
    assert x.type() == "tapejit.DoubleTensor"
    assert x.type("torch.FloatTensor").dtype is x.type_as(tj.ones(1, dtype=tj.float32)).dtype is x.float().dtype is tj.float32
    assert tj.FloatTensor([1, 2]).dtype is tj.float32
    assert tj.LongTensor(2, 3).shape == (2, 3)
    assert x.new_zeros(2, 3).dtype is tj.float64
    assert x.new_tensor([1]).dtype is tj.float64
    assert x.new_full((2,), 3).tolist() == [3.0, 3.0]
    assert tj.finfo(tj.float32).eps == np.finfo(np.float32).eps
    assert tj.iinfo(tj.int8).max == 127
    assert tj.result_type(tj.ones(2, dtype=tj.float32), 1.0) is tj.float32
    assert tj.promote_types(tj.int32, tj.float32) is tj.float32
    assert tj.can_cast(tj.float64, tj.float32)
    assert not tj.can_cast(tj.float64, tj.int64)
    assert tj.numel(x) == 2


def test_in_place_forms():
    x = tj.tensor(A)
    x.masked_fill_(tj.tensor(MASK), 0.0)
    np.testing.assert_array_equal(x.numpy(), np.where(MASK, 0.0, A))
    x.index_add_(0, tj.tensor([0]), tj.ones(1, 4)).clip_(0.0, 1.0)
    np.testing.assert_array_equal(x.numpy()[0], np.clip(np.where(MASK, 0.0, A)[0] + 1, 0, 1))
    y = tj.tensor(V, requires_grad=True)
    z = y * 1
    z.scatter_(0, tj.tensor([1]), 5.0).lerp_(y, 0.5)
    z.sum().backward()
    assert y.grad.tolist() == [1.0, 0.5, 1.0, 1.0, 1.0]


# --- random numbers -----------------------------------------------------------------------------------------------------


def test_generators():
    first, second = tj.Generator().manual_seed(3), tj.Generator().manual_seed(3)
    for draw in (
        lambda g: tj.rand(4, generator=g),
        lambda g: tj.randn(4, generator=g),
        lambda g: tj.normal(tj.zeros(3), 2.0, generator=g),
        lambda g: tj.bernoulli(tj.full((50,), 0.5), generator=g),
        lambda g: tj.multinomial(tj.tensor([0.1, 0.2, 0.7]), 2, generator=g),
        lambda g: tj.poisson(tj.ones(4), generator=g),
        lambda g: tj.randperm(6, generator=g),
        lambda g: tj.zeros(4).uniform_(2, 3, generator=g),
    ):
        assert draw(first).tolist() == draw(second).tolist()
    assert first.initial_seed() == 3
    assert tj.manual_seed(5) is not None
    drawn = tj.multinomial(tj.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]]), 1)
    assert drawn[0].item() in (1, 2)
    assert drawn[1].item() == 0
    for bad in (lambda: tj.multinomial(tj.tensor([1.0, 0.0]), 2), lambda: tj.bernoulli(tj.tensor([2.0]))):
        with pytest.raises(RuntimeError):
            bad()
    for filler in ("normal_", "uniform_", "exponential_", "cauchy_", "log_normal_", "random_"):
        x = tj.zeros(100)
        assert getattr(x, filler)() is x
        assert len(set(x.tolist())) > 1


def test_integers_chosen_by_integers_are_right_when_recorded():
    numbers = np.array([10, 20, 30])

    def f(x, k):
        return x * tj.tensor(numbers)[k].sum()

    for policy in ("now", "never"):
        g = tj.jit(f, compile=policy)
        assert [g(1.0, np.array(k)) for k in ([2, 0], [2, 0], [1, 1])] == [40.0, 40.0, 40.0]
        assert g(1.0, np.array([2, 2])) == 60.0
