"""NumPy's functions in many forms: axes, keepdims, where, initial, methods of ufuncs, writing in place.

name -> a function of ``np`` and operands, and the operands.
"""

import numpy

RNG = numpy.random.default_rng(0)
M, V, S, T = (RNG.uniform(0.3, 1.7, shape) for shape in ((3, 4), 5, (3, 3), (2, 3, 4)))
POSITIVE = S @ S.T + numpy.eye(3)
B = M > 1
FIRST = B | (numpy.arange(4) == 0)
TWO = B | (numpy.arange(4) < 2)


def added_at(np, x):
    y = np.zeros(3) * x[0]
    np.add.at(y, numpy.array([0, 1, 1, 2, 0]), x)
    return y * y


def put_along(np, x):
    y = x * 1.0
    np.put_along_axis(y, numpy.array([[1], [2], [0]]), 0.5, axis=1)
    return y


def diagonal_filled(np, x):
    y = x * 2.0
    np.fill_diagonal(y, 1.0)
    return y


def copied(np, x):
    y = x * 0.0
    np.copyto(y, x * x, where=x > 1)
    return y


def masked(np, x):
    y = x * 1.0
    np.putmask(y, y > 1, 0.25)
    return y


def placed(np, x):
    y = x * 1.0
    np.place(y, y > 1, [5.0, 6.0])
    return y


def assigned(np, x):
    y = np.zeros((3, 5))
    y = y + 0 * x[0, 0]
    y[:, 1:] = x
    y[0] *= 2
    return y


def zeroed(np, x):
    y = x * 2
    y[y > 2] = 0.0
    return y


def put(np, x):
    y = x * 1.0
    np.put(y, [0, -2, 5], [1.0, 2.0])
    return y


def put_flat(np, x):
    y = x * 1.0
    np.put_along_axis(y, numpy.array([3, 7]), x[0, :2] * 0 + 2.0, axis=None)
    return y


def placed_of_itself(np, x):
    y = x * 1.0
    np.place(y, x > 1, x[:2] ** 2)
    return y


FORMS = {
    "sum axis keepdims": (lambda np, x: np.sum(x, axis=0, keepdims=True), M),
    "sum tuple": (lambda np, x: np.sum(x, axis=(0, 2)), T),
    "sum dtype": (lambda np, x: np.sum(x, dtype=np.float64), M),
    "sum where": (lambda np, x: np.sum(x, where=B), M),
    "sum initial": (lambda np, x: np.sum(x, axis=1, initial=2.5), M),
    "mean tuple keepdims": (lambda np, x: np.mean(x, axis=(1, 2), keepdims=True), T),
    "mean where": (lambda np, x: np.mean(x, axis=1, where=FIRST), M),
    "std ddof": (lambda np, x: np.std(x, axis=1, ddof=1), M),
    "var ddof keepdims": (lambda np, x: np.var(x, axis=0, ddof=1, keepdims=True), M),
    "var tuple": (lambda np, x: np.var(x, axis=(0, 1)), T),
    "prod axis": (lambda np, x: np.prod(x, axis=1), M),
    "prod tuple": (lambda np, x: np.prod(x, axis=(0, 2)), T),
    "max axis": (lambda np, x: np.max(x, axis=1), M),
    "max initial": (lambda np, x: np.max(x, axis=1, initial=1.0), M),
    "amin tuple": (lambda np, x: np.amin(x, axis=(0, 1)), T),
    "min where": (lambda np, x: np.min(x, axis=0, where=B, initial=9.0), M),
    "ptp": (lambda np, x: np.ptp(x, axis=1), M),
    "median axis": (lambda np, x: np.median(x, axis=1), M),
    "median keepdims": (lambda np, x: np.median(x, axis=0, keepdims=True), M),
    "percentile list": (lambda np, x: np.percentile(x, [20, 50, 77], axis=1), M),
    "quantile method": (lambda np, x: np.quantile(x, 0.3, method="lower"), V),
    "quantile axis": (lambda np, x: np.quantile(x, 0.3, axis=0), M),
    "nansum": (lambda np, x: np.nansum(np.where(B, x, np.nan), axis=0), M),
    "nanmean": (lambda np, x: np.nanmean(np.where(FIRST, x, np.nan), axis=1), M),
    "nanmax": (lambda np, x: np.nanmax(np.where(FIRST, x, np.nan), axis=1), M),
    "nanstd": (lambda np, x: np.nanstd(np.where(TWO, x, np.nan), axis=1, ddof=1), M),
    "nanpercentile": (lambda np, x: np.nanpercentile(np.where(TWO, x, np.nan), 40, axis=1), M),
    "average weights": (lambda np, x, w: np.average(x, axis=1, weights=w), M, RNG.uniform(1, 2, 4)),
    "average returned": (
        lambda np, x, w: np.average(x, weights=w, returned=True)[1],
        V,
        RNG.uniform(1, 2, 5),
    ),
    "cumsum axis": (lambda np, x: np.cumsum(x, axis=1), M),
    "cumsum flat": (lambda np, x: np.cumsum(x), M),
    "cumprod": (lambda np, x: np.cumprod(x, axis=0), M),
    "nancumsum": (lambda np, x: np.nancumsum(np.where(B, x, np.nan), axis=1), M),
    "logaddexp reduce": (lambda np, x: np.logaddexp.reduce(x, axis=1), M),
    "add reduce": (lambda np, x: np.add.reduce(x, axis=0), M),
    "add reduce all": (lambda np, x: np.add.reduce(x, axis=None), M),
    "multiply reduce keepdims": (lambda np, x: np.multiply.reduce(x, axis=1, keepdims=True), M),
    "maximum reduce": (lambda np, x: np.maximum.reduce(x, axis=0), M),
    "add accumulate": (lambda np, x: np.add.accumulate(x, axis=1), M),
    "multiply accumulate": (lambda np, x: np.multiply.accumulate(x), M),
    "maximum accumulate": (lambda np, x: np.maximum.accumulate(x), V),
    "multiply outer": (lambda np, x, y: np.multiply.outer(x, y), V, M),
    "subtract outer": (lambda np, x: np.subtract.outer(x, x), V),
    "power outer": (lambda np, x, y: np.power.outer(x, y), V, V),
    "add at": (lambda np, x: added_at(np, x), V),
    "exp dtype": (lambda np, x: np.exp(x, dtype=np.float64), M),
    "power": (lambda np, x, y: np.power(x, y), V, V),
    "float_power": (lambda np, x: np.float_power(x, 2.5), V),
    "hypot": (lambda np, x, y: np.hypot(x, y), V, V),
    "arctan2": (lambda np, x, y: np.arctan2(x, y), V, V),
    "logaddexp2": (lambda np, x, y: np.logaddexp2(x, y), V, V),
    "heaviside mult": (lambda np, x: np.heaviside(x - 1, 0.5) * x, V),
    "copysign": (lambda np, x: np.copysign(x, [-1, 1, -1, 1, 1]), V),
    "fmod": (lambda np, x, y: np.fmod(3 * x, y + 0.1), V, V),
    "remainder": (lambda np, x, y: np.remainder(3 * x, y + 0.1), V, V),
    "divmod": (lambda np, x: np.divmod(3 * x, 0.7)[1], V),
    "modf": (lambda np, x: np.modf(3 * x)[0], V),
    "frexp": (lambda np, x: np.frexp(3 * x)[0], V),
    "ldexp": (lambda np, x: np.ldexp(x, [1, 2, 0, -1, 3]), V),
    "fmax fmin": (lambda np, x: np.fmax(x, 1) + np.fmin(x, 0.9), V),
    "clip": (lambda np, x: np.clip(x, 0.5, 1.2), M),
    "clip bounds": (lambda np, x, lo: np.clip(x, lo, None), V, RNG.uniform(0.3, 1.7, 5)),
    "nan_to_num": (lambda np, x: np.nan_to_num(np.where(B, x, np.nan), nan=3.0), M),
    "sinc": (lambda np, x: np.sinc(x), V),
    "i0": (lambda np, x: np.i0(x), V),
    "unwrap": (lambda np, x: np.unwrap(5 * x), V),
    "deg2rad": (lambda np, x: np.deg2rad(x) + np.degrees(x), V),
    "cbrt": (lambda np, x: np.cbrt(x), V),
    "expm1 log1p": (lambda np, x: np.expm1(x) * np.log1p(x), V),
    "log2 log10 exp2": (lambda np, x: np.log2(x) + np.log10(x) + np.exp2(x), V),
    "arcsinh..": (lambda np, x: np.arcsinh(x) + np.arctanh(x / 2) + np.arccosh(1 + x), V),
    "square recip": (lambda np, x: np.square(x) + np.reciprocal(x) - np.positive(x), V),
    "fabs absolute": (lambda np, x: np.fabs(x - 1) + np.absolute(x), V),
    "round": (lambda np, x: np.round(x, 1) + x, V),
    "dot": (lambda np, x, y: np.dot(x, y), M, M.T.copy()),
    "dot 3d": (lambda np, x, y: np.dot(x, y), T, M.T.copy()),
    "vdot": (lambda np, x, y: np.vdot(x, y), M, M),
    "inner": (lambda np, x, y: np.inner(x, y), M, M),
    "outer": (lambda np, x, y: np.outer(x, y), V, M),
    "matmul batch": (lambda np, x, y: np.matmul(x, y), T, M.T.copy()),
    "kron": (lambda np, x, y: np.kron(x, y), S, M),
    "cross": (lambda np, x, y: np.cross(x, y), S, S[::-1].copy()),
    "cross axis": (lambda np, x, y: np.cross(x, y, axis=0), S, S[::-1].copy()),
    "tensordot axes": (lambda np, x, y: np.tensordot(x, y, axes=([1, 2], [0, 1])), T, M),
    "tensordot 1": (lambda np, x, y: np.tensordot(x, y, 1), T, M.T.copy()),
    "einsum optimize": (
        lambda np, x, y, z: np.einsum("ij,jk,kl->il", x, y, z, optimize=True),
        M,
        M.T.copy(),
        M,
    ),
    "einsum implicit": (lambda np, x: np.einsum("ii", x), S),
    "einsum ellipsis": (lambda np, x, y: np.einsum("...ij,ij->...", x, y), T, M),
    "einsum lists": (lambda np, x, y: np.einsum(x, [0, 1], y, [1, 2], [0, 2]), M, M.T.copy()),
    "trace offset": (lambda np, x: np.trace(x, offset=1), M),
    "linalg.inv": (lambda np, x: np.linalg.inv(x), POSITIVE),
    "linalg.solve": (lambda np, x, y: np.linalg.solve(x, y), POSITIVE, V[:3]),
    "linalg.det": (lambda np, x: np.linalg.det(x), POSITIVE),
    "linalg.slogdet": (lambda np, x: np.linalg.slogdet(x)[1], POSITIVE),
    "linalg.norm": (lambda np, x: np.linalg.norm(x), M),
    "linalg.norm ord axis": (lambda np, x: np.linalg.norm(x, ord=1, axis=1, keepdims=True), M),
    "linalg.norm nuc": (lambda np, x: np.linalg.norm(x, "nuc"), M),
    "linalg.cholesky": (lambda np, x: np.linalg.cholesky(x @ x.T + np.eye(3)), S),
    "linalg.eigh": (lambda np, x: np.linalg.eigh(x + x.T)[0], S),
    "linalg.eigvalsh": (lambda np, x: np.linalg.eigvalsh(x + x.T), S),
    "linalg.svd": (lambda np, x: np.linalg.svd(x, compute_uv=False), M),
    "linalg.qr": (lambda np, x: np.abs(np.linalg.qr(x)[1]), POSITIVE),
    "linalg.pinv": (lambda np, x: np.linalg.pinv(x), M),
    "linalg.lstsq": (lambda np, x, y: np.linalg.lstsq(x, y, rcond=None)[0], M.T.copy(), V[:4]),
    "linalg.matrix_power": (lambda np, x: np.linalg.matrix_power(x, 3), S),
    "linalg.multi_dot": (lambda np, x, y, z: np.linalg.multi_dot([x, y, z]), M, M.T.copy(), M),
    "linalg.cond": (lambda np, x: np.linalg.cond(x), POSITIVE),
    "linalg.tensorsolve": (
        lambda np, x, y: np.linalg.tensorsolve(x.reshape(3, 1, 3), y.reshape(3, 1)),
        POSITIVE,
        V[:3],
    ),
    "fft abs": (lambda np, x: np.abs(np.fft.fft(x)), V),
    "rfft": (lambda np, x: np.real(np.fft.rfft(x, axis=0)), M),
    "irfft": (lambda np, x: np.fft.irfft(np.fft.rfft(x), n=5), V),
    "fft2": (lambda np, x: np.abs(np.fft.fft2(x)) ** 2, M),
    "fftshift": (lambda np, x: np.fft.fftshift(x, axes=1), M),
    "reshape order": (lambda np, x: np.reshape(x, (4, 3), order="F"), M),
    "ravel F": (lambda np, x: np.ravel(x, order="F"), M),
    "transpose axes": (lambda np, x: np.transpose(x, (2, 0, 1)), T),
    "moveaxis": (lambda np, x: np.moveaxis(x, [0, 2], [2, 0]), T),
    "rollaxis": (lambda np, x: np.rollaxis(x, 2), T),
    "swapaxes": (lambda np, x: np.swapaxes(x, 0, 2), T),
    "concatenate": (lambda np, x, y: np.concatenate([x, y], axis=1), M, M),
    "concatenate None": (lambda np, x, y: np.concatenate([x, y], axis=None), M, V),
    "stack": (lambda np, x, y: np.stack([x, y], axis=-1), M, M),
    "vstack hstack": (lambda np, x: np.vstack([x, x])[0] + np.hstack([x, x])[0, :4], M),
    "column_stack": (lambda np, x, y: np.column_stack([x, y]), V, V),
    "dstack": (lambda np, x: np.dstack([x, 2 * x]), M),
    "block": (lambda np, x, y: np.block([[x, y], [y, x]]), S, S),
    "split": (lambda np, x: np.split(x, [1, 3], axis=1)[1], M),
    "array_split": (lambda np, x: np.array_split(x, 2)[0], V),
    "tile": (lambda np, x: np.tile(x, (2, 3)), M),
    "repeat": (lambda np, x: np.repeat(x, [1, 2, 0], axis=0), M),
    "roll axis": (lambda np, x: np.roll(x, (1, 2), axis=(0, 1)), M),
    "rot90": (lambda np, x: np.rot90(x, k=3), M),
    "flip": (lambda np, x: np.flip(x, axis=1), M),
    "fliplr flipud": (lambda np, x: np.fliplr(x) + np.flipud(x), M),
    "pad const": (lambda np, x: np.pad(x, ((1, 0), (0, 2)), constant_values=3.0), M),
    "pad reflect": (lambda np, x: np.pad(x, 2, mode="reflect"), V),
    "pad edge wrap": (lambda np, x: np.pad(x, 1, mode="edge") + np.pad(x, 1, mode="wrap"), V),
    "expand squeeze": (lambda np, x: np.squeeze(np.expand_dims(x, (0, 2)), axis=0), M),
    "atleast": (lambda np, x: np.atleast_3d(x) + np.atleast_2d(x)[..., None], M),
    "broadcast_to": (lambda np, x: np.broadcast_to(x, (2, 3, 4)), M),
    "diag": (lambda np, x: np.diag(x), V),
    "diag k": (lambda np, x: np.diag(x, k=1), M),
    "diagonal": (lambda np, x: np.diagonal(x, offset=-1, axis1=0, axis2=2), T),
    "tril triu": (lambda np, x: np.tril(x, -1) + 2 * np.triu(x, 1), M),
    "meshgrid": (lambda np, x, y: np.meshgrid(x, y, indexing="ij")[0], V, V[:3]),
    "insert": (lambda np, x: np.insert(x, 2, 7.0), V),
    "append delete": (lambda np, x: np.delete(np.append(x, x[:2]), [1, 3]), V),
    "resize": (lambda np, x: np.resize(x, (2, 4)), V),
    "trim": (lambda np, x: np.ediff1d(x, to_begin=1.0), V),
    "where3": (lambda np, x, y: np.where(B, x, y), M, M),
    "select": (lambda np, x: np.select([x < 0.8, x < 1.2], [x * x, np.sin(x)], default=2.0), M),
    "choose": (lambda np, x, y: np.choose([0, 1, 1, 0, 1], [x, y]), V, V),
    "piecewise": (lambda np, x: np.piecewise(x, [x < 1, x >= 1], [lambda v: v**2, lambda v: 3 * v]), V),
    "take": (lambda np, x: np.take(x, [0, 2, 2], axis=1), M),
    "take flat": (lambda np, x: np.take(x, [[0, 5], [7, 1]]), M),
    "take_along": (lambda np, x: np.take_along_axis(x, np.argsort(x, axis=1), axis=1), M),
    "compress extract": (
        lambda np, x: np.compress([True, False, True], x, axis=0).sum() + np.extract(B, x),
        M,
    ),
    "sort": (lambda np, x: np.sort(x, axis=0) ** 2, M),
    "partition": (lambda np, x: np.partition(x, 2)[2], V),
    "diff n": (lambda np, x: np.diff(x, n=2, axis=1), M),
    "diff prepend": (lambda np, x: np.diff(x, prepend=0.0), V),
    "gradient spacing": (lambda np, x: np.gradient(x, 0.3), V),
    "gradient coords edge": (lambda np, x: np.gradient(x, numpy.array([0, 1, 1.5, 3, 4.0]), edge_order=2), V),
    "gradient 2d": (lambda np, x: np.gradient(x)[1], M),
    "trapezoid": (lambda np, x: np.trapezoid(x, dx=0.2, axis=0), M),
    "trapezoid x": (lambda np, x, y: np.trapezoid(x, np.cumsum(y)), V, V),
    "interp": (lambda np, x, y: np.interp([0.1, 1.5, 3.9], [0, 1, 2, 3, 4], x * y), V, V),
    "interp x": (lambda np, x: np.interp(x, [0, 1, 2], [1.0, 4.0, 0]), V),
    "convolve same": (lambda np, x, y: np.convolve(x, y, mode="same"), V, V[:3]),
    "correlate full": (lambda np, x, y: np.correlate(x, y, mode="full"), V, V[:3]),
    "polyval": (lambda np, x, c: np.polyval(c, x), V, V[:3]),
    "vander": (lambda np, x: np.vander(x, 3, increasing=True), V),
    "cov": (lambda np, x: np.cov(x, ddof=0), M),
    "cov rowvar": (lambda np, x: np.cov(x, rowvar=False, aweights=[1, 2, 1.0]), M),
    "corrcoef": (lambda np, x: np.corrcoef(x), M),
    "histogram weights": (
        lambda np, w: np.histogram(numpy.array([0.1, 0.4, 0.6, 0.9, 0.2]), bins=3, range=(0, 1), weights=w)[
            0
        ],
        V,
    ),
    "bincount weights": (lambda np, w: np.bincount([0, 1, 1, 3, 0], weights=w), V),
    "digitize use": (lambda np, x: x * np.digitize(x, [0.5, 1.0]), V),
    "apply_along_axis": (lambda np, x: np.apply_along_axis(lambda r: r * r.sum(), 1, x), M),
    "apply_over_axes": (lambda np, x: np.apply_over_axes(np.sum, x, [0, 2]), T),
    "fromfunction": (lambda np, x: np.fromfunction(lambda i, j: x[0] * i + j, (2, 3)), V),
    "linspace": (lambda np, x: np.linspace(x[0], x[1], 4), V),
    "geomspace": (lambda np, x: np.geomspace(x[0], x[1] + 2, 4), V),
    "logspace": (lambda np, x: np.logspace(x[0], x[1], 4), V),
    "zeros_like mult": (lambda np, x: (np.ones_like(x) + np.full_like(x, 2.0)) * x, V),
    "copy astype": (lambda np, x: np.copy(x).astype(np.float64), V),
    "count_nonzero": (lambda np, x: np.count_nonzero(x > 1) * x, V),
    "any all use": (lambda np, x: x * (1.0 if np.all(x > 0) else 2.0), V),
    "argmax use": (lambda np, x: x[np.argmax(x)] * x, V),
    "isclose use": (lambda np, x: np.where(np.isclose(x, x + 1e-12), x * x, 0), V),
    "searchsorted use": (lambda np, x: x * np.searchsorted([0.5, 1.0], x), V),
    "nonzero use": (lambda np, x: x[np.nonzero(x > 1)], V),
    "unique use": (lambda np, x: np.unique(x) ** 2, V),
    "lexsort use": (lambda np, x: x[np.lexsort((x,))], V),
    "matvec": (lambda np, x, y: np.matvec(x, y), M, V[:4]),
    "vecdot": (lambda np, x, y: np.vecdot(x, y), M, M),
    "linalg.vector_norm": (lambda np, x: np.linalg.vector_norm(x, axis=1, ord=3), M),
    "linalg.matrix_norm": (lambda np, x: np.linalg.matrix_norm(x), M),
    "linalg.outer": (lambda np, x: np.linalg.outer(x, x), V),
    "linalg.trace": (lambda np, x: np.linalg.trace(x, offset=1), M),
    "unstack": (lambda np, x: np.unstack(x)[1], M),
    "permute_dims": (lambda np, x: np.permute_dims(x, (1, 0)), M),
    "cumulative_sum": (lambda np, x: np.cumulative_sum(x, include_initial=True), V),
    "cumulative_prod": (lambda np, x: np.cumulative_prod(x, axis=0), M),
    "put_along": (lambda np, x: put_along(np, x), M),
    "fill_diagonal": (lambda np, x: diagonal_filled(np, x), S),
    "copyto": (lambda np, x: copied(np, x), V),
    "putmask": (lambda np, x: masked(np, x), V),
    "place": (lambda np, x: placed(np, x), V),
    "slice assign": (lambda np, x: assigned(np, x), M),
    "boolean assign": (lambda np, x: zeroed(np, x), V),
}
FORMS |= {
    "any all where": (
        lambda np, x: x * np.any(x > 1, axis=1, where=B, keepdims=True) * np.all(x > 0, where=B),
        M,
    ),
    "var where": (lambda np, x: np.var(x, axis=1, where=TWO) + np.std(x, axis=1, where=TWO, ddof=1), M),
    "prod initial": (lambda np, x: np.prod(x, axis=1, initial=2.0, where=B), M),
    "put": (lambda np, x: put(np, x), M),
    "put along all": (lambda np, x: put_flat(np, x), M),
    "place tensor": (lambda np, x: placed_of_itself(np, x), V),
    "piecewise default": (
        lambda np, x: np.piecewise(x, [x < 0.6, x > 1.2], [0.5, lambda v: v**3, lambda v: 1 / v]),
        M,
    ),
    "apply to matrices": (lambda np, x: np.apply_along_axis(lambda r: np.outer(r, r), 0, x), M),
    "apply with more": (lambda np, x: np.apply_along_axis(lambda r, k: (r**k).sum(), 1, x, 3), M),
    "histogram density": (
        lambda np, w: np.histogram(numpy.arange(5) ** 2, [0, 1, 5, 16], weights=w, density=True)[0],
        V,
    ),
    "resize up": (lambda np, x: np.resize(x, 13), V),
    "reshape F minus one": (lambda np, x: np.reshape(x, (-1, 2), order="F"), M),
    "lexsort of two": (lambda np, x: x[np.lexsort((x, numpy.array([1.0, 0, 1, 0, 0])))], V),
    "amin amax where": (
        lambda np, x: np.amin(x, 1, initial=5.0, where=B) + np.amax(x, 1, initial=0.1, where=B),
        M,
    ),
    "sum over no axis": (lambda np, x: np.sum(x, axis=()) + np.max(x, axis=(), keepdims=True) + np.prod(x, ()), M),
    "mean over no axis": (lambda np, x: np.mean(x, axis=()) * np.var(x, axis=(0,)) + np.sum(x, axis=(), where=B), M),
    "cross of rows": (lambda np, x, y: np.cross(x, y[:3]), S, V),
    "cross of columns": (lambda np, x, y: np.cross(x[:, :3], y, axis=0), M, S),
    "squeeze one": (lambda np, x: np.squeeze(x[:, None, :, None], axis=(1, 3)), M),
}
