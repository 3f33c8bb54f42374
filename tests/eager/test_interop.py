"""The ways between tensors, NumPy arrays and Python numbers, and plain facts about a tensor."""

import copy

import numpy as np
import pytest

import tapejit as tj

NUMPY_KINDS = {
    np.float64: tj.float64,
    np.float32: tj.float32,
    np.int64: tj.int64,
    np.int32: tj.int32,
    np.bool_: tj.bool,
}


def leaf(values):
    return tj.tensor(values, requires_grad=True)


# --- NumPy ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numpy_kind", "dtype"), NUMPY_KINDS.items(), ids=lambda k: getattr(k, "__name__", str(k))
)
def test_from_numpy_shares_memory(numpy_kind, dtype):
    a = np.zeros((2, 3), numpy_kind)
    t = tj.from_numpy(a)
    assert t.dtype == dtype
    a[0, 1] = 1
    assert t[0, 1].item() == 1
    t[1, 2] = 1
    assert a[1, 2] == 1
    assert np.shares_memory(t.numpy(), a)


def test_from_numpy_keeps_strides():
    a = np.arange(6.0).reshape(2, 3)
    t = tj.from_numpy(a.T)
    assert tuple(t.shape) == (3, 2)
    assert not t.is_contiguous()
    t[2, 0] = 50.0
    assert a[0, 2] == 50.0
    (t.requires_grad_() ** 2).sum().backward()
    np.testing.assert_array_equal(t.grad.numpy(), 2 * a.T)


def test_from_numpy_of_something_else():
    with pytest.raises(TypeError):
        tj.from_numpy([1.0])
    with pytest.raises(TypeError):
        tj.from_numpy(np.array(["a"]))


def test_numpy_shares_memory():
    t = tj.zeros(2, 3)
    a = t.numpy()
    assert isinstance(a, np.ndarray)
    a[0, 0] = 5.0
    assert t[0, 0].item() == 5.0
    t += 1
    assert a[0, 0] == 6.0
    assert np.shares_memory(t[1].numpy(), a)
    assert np.shares_memory(np.asarray(t), a)
    assert np.asarray(t, dtype=np.float32).dtype == np.float32
    assert not np.shares_memory(np.array(t), a)


def test_memory_outlives_the_tensor():
    a = (tj.ones(1000) * 3).numpy()
    for _ in range(50):
        tj.zeros(1000) + 1
    assert (a == 3.0).all()


def test_numpy_of_a_recorded_value_needs_detach():
    x = leaf([1.0, 2.0])
    for t in (x, x * 2):
        with pytest.raises(RuntimeError, match="detach"):
            t.numpy()
        with pytest.raises(RuntimeError, match="detach"):
            np.asarray(t)
    assert np.shares_memory(x.detach().numpy(), x.detach().numpy())
    assert (x * 2).detach().numpy().tolist() == [2.0, 4.0]
    with tj.no_grad():
        assert (x * 2).numpy().tolist() == [2.0, 4.0]


ARRAY = np.array([[4.0, 5.0], [6.0, 7.0]])


@pytest.mark.parametrize(
    "f",
    [
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: a * b,
        lambda a, b: a / b,
        lambda a, b: a**b,
        lambda a, b: a @ b,
        lambda a, b: a < b,
        lambda a, b: a == b,
        lambda a, b: a // b,
        lambda a, b: a % b,
    ],
    ids=["+", "-", "*", "/", "**", "@", "<", "==", "//", "%"],
)
def test_arithmetic_with_arrays_in_both_orders(f):
    values = np.array([[1.0, 2.0], [3.0, 0.5]])
    t = tj.tensor(values)
    for found, expected in ((f(t, ARRAY), f(values, ARRAY)), (f(ARRAY, t), f(ARRAY, values))):
        assert isinstance(found, tj.Tensor)
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-14)


def test_arrays_in_recorded_arithmetic():
    x = leaf([1.0, 2.0])
    a = np.array([3.0, 4.0])
    for y in (x * a, a * x, np.float64(3.0) * x + x * np.array([0.0, 1.0])):
        assert isinstance(y, tj.Tensor)
        assert y.requires_grad
        x.grad = None
        y.sum().backward()
        assert x.grad.tolist() == [3.0, 4.0]
    x.grad = None
    (ARRAY @ x).sum().backward()
    assert x.grad.tolist() == [10.0, 12.0]


def test_numpy_scalars_count_as_python_numbers():
    t = tj.ones(2, dtype=tj.float32)
    for scalar in (np.float64(2.0), np.float32(2.0), np.int64(2)):
        assert (t * scalar).tolist() == (scalar * t).tolist() == [2.0, 2.0]
        assert isinstance(scalar * t, tj.Tensor)
        assert (t * scalar).dtype == tj.float32


# --- Python numbers ---------------------------------------------------------------------------------------------------


def test_item_and_tolist():
    for value in (3, 3.5, True):
        found = tj.tensor(value).item()
        assert found == value
        assert type(found) is type(value)
        assert tj.tensor([[value]]).item() == value
    assert leaf(2.5).item() == 2.5
    assert leaf([[1.0, 2.0]]).tolist() == [[1.0, 2.0]]
    assert leaf(1.5).tolist() == 1.5
    assert type(tj.tensor([1, 2]).tolist()[0]) is int
    with pytest.raises((RuntimeError, ValueError), match="2"):
        tj.ones(2).item()
    with pytest.raises((RuntimeError, ValueError)):
        tj.ones(0).item()


def test_bool_int_float_index():
    assert not tj.tensor(0.0)
    assert tj.tensor([2.0])
    assert int(tj.tensor(2.7)) == 2
    assert float(tj.tensor([2])) == 2.0
    assert float(leaf(1.5).detach()) == 1.5
    assert range(5)[tj.tensor(3)] == 3
    for convert in (bool, int, float):
        with pytest.raises((RuntimeError, ValueError, TypeError)):
            convert(tj.ones(2))
    with pytest.raises((RuntimeError, ValueError)):
        bool(tj.ones(0))
    with pytest.raises(TypeError):
        range(5)[tj.tensor(1.0)]


def test_len_and_iteration():
    assert len(tj.zeros(3, 2)) == 3
    assert [row.tolist() for row in tj.tensor([[1, 2], [3, 4]])] == [[1, 2], [3, 4]]
    with pytest.raises(TypeError):
        len(tj.tensor(1.0))
    with pytest.raises(TypeError):
        iter(tj.tensor(1.0))


def test_contains_equality_and_hash():
    t = tj.tensor([1, 2])
    assert 2 in t
    assert 5 not in t
    assert (t == t).tolist() == [True, True]
    assert (t != 1).tolist() == [False, True]
    assert len({t, t, tj.tensor([1, 2])}) == 2


def test_formatting():
    x = leaf(1.5)
    assert f"{x.detach():.2f}" == f"{x:.2f}" == "1.50"
    assert f"{x}" == "1.5"  # one number formats as a number
    assert str(x) == repr(x) == "tensor(1.5000, requires_grad=True)"
    assert f"{tj.tensor([1, 2])}" == "tensor([1, 2])"


def test_copies():
    x = leaf([1.0, 2.0])
    twin = copy.deepcopy(x)
    assert twin.requires_grad
    assert twin.is_leaf
    assert not np.shares_memory(twin.detach().numpy(), x.detach().numpy())


# --- facts about a tensor ---------------------------------------------------------------------------------------------


def test_shape_size_and_strides():
    t = tj.zeros(2, 3, 4)
    assert t.shape == t.size() == (2, 3, 4)
    assert t.shape[1] == t.size(1) == t.size(-2) == 3
    assert t.ndim == t.dim() == 3
    assert t.numel() == 24
    assert t.shape.numel() == 24
    assert t.stride() == (12, 4, 1)
    assert t.transpose(0, 1).stride() == (4, 12, 1)
    assert t.is_contiguous()
    assert not t.mT.is_contiguous()
    assert t.mT.contiguous().is_contiguous()
    assert repr(t.shape) == str(t.shape)
    assert tj.is_tensor(t)
    assert not tj.is_tensor(np.ones(2))


def test_transposes():
    t = tj.arange(6.0).reshape(2, 3)
    assert t.T.tolist() == t.mT.tolist() == [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]
    assert tuple(tj.zeros(2, 3, 4).mT.shape) == (2, 4, 3)
    with pytest.raises(RuntimeError, match=r"(?i)matri|dim"):
        _ = t[0].mT


def test_equal_and_allclose():
    a, b = tj.tensor([1.0, 2.0]), tj.tensor([1.0, 2.0 + 1e-9])
    assert tj.equal(a, a.clone())
    assert not tj.equal(a, b)
    assert tj.allclose(a, b)
    assert not tj.allclose(a, b + 1)


# --- masked arrays ----------------------------------------------------------------------------------------------------

MASKED = np.ma.masked_array([1.0, 2.0, 3.0], mask=[False, True, False])


@pytest.mark.parametrize(
    "use",
    [
        tj.tensor,
        tj.as_tensor,
        tj.from_numpy,
        lambda a: tj.tensor([a, a]),
        lambda a: tj.tensor(a, dtype=tj.float32),
        lambda a: tj.ones(3) * a,
        lambda a: tj.ones(3) < a,
        lambda a: tj.arange(3) + a.astype(int),
        lambda a: tj.exp(a),
        lambda a: tj.logical_and(tj.ones(3), a),
        lambda a: tj.where(a > 1, tj.ones(3), 0.0),
        lambda a: tj.ones(3).copy_(a),
        lambda a: tj.ones(3).add_(a),
        lambda a: tj.ones(3).__setitem__(slice(None), a),
        lambda a: (tj.ones(3, requires_grad=True) * 1).__setitem__(slice(None), a),
        lambda a: tj.ones(3)[a > 1],
        lambda a: tj.allclose(tj.ones(3), a),
        lambda a: tj.ones(3, requires_grad=True).exp().backward(a),
        lambda a: tj.ones(3) @ a,
        lambda a: tj.value_and_grad(lambda x: (x * x).sum())(a),
        lambda a: tj.value_and_grad(lambda x: (x * x).sum(), compile="never")(a),
        lambda a: tj.value_and_grad(lambda x: (x * a).sum())(np.ones(3)),
        lambda a: tj.jit(lambda x, w: x * w)(np.ones(3), a),
        lambda a: tj.grad(lambda t: (t["x"] * t["x"]).sum())({"x": a}),
        lambda a: tj.hessian(lambda x: (x * x).sum())(a),
    ],
)
def test_masked_arrays_are_refused(use):
    with pytest.raises(TypeError, match="masked"):
        use(MASKED)


def test_a_masked_array_on_the_left_keeps_its_mask_or_is_refused():
    found = MASKED * tj.tensor([2.0, 3.0, 4.0])
    assert isinstance(found, np.ma.MaskedArray)
    assert found.compressed().tolist() == [2.0, 12.0]
    with pytest.raises(RuntimeError, match="detach"):
        MASKED * leaf([2.0, 3.0, 4.0])


def test_numpy_by_force():
    x = tj.tensor([1.0, 2.0], requires_grad=True)
    array = (2 * x).numpy(force=True)
    assert array.tolist() == [2.0, 4.0]
    assert x.numpy(force=True).tolist() == x.tolist()
    z = tj.complex(x, 3 * x)
    assert z.numpy(force=True).tolist() == [1 + 3j, 2 + 6j]
    with pytest.raises(RuntimeError, match="detach"):
        z.numpy(force=False)
