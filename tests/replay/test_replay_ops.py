"""Every op of the table, replayed: value, gradient and second derivative equal the eager ones, float64 and float32."""

import numpy as np
import pytest

import tapejit as tj
from tapejit.eager.functional import FUNCTIONS
from tapejit.spec.table import BY_NAME

TOLERANCE = {"float64": dict(rtol=1e-10, atol=1e-11), "float32": dict(rtol=3e-4, atol=3e-5)}
DTYPES = ["float64", "float32"]

STRUCTURED = {
    "sum": lambda x: x.sum(),
    "sum of a dimension": lambda x: (x.sum(0) * x.sum(1)[:3]).sum(),
    "keepdim": lambda x: (x / x.sum(1, keepdim=True)).sum(0)[1],
    "mean": lambda x: x.mean() * x.mean(1)[0],
    "norm": lambda x: x.norm() + x.norm(dim=1)[2],
    "variance": lambda x: x.var() + x.std(dim=0).sum(),
    "prod": lambda x: x.prod(1).sum(),
    "cumsum": lambda x: (x.cumsum(1) * x).sum(),
    "amax": lambda x: x.amax(1).sum() + x.min(),
    "sort": lambda x: (x.sort(0).values * tj.arange(12.0).reshape(4, 3)).sum() + x.reshape(-1).sort(descending=True)[0][2],
    "argsort": lambda x: (x[x[:, 1].argsort()] * tj.arange(4.0)[:, None]).sum(),
    "topk and median": lambda x: x.topk(2, dim=0).values.prod() + x.median() * x.median(1).values[0],
    "logsumexp": lambda x: x.logsumexp(1).sum(),
    "softmax": lambda x: (x.softmax(1) * x).sum(),
    "log_softmax": lambda x: (x.log_softmax(0) * x).sum(),
    "matmul": lambda x: (x @ x.T).sum(),
    "matmul with a transpose": lambda x: (x.T @ tj.exp(x)).sum(),
    "mv": lambda x: tj.tanh(x @ x[0]).sum(),
    "batched matmul": lambda x: (tj.stack([x, 2 * x]) @ tj.stack([x.T, x.T])).sum(),
    "dot": lambda x: tj.dot(x[0], x[1]) ** 2,
    "outer": lambda x: tj.outer(x[0], x[1]).sum(),
    "slices": lambda x: (x[1:] * x[:-1]).sum() + (x[:, 1:] - x[:, :-1]).square().sum(),
    "steps": lambda x: (x[::2] * x[1::2]).sum(),
    "two-dimensional stencil": lambda x: (x[1:-1, 1:-1] * x[:-2, 1:-1] * x[1:-1, 2:]).sum(),
    "select": lambda x: x[1, 2] * x[0, 0] + x[2].sum(),
    "transpose": lambda x: (x.T * x.T.exp())[1].sum(),
    "reshape": lambda x: (x.reshape(-1)[2:7] * x.T.reshape(-1)[:5]).sum(),
    "expand": lambda x: (x.unsqueeze(0).expand(2, 4, 3) * x).sum(),
    "diagonal": lambda x: (x[:3].diagonal() * x[0]).sum(),
    "flip": lambda x: (x.flip(0) * x).sum(),
    "take": lambda x: (x[np.array([0, 2, 2])] ** 2).sum(),
    "mask": lambda x: x[np.arange(12).reshape(4, 3) % 2 == 0].square().sum(),
    "gather": lambda x: x.gather(1, tj.tensor([[0, 1], [2, 2], [1, 0], [0, 0]])).prod(1).sum(),
    "cat": lambda x: (tj.cat([x, x * x], 1) * 2).square().sum(),
    "stack": lambda x: tj.stack([x[0], x[1].exp()]).square().sum(),
    "roll": lambda x: (x.roll(1, 0) * x).sum(),
    "in place": lambda x: _in_place(x).sum(),
    "setitem": lambda x: _setitem(x).sum(),
    "where": lambda x: tj.where(x > 1.0, x * x, tj.sin(x)).sum(),
    "logic": lambda x: tj.where((x > 0.8) & ~(x > 1.5) | (x < 0.4), x * x, 3 * x).sum(),
    "bools as numbers": lambda x: ((x > 1.0).to(x.dtype) * x * x).sum(),
    "clamp": lambda x: (x.clamp(0.5, 1.5) * x).sum(),
    "polynomial": lambda x: (3 * x**4 - x**2.5 + 2**x).sum(),
}


def _in_place(x):
    y = x * 1.0
    y *= x
    y += 2
    z = y.sin()
    z.mul_(y)
    return z


def _setitem(x):
    y = x * 2
    y[1] = x[0] * x[2]
    y[:, 0] = y[:, 1] * 3
    return y * y


def compare(function, args, tolerance, calls=3, transforms=("value_and_grad", "hvp")):
    """Replayed calls with changing arguments against eager ones."""
    rng = np.random.default_rng(1)
    for name in transforms:
        make = getattr(tj, name)
        replayed, eager = make(function, compile="now"), make(function, compile="never")
        for _ in range(calls):
            now = [a * rng.uniform(0.98, 1.02, a.shape).astype(a.dtype) for a in args]
            if name == "hvp":
                now.append(rng.standard_normal(args[0].shape).astype(args[0].dtype))
            for mine, true in zip(leaves(replayed(*now)), leaves(eager(*now)), strict=True):
                np.testing.assert_allclose(mine, true, **tolerance)
                assert np.asarray(mine).dtype == np.asarray(true).dtype or np.ndim(true) == 0
        assert replayed.calls["eager"] == 0


def leaves(tree):
    if isinstance(tree, (tuple, list)):
        return [x for part in tree for x in leaves(part)]
    return [tree]


def draw(op, shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.uniform(*interval, shape).astype(dtype) for interval in op.domain]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(n for n in FUNCTIONS if n != "where"))
def test_elementwise_ops(name, dtype):
    op = BY_NAME[name]
    function = FUNCTIONS[name]
    args = draw(op, (2, 5), dtype)

    def summed(x):
        others = [x.detach() * 0 + tj.as_tensor(a) for a in args[1:]]
        return function(x, *others).square().sum()

    transforms = ("value_and_grad", "hvp") if op.smooth else ("value_and_grad",)
    compare(summed, args[:1], TOLERANCE[dtype], transforms=transforms)
    if len(args) == 2:
        compare(lambda y: function(tj.as_tensor(args[0]), y).square().sum(), args[1:], TOLERANCE[dtype], transforms=transforms)


@pytest.mark.parametrize("name", sorted(n for n in FUNCTIONS if n != "where" and BY_NAME[n].arity == 1))
def test_elementwise_ops_of_scalars(name):
    op = BY_NAME[name]
    replayed, eager = (tj.value_and_grad(FUNCTIONS[name], compile=c) for c in ("now", "never"))
    low, high = op.domain[0]
    for x in np.linspace(low, high, 5).tolist():
        np.testing.assert_allclose(replayed(x), eager(x), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", STRUCTURED)
def test_structured_ops(name, dtype):
    x = np.random.default_rng(3).uniform(0.3, 2.0, (4, 3)).astype(dtype)
    compare(STRUCTURED[name], [x], TOLERANCE[dtype])
