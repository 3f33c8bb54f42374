"""NumPy's functions of complex tensors: NumPy's values and meanings, gradients by finite differences."""

import numpy as np
import pytest

import tapejit as tj
import tapejit.numpy

RNG = np.random.default_rng(0)
M = RNG.normal(size=(3, 4)) + 1j * RNG.normal(size=(3, 4))
FORMS = {
    "sum": lambda x: np.sum(x, axis=0),
    "sumk": lambda x: np.sum(x, axis=1, keepdims=True),
    "sumall": lambda x: np.sum(x),
    "sumt": lambda x: np.sum(x, axis=(0, 1)),
    "mean": lambda x: np.mean(x, axis=0),
    "var": lambda x: np.var(x, axis=0),
    "std": lambda x: np.std(x),
    "cumsum": lambda x: np.cumsum(x),
    "cumsum1": lambda x: np.cumsum(x, axis=1),
    "diff": lambda x: np.diff(x, n=2, axis=1),
    "diff0": lambda x: np.diff(x),
    "transpose": lambda x: np.transpose(x),
    "reshape": lambda x: np.reshape(x, (4, 3)),
    "reshapeF": lambda x: np.reshape(x, (4, 3), order="F"),
    "ravel": lambda x: np.ravel(x),
    "repeat": lambda x: np.repeat(x, 2),
    "repeat1": lambda x: np.repeat(x, 2, axis=1),
    "repeatl": lambda x: np.repeat(x, [1, 0, 2], axis=0),
    "tile": lambda x: np.tile(x, (2, 1)),
    "tile1": lambda x: np.tile(x, 2),
    "roll": lambda x: np.roll(x, 1, axis=1),
    "rollf": lambda x: np.roll(x, 2),
    "flip": lambda x: np.flip(x),
    "flip1": lambda x: np.flip(x, axis=1),
    "flipud": lambda x: np.flipud(x),
    "rot90": lambda x: np.rot90(x),
    "moveaxis": lambda x: np.moveaxis(x, 0, 1),
    "swapaxes": lambda x: np.swapaxes(x, 0, 1),
    "expand_dims": lambda x: np.expand_dims(x, 1),
    "squeeze": lambda x: np.squeeze(x[None]),
    "split": lambda x: np.split(x, 2, axis=1)[1],
    "array_split": lambda x: np.array_split(x, 3, axis=1)[0],
    "split[]": lambda x: np.split(x, [1, 3], axis=1)[1],
    "hsplit": lambda x: np.hsplit(x, 2)[0],
    "concat": lambda x: np.concatenate([x, x], axis=1),
    "stack": lambda x: np.stack([x, x], axis=1),
    "vstack": lambda x: np.vstack([x, x]),
    "hstack": lambda x: np.hstack([x, x]),
    "dstack": lambda x: np.dstack([x, x]),
    "diag": lambda x: np.diag(x),
    "diagonal": lambda x: np.diagonal(x, offset=1),
    "trace": lambda x: np.trace(x),
    "tril": lambda x: np.tril(x),
    "triu": lambda x: np.triu(x, 1),
    "dot": lambda x: np.dot(x, x.T),
    "matmul": lambda x: np.matmul(x, x.T),
    "vdot": lambda x: np.vdot(x, x),
    "inner": lambda x: np.inner(x, x),
    "outer": lambda x: np.outer(x, x),
    "kron": lambda x: np.kron(x, x),
    "tensordot": lambda x: np.tensordot(x, x, axes=([1], [1])),
    "einsum": lambda x: np.einsum("ij,kj->ik", x, x),
    "where": lambda x: np.where(np.abs(x) > 1, x, 0),
    "take": lambda x: np.take(x, [0, 2], axis=1),
    "takef": lambda x: np.take(x, [0, 5]),
    "broadcast_to": lambda x: np.broadcast_to(x, (2, 3, 4)),
    "real": lambda x: np.real(x),
    "angle": lambda x: np.angle(x),
    "conj": lambda x: np.conj(x),
    "abs": lambda x: np.abs(x),
    "norm": lambda x: np.linalg.norm(x),
    "norm1": lambda x: np.linalg.norm(x, axis=1),
    "pad": lambda x: np.pad(x, 1),
    "append": lambda x: np.append(x, x),
    "any": lambda x: np.any(x),
    "all": lambda x: np.all(x, axis=0),
    "count": lambda x: np.count_nonzero(x),
    "average": lambda x: np.average(x, axis=1),
    "copy": lambda x: np.copy(x),
    "isnan": lambda x: np.isnan(x),
    "zeros_like": lambda x: np.zeros_like(x),
    "ones_like": lambda x: np.ones_like(x),
    "full_like": lambda x: np.full_like(x, 2.0),
    "meshgrid": lambda x: np.meshgrid(x[0], x[1])[1],
    "convolve": lambda x: np.convolve(x[0], x[1]),
    "correlate": lambda x: np.correlate(x[0], x[1]),
    "vander": lambda x: np.vander(x[0]),
    "trapezoid": lambda x: np.trapezoid(x),
    "gradient": lambda x: np.gradient(x[0]),
    "shape": lambda x: np.array(np.shape(x)),
    "size": lambda x: np.array(np.size(x)),
    "atleast": lambda x: np.atleast_3d(x),
    "nonzero": lambda x: np.nonzero(x)[0],
    "sumwhere": lambda x: np.sum(x, where=np.ones((3, 4), bool)),
    "sum()": lambda x: np.sum(x, axis=()),
    "cross": lambda x: np.cross(x[:, :3], x[:, 1:]),
    "delete": lambda x: np.delete(x, 1, axis=0),
    "insert": lambda x: np.insert(x, 1, 2.0, axis=0),
    "block": lambda x: np.block([[x, x]]),
    "allclose": lambda x: np.array(np.allclose(x, x)),
    "isclose": lambda x: np.isclose(x, x),
    "fft": lambda x: np.fft.fft(x),
    "cumulative_sum": lambda x: np.cumulative_sum(x, axis=0),
    "linalg.trace": lambda x: np.linalg.trace(x),
    "take_along": lambda x: np.take_along_axis(x, np.zeros((3, 1), int), axis=1),
    "compress": lambda x: np.compress([True, False, True], x, axis=0),
    "ediff1d": lambda x: np.ediff1d(x),
    "permute": lambda x: np.transpose(x, (1, 0)),
    "std ddof": lambda x: np.std(x, ddof=1),
    "nansum": lambda x: np.nansum(x, axis=0),
    "nanmean": lambda x: np.nanmean(x, axis=0),
    "isreal": lambda x: np.isreal(x),
    "iscomplex": lambda x: np.iscomplex(x),
    "iscomplexobj": lambda x: np.array(np.iscomplexobj(x)),
    "sign": lambda x: np.sign(x),
    "square": lambda x: np.square(x),
    "power": lambda x: np.power(x, 2),
    "equal": lambda x: np.equal(x, x),
    "log1p": lambda x: np.log1p(x),
    "tan": lambda x: np.tan(x),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_form(name):
    form = FORMS[name]
    expected = np.asarray(form(M))
    value = form(tj.tensor(M))
    found = np.asarray(value)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
    if (
        not isinstance(value, (tj.Tensor, tj.ComplexTensor))
        or expected.dtype.kind not in "fc"
        or name in ("equal", "sign")
    ):
        return
    weights = np.random.default_rng(1).normal(size=expected.shape)

    def loss(x, y):
        return (np.abs(form(x + 1j * y)) ** 2 * weights).sum()

    x, y = M.real.copy(), M.imag.copy()
    leaves = [tj.tensor(a, requires_grad=True) for a in (x, y)]
    z = form(tj.complex(*leaves))
    total = ((z.abs() if isinstance(z, tj.ComplexTensor) else z) ** 2 * tj.tensor(weights)).sum()
    if not total.requires_grad:
        return
    gradients = tj.autograd.grad(total, leaves, allow_unused=True)
    for k in ((0, 0), (1, 2), (2, 3)):
        for i, g in enumerate(gradients):
            step = np.zeros_like(M.real)
            step[k] = 1e-6
            more, less = ((x + s * step, y) if i == 0 else (x, y + s * step) for s in (1, -1))
            difference = (loss(*more) - loss(*less)) / 2e-6
            assert (0.0 if g is None else g[k].item()) == pytest.approx(difference, rel=1e-5, abs=1e-6)


def test_mixed_operands():
    z, x = tj.tensor(M), M.real.copy()
    np.testing.assert_allclose(np.asarray(np.concatenate([z, tj.tensor(x)])), np.concatenate([M, x]))
    np.testing.assert_allclose(
        np.asarray(tapejit.numpy.concatenate([x, z], axis=1)), np.concatenate([x, M], axis=1)
    )
    np.testing.assert_allclose(np.asarray(np.dot(z, x.T)), np.dot(M, x.T))
    np.testing.assert_allclose(np.asarray(tapejit.numpy.repeat(z, 2)), np.repeat(M, 2))
    np.testing.assert_allclose(np.asarray(np.append(z, 2.0)), np.append(M, 2.0))
    np.testing.assert_allclose(
        np.asarray(np.sum(z, dtype=np.complex64)), np.sum(M, dtype=np.complex64), rtol=1e-6
    )


@pytest.mark.parametrize("name", ["sort", "max", "median", "cumprod", "clip", "argmax"])
def test_what_has_no_form(name):
    arguments = (0, 1) if name == "clip" else ()
    with pytest.raises(TypeError, match=name):
        getattr(np, name)(tj.tensor(M), *arguments)
