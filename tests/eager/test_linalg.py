"""Products of vectors, matrices and batches: values against NumPy, gradients against differences, errors that say why."""

import itertools

import numpy as np
import pytest
from oracle import check_grad

import tapejit as tj

M, K, N = 2, 3, 4
LEFT = [(K,), (M, K), (2, M, K), (1, M, K), (3, 1, M, K)]
RIGHT = [(K,), (K, N), (2, K, N), (1, K, N), (2, K, N)]
RANKS = sorted(set(itertools.product(LEFT, RIGHT)), key=str)
EMPTY = [
    ((0,), (0,)),
    ((2, 0), (0,)),
    ((0, 3), (3,)),
    ((0,), (0, 2)),
    ((2, 0), (0, 3)),
    ((0, 3), (3, 2)),
    ((2, 3), (3, 0)),
    ((0, 2, 3), (3, 2)),
    ((0, 2, 3), (0, 3, 2)),
    ((2, 2, 0), (2, 0, 2)),
    ((2, 0, 3), (2, 3, 2)),
]


def draw(shape, dtype=np.float64, seed=0):
    return np.random.default_rng([seed, *shape]).uniform(-1.0, 1.0, shape).astype(dtype)


def strided(array, how):
    """The same numbers behind other strides."""
    if how == "transposed" or array.ndim < 2:  # the last two dimensions
        if array.ndim < 2:
            return np.repeat(array, 2)[::2]
        return np.ascontiguousarray(np.swapaxes(array, -1, -2)).swapaxes(-1, -2)
    if how == "columns":  # a leading dimension larger than the rows
        return np.concatenate([array, array], -1)[..., : array.shape[-1]]
    if how == "steps":  # nothing BLAS could read as it is
        return np.repeat(array, 2, -1)[..., ::2]
    return np.ascontiguousarray(array.T).T  # every dimension the other way round


# --- matmul -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("a", "b"), RANKS, ids=str)
def test_matmul_of_all_ranks(a, b):
    x, y = draw(a), draw(b, seed=1)
    out = tj.tensor(x) @ tj.tensor(y)
    expected = x @ y
    assert out.shape == expected.shape
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-13, atol=1e-14)
    np.testing.assert_array_equal(tj.matmul(tj.tensor(x), tj.tensor(y)).numpy(), out.numpy())
    check_grad(lambda s, t: s @ t, x, y, order=1 if x.ndim + y.ndim > 5 else 2)


@pytest.mark.parametrize(("a", "b"), EMPTY, ids=str)
def test_matmul_of_nothing(a, b):
    x, y = draw(a), draw(b)
    out = tj.tensor(x) @ tj.tensor(y)
    assert out.shape == (x @ y).shape
    np.testing.assert_array_equal(out.numpy(), x @ y)
    check_grad(lambda s, t: s @ t, x, y)


@pytest.mark.parametrize("how", ["transposed", "columns", "steps", "reversed"])
@pytest.mark.parametrize("shapes", [((3, 3), (3, 3)), ((2, 3), (3, 4)), ((2, 2, 3), (2, 3, 2)), ((2, 3), (3,))], ids=str)
def test_operands_with_other_strides(how, shapes):
    x, y = (draw(s, seed=i) for i, s in enumerate(shapes))
    for a, b in ((strided(x, how), y), (x, strided(y, how)), (strided(x, how), strided(y, how))):
        s, t = tj.from_numpy(a), tj.from_numpy(b)
        np.testing.assert_allclose((s @ t).numpy(), x @ y, rtol=1e-13, atol=1e-14)
        check_grad(lambda s, t: s @ t, a, b)


def test_transposes_on_the_tape():
    x, y = draw((3, 2)), draw((4, 3))
    check_grad(lambda s, t: s.T @ t.T, x, y)
    check_grad(lambda s: s.T @ s, x)
    check_grad(lambda s: s @ s.T, x)
    check_grad(lambda s: (s.mT @ s).sum(0) @ s.mT, x)
    check_grad(lambda s: s[::2] @ s[:2, :1].expand(2, 3), x)
    z = draw((2, 3, 4))
    check_grad(lambda s: s.mT @ s, z)
    check_grad(lambda s: s.transpose(0, 2) @ s.permute(2, 0, 1), z, order=1)


def test_rows_and_columns_that_are_one_wide():
    for a, b in [((1, 3), (3, 1)), ((3, 1), (1, 3)), ((1, 1), (1, 1)), ((1, 3), (3, 4)), ((4, 3), (3, 1)), ((1, 1, 3), (3,))]:
        x, y = draw(a), draw(b, seed=1)
        np.testing.assert_allclose((tj.tensor(x) @ tj.tensor(y)).numpy(), x @ y, rtol=1e-13)
        check_grad(lambda s, t: s @ t, x, y)
        if len(a) == len(b) == 2:
            turned = np.ascontiguousarray(x.T).T, np.ascontiguousarray(y.T).T
            np.testing.assert_allclose((tj.from_numpy(turned[0]) @ tj.from_numpy(turned[1])).numpy(), x @ y, rtol=1e-13)


@pytest.mark.parametrize(("a", "b"), [((M, K), (K, N)), ((K,), (K,)), ((2, M, K), (2, K, N)), ((M, K), (K,))], ids=str)
def test_float32(a, b):
    x, y = draw(a, np.float32), draw(b, np.float32, seed=1)
    out = tj.tensor(x) @ tj.tensor(y)
    assert out.dtype is tj.float32
    np.testing.assert_allclose(out.numpy(), x.astype(float) @ y.astype(float), rtol=1e-5, atol=1e-6)
    check_grad(lambda s, t: s @ t, x, y)


def test_a_larger_product_and_its_gradients():
    x, y = draw((70, 90)), draw((90, 50), seed=1)
    a, b = tj.tensor(x, requires_grad=True), tj.tensor(y, requires_grad=True)
    out = a @ b
    np.testing.assert_allclose(out.detach().numpy(), x @ y, rtol=1e-12, atol=1e-12)
    g = draw((70, 50), seed=2)
    out.backward(tj.tensor(g))
    np.testing.assert_allclose(a.grad.numpy(), g @ y.T, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(b.grad.numpy(), x.T @ g, rtol=1e-12, atol=1e-12)


def test_only_the_gradient_asked_for():
    x = tj.tensor(draw((2, 3)))
    w = tj.tensor(draw((3, 2)), requires_grad=True)
    (x @ w).sum().backward()
    assert x.grad is None
    np.testing.assert_allclose(w.grad.numpy(), x.numpy().T @ np.ones((2, 2)), rtol=1e-14)


def test_gradients_add_up_over_products():
    x, w = draw((2, 3)), draw((3, 3))
    check_grad(lambda s, v: (s @ v) @ v + s @ v.T, x, w)


def test_nan_and_inf_pass_through():
    x = tj.tensor([[np.nan, 0.0], [0.0, 1.0]])
    out = (x @ tj.ones(2, 2)).numpy()
    assert np.isnan(out[0]).all()
    assert (out[1] == 1).all()
    assert np.isposinf((tj.tensor([[np.inf, 1.0]]) @ tj.ones(2)).item())


def test_integers_multiply_as_integers():
    x, y = tj.tensor([[1, 2], [3, 4]]), tj.tensor([[5, 6], [7, 8]])
    assert (x @ y).tolist() == [[19, 22], [43, 50]]
    assert (x @ y).dtype is tj.int64
    assert tj.dot(tj.tensor([1, 2]), tj.tensor([3, 4])).item() == 11


def test_arrays_on_either_side():
    x, y = draw((2, 3)), draw((3, 2))
    np.testing.assert_allclose((tj.tensor(x) @ tj.tensor(y)).numpy(), (x @ tj.tensor(y)).numpy(), rtol=1e-15)
    assert isinstance(x @ tj.tensor(y), tj.Tensor)


# --- the named products -----------------------------------------------------------------------------------------------

NAMED = {
    "dot": ((K,), (K,), np.dot),
    "mv": ((M, K), (K,), np.matmul),
    "mm": ((M, K), (K, N), np.matmul),
    "bmm": ((2, M, K), (2, K, N), np.matmul),
    "outer": ((M,), (N,), np.outer),
}


@pytest.mark.parametrize("name", NAMED)
def test_named_products(name):
    a, b, reference = NAMED[name]
    x, y = draw(a), draw(b, seed=1)
    out = getattr(tj, name)(tj.tensor(x), tj.tensor(y))
    np.testing.assert_allclose(out.numpy(), reference(x, y), rtol=1e-14)
    np.testing.assert_array_equal(getattr(tj.tensor(x), name)(tj.tensor(y)).numpy(), out.numpy())
    check_grad(getattr(tj, name), x, y)
    check_grad(getattr(tj, name), x.astype(np.float32), y.astype(np.float32), order=1)


WRONG = [
    ("dot", (2,), (3,)),
    ("dot", (2, 2), (2, 2)),
    ("dot", (), (2,)),
    ("mv", (2, 3), (2,)),
    ("mv", (3,), (3,)),
    ("mv", (2, 3), (3, 1)),
    ("mm", (2, 3), (2, 3)),
    ("mm", (3,), (3, 2)),
    ("mm", (2, 2, 3), (3, 2)),
    ("bmm", (2, 2, 3), (3, 3, 2)),
    ("bmm", (2, 2, 3), (2, 2, 3)),
    ("bmm", (2, 3), (3, 2)),
    ("outer", (2, 2), (2,)),
    ("outer", (), (2,)),
    ("matmul", (), (2,)),
    ("matmul", (2, 3), ()),
    ("matmul", (2,), (3,)),
    ("matmul", (2, 3), (2, 3)),
    ("matmul", (2, 2, 3), (2,)),
    ("matmul", (3,), (2, 2, 3)),
]


@pytest.mark.parametrize(("name", "a", "b"), WRONG, ids=str)
def test_shapes_that_do_not_fit(name, a, b):
    x, y = tj.ones(a, requires_grad=True), tj.ones(b)
    with pytest.raises(RuntimeError) as caught:
        getattr(tj, name)(x, y)
    message = str(caught.value)
    assert name in message
    for shape in (a, b):
        assert str(shape) in message or str(list(shape)) in message


def test_batches_that_do_not_broadcast():
    with pytest.raises((RuntimeError, ValueError), match="broadcast"):
        tj.ones(2, 2, 3) @ tj.ones(3, 3, 2)


@pytest.mark.parametrize("name", ["dot", "mv", "mm", "bmm", "matmul"])
def test_dtypes_that_differ(name):
    a, b, _ = NAMED.get(name, NAMED["mm"])
    with pytest.raises(RuntimeError, match=r"float64.*float32"):
        getattr(tj, name)(tj.ones(a), tj.ones(b, dtype=tj.float32))


@pytest.mark.parametrize("name", ["dot", "mv", "mm", "bmm", "outer", "matmul"])
def test_what_is_not_a_tensor(name):
    with pytest.raises(TypeError, match="tensor"):
        getattr(tj, name)(tj.ones(2), [1.0, 2.0])
