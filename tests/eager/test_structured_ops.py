"""Every op of the table that is not elementwise: its reverse kernels against its rules on Tensors and finite differences.

``CASES`` names for each op the public functions that record it, with the shapes they are tested on; an op without a
case fails the first test.
"""

import numpy as np
import pytest
from oracle import check_grad

import tapejit as tj
from tapejit.core import tape
from tapejit.eager import places, views
from tapejit.kernels.library import KERNELS
from tapejit.spec.table import OPS

STRUCTURED = [op.name for op in OPS if not op.elementwise and op.alias_of is None and op.joint is None]
LONG = 3_001  # several of the blocks that long sums are made of


def at(*indices):
    """Integer tensors as an index."""
    return tuple(tj.tensor(i) for i in indices)


def other_float(x):
    return x.to(tj.float32 if x.dtype is tj.float64 else tj.float64)


def assigned(key):
    """``x[key] = y`` on a copy of x."""

    def f(x, y):
        z = x * 2
        z[key] = y
        return z

    return f




def test_each_op_has_its_kernels():
    ops = {op.name: op for op in OPS if not op.elementwise and op.alias_of is None}
    assert set(KERNELS) == set(ops)
    for name, op in ops.items():
        forward, *reverse = KERNELS[name]
        assert callable(forward)
        assert bool(op.joint) == (not reverse)  # the sweep runs a joint rule, and a reverse kernel for every other one
        assert op.joint or [r is not None for r in op.rules] == [callable(r) for r in reverse], name


# op: [(function, shape of each operand), ...]
CASES = {
    "view": [
        (lambda x: x[1:], [(4,)]),
        (lambda x: x[::2, None, -1], [(5, 3)]),
        (lambda x: x[2:2], [(3, 2)]),
        (lambda x: x.T, [(2, 3)]),
        (lambda x: x.reshape(3, -1), [(2, 3)]),
        (lambda x: x.reshape(0, 5), [(2, 0)]),
        (lambda x: x.expand(4, 3, 2), [(3, 1)]),
        (lambda x: x.expand(2, 3), [()]),
        (lambda x: x.expand(0, 3), [(1, 3)]),
        (lambda x: x.permute(2, 0, 1).flatten(1), [(2, 3, 2)]),
        (lambda x: x.diagonal(1), [(3, 4)]),
        (lambda x: x.squeeze().unsqueeze(-1), [(1, 3, 1)]),
        (lambda x: x.T[1:].T[:, ::2], [(2, 5)]),
    ],
    "spread": [
        (lambda x: views.spread(x, (3,), (2,), 0, (5,)), [(3,)]),
        (lambda x: views.spread(x, (2, 3), (1, 2), 1, (2, 4)), [(2, 3)]),
        (lambda x: views.spread(x, (4, 3), (0, 1), 0, (3,)), [(4, 3)]),
        (lambda x: views.spread(x, (0,), (1,), 0, (3,)), [(0,)]),
    ],
    "copy": [
        (lambda x: x.clone(), [(2, 3)]),
        (lambda x: x.T.clone(), [(2, 3)]),
        (lambda x: x[:, ::2].contiguous(), [(2, 4)]),
        (lambda x: x.clone(), [(0,)]),
        (lambda x: x.flip(0, 1), [(2, 3)]),
        (lambda x: x.expand(3, 2).clone(), [(2,)]),
    ],
    "cast": [
        (lambda x: other_float(x) * 3, [(3,)]),
        (lambda x: other_float(x.T) * 3, [(2, 3)]),
        (lambda x: other_float(x) * 3, [(0, 2)]),
    ],
    "sum": [
        (lambda x: x.sum(), [(2, 3)]),
        (lambda x: x.sum(), [()]),
        (lambda x: x.sum(), [(0, 3)]),
        (lambda x: x.sum(0), [(0, 3)]),
        (lambda x: x.sum(1), [(3, 0)]),
        (lambda x: x.sum((0, 2), keepdim=True), [(2, 1, 3)]),
        (lambda x: x.T.sum(0), [(2, 3)]),
        (lambda x: x[:, ::2].sum(-1), [(2, 5)]),
    ],
    "mean": [
        (lambda x: x.mean(), [(2, 3)]),
        (lambda x: x.mean(1, keepdim=True), [(2, 3, 2)]),
        (lambda x: x.T.mean(1), [(2, 3)]),
        (lambda x: x.mean(1), [(0, 3)]),
    ],
    "norm": [
        (lambda x: x.norm(), [(4,)]),
        (lambda x: x.norm(dim=0), [(3, 2)]),
        (lambda x: x.norm(dim=(0, 2), keepdim=True), [(2, 2, 2)]),
        (lambda x: x.T.norm(dim=1), [(3, 2)]),
        (lambda x: x.norm(dim=1), [(0, 3)]),
    ],
    "take": [
        (lambda x: x[at([2, 0, 2])], [(3,)]),
        (lambda x: x[at([[1, 0], [1, 1]])], [(2, 3)]),
        (lambda x: x[at([1, 0], [2, 2])], [(2, 3)]),
        (lambda x: x.T[at([2, 0])], [(2, 3)]),
        (lambda x: x.gather(1, tj.tensor([[2, 2], [0, 1]])), [(2, 3)]),
        (lambda x: x.index_select(1, tj.tensor([0, 0])), [(2, 3)]),
        (lambda x: x[tj.tensor([], dtype=tj.int64)], [(3, 2)]),
    ],
    "scatter_add": [
        (lambda x: places.scatter_add_flat(x, tj.tensor([2, 0, 2]), (4,)), [(3,)]),
        (lambda x: places.scatter_add_flat(x.T, tj.tensor([[0, 5], [1, 1]]), (2, 3)), [(2, 2)]),
        (lambda x: places.scatter_add_flat(x, tj.tensor([], dtype=tj.int64), (3,)), [(0,)]),
    ],
    "put": [
        (assigned(at([2, 0])), [(4,), (2,)]),
        (assigned(at([2, 0])), [(4, 2), (2,)]),
        (assigned(at([0, 1], [2, 0])), [(2, 3), ()]),
        (assigned(tj.tensor([True, False, True])), [(3,), (2,)]),
    ],
    "place": [
        (assigned(slice(1, 3)), [(4,), (2,)]),
        (assigned((slice(None), 1)), [(2, 3), (2,)]),
        (assigned((Ellipsis, slice(0, 3, 2))), [(2, 3), ()]),
        (assigned(slice(0, 0)), [(2,), (0,)]),
        (lambda x, y: tj.cat((x, y)), [(2, 3), (1, 3)]),
        (lambda x, y: tj.cat((x, y.T, x), 1), [(2, 3), (1, 2)]),
        (lambda x, y: tj.cat((x, y)), [(0, 2), (1, 2)]),
        (lambda x, y: tj.stack((x, y), -1), [(2, 2), (2, 2)]),
        (lambda x: x.roll(1, 0), [(3, 2)]),
    ],
    "matmul": [
        (lambda x, y: x @ y, [(2, 3), (3, 2)]),
        (lambda x, y: x @ y, [(2, 3), (3,)]),
        (lambda x, y: x @ y, [(3,), (3, 2)]),
        (lambda x, y: x @ y, [(2, 1, 3), (2, 3, 2)]),
        (lambda x, y: x.T @ y.T, [(3, 2), (2, 3)]),
        (lambda x, y: x @ y, [(0, 3), (3, 2)]),
        (lambda x, y: x @ y, [(2, 0), (0, 2)]),
        (lambda x: x @ x, [(2, 2)]),
    ],
    "dot": [
        (lambda x, y: tj.dot(x, y), [(3,), (3,)]),
        (lambda x, y: x[::2] @ y[1:], [(3,), (3,)]),
        (lambda x, y: x @ y, [(0,), (0,)]),
        (lambda x: tj.dot(x, x), [(1,)]),
    ],
    "ascending": [
        (lambda x: x.sort(0).values, [(6,)]),
        (lambda x: x.sort(1).values, [(2, 5, 3)]),
        (lambda x: x.T.sort().values, [(4, 3)]),
        (lambda x: x.sort(0).values, [(0, 2)]),
        (lambda x: x.sort().values, [()]),
        (lambda x: x.median(), [(7,)]),
        (lambda x: x.median(1, keepdim=True).values, [(3, 4)]),
    ],
    "descending": [
        (lambda x: x.sort(descending=True).values, [(3, 6)]),
        (lambda x: x.topk(2, dim=0).values, [(5, 2)]),
    ],
    "cumsum": [
        (lambda x: x.cumsum(0), [(4,)]),
        (lambda x: x.cumsum(1), [(2, 3, 2)]),
        (lambda x: x.T.cumsum(-1), [(3, 2)]),
        (lambda x: x.cumsum(0), [(0, 2)]),
        (lambda x: x.cumsum(0), [()]),
    ],
    "amax": [
        (lambda x: x.amax(), [(2, 3)]),
        (lambda x: x.amax(1), [(2, 3, 2)]),
        (lambda x: x.T.amax((0, 1), keepdim=True), [(2, 3)]),
        (lambda x: x.amax(0), [(1, 3)]),
        (lambda x: x.amax(1), [(0, 2)]),
        (lambda x: x.amax(), [()]),
    ],
    "amin": [
        (lambda x: x.amin(), [(5,)]),
        (lambda x: x.amin(0, keepdim=True), [(2, 3)]),
        (lambda x: x.T.amin(0), [(2, 3)]),
    ],
    "logsumexp": [
        (lambda x: x.logsumexp(0), [(4,)]),
        (lambda x: x.logsumexp(1, keepdim=True), [(2, 3, 2)]),
        (lambda x: x.T.logsumexp((0, 1)), [(2, 3)]),
        (lambda x: x.logsumexp(1), [(0, 2)]),
        (lambda x: x.logsumexp(0), [(1,)]),
    ],
    "softmax": [
        (lambda x: x.softmax(0), [(4,)]),
        (lambda x: x.softmax(1), [(2, 3, 2)]),
        (lambda x: x.T.softmax(-1), [(3, 2)]),
        (lambda x: x.softmax(0), [(0, 2)]),
        (lambda x: x.softmax(1), [(2, 1)]),
    ],
    "log_softmax": [
        (lambda x: x.log_softmax(0), [(4,)]),
        (lambda x: x.log_softmax(1), [(2, 3, 2)]),
        (lambda x: x.T.log_softmax(-1), [(3, 2)]),
        (lambda x: x.log_softmax(1), [(0, 2)]),
    ],
}
FLAT = [pytest.param(name, f, shapes, id=f"{name}-{i}") for name in CASES for i, (f, shapes) in enumerate(CASES[name])]
DIFFERENCES = [case for case in FLAT if case.values[0] != "cast"]  # float32 rounds away what the differences look for
each_case = pytest.mark.parametrize(("name", "f", "shapes"), FLAT)


def operands(shapes, dtype=np.float64):
    """Distinct numbers between 0.3 and 1.7, so that no extremum is a tie."""
    rng = np.random.default_rng(7)
    n = sum(int(np.prod(s)) for s in shapes)
    numbers = iter(rng.permutation(np.linspace(0.3, 1.7, max(n, 1))))
    return [np.array([next(numbers) for _ in range(int(np.prod(s)))], dtype=dtype).reshape(s) for s in shapes]


def count(name):
    """The records of an op, under any of its names."""
    codes = {op.code for op in OPS if op.name == name or (op.alias_of is not None and op.alias_of.name == name)}
    return sum(code in codes for code in tape.main.ops[: len(tape.main)].tolist())


def gradients(f, arrays, **options):
    tensors = [tj.tensor(a, requires_grad=True) for a in arrays]
    out = f(*tensors)
    weights = tj.tensor(np.linspace(0.5, 1.5, out.numel()).reshape(out.shape).astype(out.dtype.numpy))
    return [g.detach().numpy() for g in tj.autograd.grad(out, tensors, weights, **options)]


def test_every_structured_op_has_cases():
    assert sorted(CASES) == sorted(STRUCTURED)


@each_case
def test_the_case_records_its_op(name, f, shapes):
    tensors = [tj.tensor(a, requires_grad=True) for a in operands(shapes)]
    tape.main.reclaim()  # so that no reclaim falls between the counts
    before = count(name)
    out = f(*tensors)
    assert count(name) > before
    assert out.requires_grad


each_difference = pytest.mark.parametrize(("name", "f", "shapes"), DIFFERENCES)


@each_difference
def test_derivatives(name, f, shapes):
    check_grad(f, *operands(shapes))


@each_difference
def test_float32(name, f, shapes):
    arrays = operands(shapes, np.float32)
    assert f(*map(tj.tensor, arrays)).dtype is tj.float32
    check_grad(f, *arrays, order=1)
    for single, double in zip(gradients(f, arrays), gradients(f, [a.astype(np.float64) for a in arrays]), strict=True):
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, double, rtol=2e-5, atol=2e-6)


@each_case
def test_reverse_kernel_agrees_with_the_rule_on_tensors(name, f, shapes):
    for dtype, rtol in ((np.float64, 1e-13), (np.float32, 1e-5)):
        arrays = operands(shapes, dtype)
        by_kernel, by_rule = gradients(f, arrays), gradients(f, arrays, create_graph=True)
        for a, b in zip(by_kernel, by_rule, strict=True):
            assert a.dtype == b.dtype == dtype
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


@each_difference
def test_non_contiguous_operands(name, f, shapes):
    arrays = operands(shapes)
    wide = []
    for a in arrays:
        room = np.zeros([2 * s for s in a.shape])
        inner = room[(*(slice(None, None, 2) for _ in a.shape), Ellipsis)]
        inner[...] = a
        wide.append(inner)
    check_grad(f, *wide)
    turned = [np.ascontiguousarray(a.T).T for a in arrays]
    check_grad(f, *turned)


@each_case
def test_the_gradient_adds_to_one_that_is_there(name, f, shapes):
    arrays = operands(shapes)
    tensors = [tj.tensor(a, requires_grad=True) for a in arrays]
    fresh = gradients(f, arrays)
    for _ in range(2):
        out = f(*tensors)
        out.backward(tj.tensor(np.linspace(0.5, 1.5, out.numel()).reshape(out.shape).astype(out.dtype.numpy)))
    for t, g in zip(tensors, fresh, strict=True):
        np.testing.assert_allclose(t.grad.numpy(), 2 * g, rtol=1e-13)


# --- long arrays, several records on one operand -------------------------------------------------------------------------

LONG_CASES = {
    "sum": (lambda x: x.sum(), lambda a, g: g + 0 * a),
    "mean": (lambda x: x.mean(), lambda a, g: g / a.size + 0 * a),
    "norm": (lambda x: x.norm(), lambda a, g: g * a / np.linalg.norm(a)),
    "cumsum": (lambda x: x.cumsum(0), lambda a, g: np.cumsum(g[::-1])[::-1]),
    "dot": (lambda x: x @ x, lambda a, g: 2 * g * a),
    "logsumexp": (lambda x: x.logsumexp(0), lambda a, g: g * np.exp(a) / np.exp(a).sum()),
    "amax": (lambda x: x.amax(), lambda a, g: g * (a == a.max())),
    "flip": (lambda x: x.flip(0), lambda a, g: g[::-1]),
}


@pytest.mark.parametrize("name", LONG_CASES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
def test_long_arrays(name, dtype):
    f, slope = LONG_CASES[name]
    a = operands([(LONG,)], dtype)[0]
    x = tj.tensor(a, requires_grad=True)
    out = f(x)
    g = np.linspace(0.5, 1.5, out.numel()).reshape(out.shape).astype(dtype)
    out.backward(tj.tensor(g))
    rtol = 1e-12 if dtype == np.float64 else 2e-4
    np.testing.assert_allclose(x.grad.numpy(), slope(a.astype(np.float64), g.astype(np.float64)), rtol=rtol, atol=1e-7)


def test_a_long_float32_sum_keeps_its_accuracy():
    a = np.full(1_000_003, 0.1, dtype=np.float32)
    np.testing.assert_allclose(tj.tensor(a).sum().item(), float(np.float32(0.1)) * a.size, rtol=1e-6)


def test_many_views_of_one_tensor():
    a = np.linspace(0.3, 1.7, 6).reshape(2, 3)
    check_grad(lambda x: x[0] * x[1] + x[:, 0].sum() * x.T[1:].sum() + x.reshape(-1)[2:5], a)


def test_a_view_of_a_view_of_a_broadcast():
    check_grad(lambda x: x.expand(3, 4, 2)[1:, ::2].permute(2, 0, 1).reshape(2, 4) ** 2, np.array([[0.3, 0.7]]))


def test_a_record_used_by_view_and_op_gets_both():
    x = tj.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = x * 2
    z = y.sum() + (y[1:] * y[:-1]).sum() + y.reshape(3, 1).sum()
    z.backward()
    assert x.grad.tolist() == [12.0, 20.0, 12.0]
