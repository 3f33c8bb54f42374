"""Making tensors, their dtypes, and what results where dtypes meet."""

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


def leaf(values, **options):
    return tj.tensor(values, requires_grad=True, **options)


# --- tensor and its kin -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (1, tj.int64),
        (1.0, tj.float64),
        (True, tj.bool),
        ([1, 2.0], tj.float64),
        ([True, 1], tj.int64),
        ([], tj.float64),
        ([[1, 2], [3, 4]], tj.int64),
        ((1.0, 2.0), tj.float64),
        (range(3), tj.int64),
        (np.float32(1.0), tj.float32),
        (np.int32([1]), tj.int32),
    ],
    ids=str,
)
def test_tensor_takes_the_dtype_of_the_values(values, dtype):
    t = tj.tensor(values)
    assert t.dtype == dtype
    assert t.tolist() == np.asarray(values).tolist()
    assert t.is_leaf
    assert not t.requires_grad


@pytest.mark.parametrize(
    ("numpy_kind", "dtype"), NUMPY_KINDS.items(), ids=lambda k: getattr(k, "__name__", str(k))
)
def test_dtype_argument(numpy_kind, dtype):
    assert tj.tensor([1, 0], dtype=dtype).dtype == dtype
    assert tj.tensor(np.array([1, 0], numpy_kind)).dtype == dtype
    assert tj.zeros(2, dtype=dtype).numpy().dtype == numpy_kind
    assert tj.ones(2, 3, dtype=dtype).dtype == dtype
    assert tj.tensor([1.0, 0.0]).to(dtype).dtype == dtype
    assert str(dtype) in {
        f"{tj.__name__}.{np.dtype(numpy_kind).name}",
        f"tapejit.{np.dtype(numpy_kind).name}",
    }


def test_tensor_copies():
    a = np.array([1.0, 2.0])
    t = tj.tensor(a)
    a[0] = 9.0
    assert t.tolist() == [1.0, 2.0]
    with tj.no_grad():
        u = tj.tensor(t.numpy())
        u += 1
    assert t.tolist() == [1.0, 2.0]


def test_tensor_from_tensors():
    assert tj.tensor([tj.tensor(1.0), tj.tensor(2.0)]).tolist() == [1.0, 2.0]
    assert tj.tensor([np.ones(2), np.zeros(2)]).tolist() == [[1.0, 1.0], [0.0, 0.0]]


@pytest.mark.parametrize("values", [[[1, 2], [3]], "a", None, [1.0, "b"]], ids=str)
def test_tensor_from_what_is_not_an_array(values):
    with pytest.raises((TypeError, ValueError, RuntimeError)):
        tj.tensor(values)


def test_as_tensor_copies_only_when_it_must():
    t = tj.ones(2)
    a = np.ones(2)
    assert tj.as_tensor(t) is t
    assert np.shares_memory(tj.as_tensor(a).numpy(), a)
    assert not np.shares_memory(tj.as_tensor(a, dtype=tj.float32).numpy(), a)
    assert tj.as_tensor([1, 2]).tolist() == [1, 2]


def test_default_dtype():
    assert tj.get_default_dtype() == tj.float64
    try:
        tj.set_default_dtype(tj.float32)
        assert tj.tensor([1.5]).dtype == tj.float32
        assert tj.zeros(2).dtype == tj.float32
        assert tj.arange(2.0).dtype == tj.float32
        assert tj.rand(2).dtype == tj.float32
        assert (tj.arange(2) + 0.5).dtype == tj.float32
        assert (tj.arange(2) / 2).dtype == tj.float32
        assert tj.tensor(np.ones(2)).dtype == tj.float64
        assert "dtype" not in repr(tj.zeros(2))
        assert "float64" in repr(tj.tensor(np.ones(2)))
    finally:
        tj.set_default_dtype(tj.float64)
    assert tj.zeros(2).dtype == tj.float64
    with pytest.raises(TypeError):
        tj.set_default_dtype(tj.int64)


# --- creation functions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "dtype", "expected"),
    [
        ((4,), tj.int64, [0, 1, 2, 3]),
        ((4.0,), tj.float64, [0.0, 1.0, 2.0, 3.0]),
        ((1, 4), tj.int64, [1, 2, 3]),
        ((1, 4, 0.5), tj.float64, [1.0, 1.5, 2.0, 2.5, 3.0, 3.5]),
        ((5, 0, -2), tj.int64, [5, 3, 1]),
        ((2, 2), tj.int64, []),
        ((0, 1, 0.25), tj.float64, [0.0, 0.25, 0.5, 0.75]),
    ],
    ids=str,
)
def test_arange(arguments, dtype, expected):
    t = tj.arange(*arguments)
    assert t.dtype == dtype
    assert t.tolist() == expected
    np.testing.assert_array_equal(t.numpy(), np.arange(*arguments))


def test_arange_options_and_errors():
    assert tj.arange(3, dtype=tj.float32).dtype == tj.float32
    assert tj.arange(3.0, requires_grad=True).requires_grad
    assert tj.arange(end=3, start=1).tolist() == [1, 2]
    with pytest.raises((RuntimeError, ValueError), match="step"):
        tj.arange(0, 3, -1)
    with pytest.raises((RuntimeError, ValueError), match="step"):
        tj.arange(0, 3, 0)


def test_linspace():
    assert tj.linspace(0, 1, 5).tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert tj.linspace(2, 5, 1).tolist() == [2.0]
    assert tj.linspace(0, 1, 0).tolist() == []
    assert tj.linspace(-1, 1, steps=3, dtype=tj.float32).dtype == tj.float32
    assert tj.linspace(0, 1, 3, requires_grad=True).requires_grad
    t = tj.linspace(0.1, 0.7, 13)
    assert t[-1].item() == 0.7


@pytest.mark.parametrize("make", [tj.zeros, tj.ones, tj.empty, tj.rand, tj.randn], ids=lambda f: f.__name__)
def test_shapes_may_be_given_in_every_form(make):
    for t in (make(2, 3), make((2, 3)), make([2, 3]), make(size=(2, 3))):
        assert tuple(t.shape) == (2, 3)
        assert t.dtype == tj.float64
    assert tuple(make(()).shape) == tuple(make(size=()).shape) == ()
    assert tuple(make(0, 3).shape) == (0, 3)
    assert make(2, dtype=tj.float32).dtype == tj.float32
    assert make(2, requires_grad=True).requires_grad
    with pytest.raises((RuntimeError, ValueError)):
        make(-1)


def test_full_and_eye():
    assert tj.full((2,), 7.0).tolist() == [7.0, 7.0]
    assert tj.full((2,), 7).dtype == tj.int64
    assert tj.full((), True).dtype == tj.bool
    assert tj.full((2, 1), 1, dtype=tj.float32).dtype == tj.float32
    assert tj.full((2,), 1.5, requires_grad=True).requires_grad
    assert tj.eye(2).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert tj.eye(2, 3, dtype=tj.int64).tolist() == [[1, 0, 0], [0, 1, 0]]


def test_like():
    x = leaf([[1.0, 2.0]], dtype=tj.float32)
    for make in (tj.zeros_like, tj.ones_like, tj.empty_like, tj.rand_like, tj.randn_like):
        t = make(x)
        assert tuple(t.shape) == (1, 2)
        assert t.dtype == tj.float32
        assert not t.requires_grad
        assert make(x, dtype=tj.float64, requires_grad=True).requires_grad
    assert tj.full_like(x, 3).tolist() == [[3.0, 3.0]]
    assert tj.zeros_like(tj.arange(3)).dtype == tj.int64


# --- random numbers ---------------------------------------------------------------------------------------------------


def test_manual_seed_repeats_the_numbers():
    draws = []
    for _ in range(2):
        tj.manual_seed(3)
        draws.append([*tj.rand(3).tolist(), *tj.randn(3).tolist(), *tj.randint(100, (3,)).tolist()])
    assert draws[0] == draws[1]
    tj.manual_seed(4)
    assert tj.rand(3).tolist() != draws[0][:3]


def test_random_numbers_have_their_distribution():
    tj.manual_seed(0)
    uniform, normal = tj.rand(20_000).numpy(), tj.randn(20_000).numpy()
    assert 0 <= uniform.min() < 0.001
    assert 0.999 < uniform.max() < 1
    assert abs(uniform.mean() - 0.5) < 0.01
    assert abs(normal.mean()) < 0.03
    assert abs(normal.std() - 1) < 0.03


def test_randint():
    t = tj.randint(-2, 3, (1000,))
    assert t.dtype == tj.int64
    assert set(t.tolist()) == {-2, -1, 0, 1, 2}
    assert set(tj.randint(high=2, size=(100,)).tolist()) == {0, 1}
    with pytest.raises((RuntimeError, ValueError)):
        tj.randint(3, 3, (2,))


# --- dtypes that meet -------------------------------------------------------------------------------------------------

F64, F32 = tj.ones(2), tj.ones(2, dtype=tj.float32)
I64, I32 = tj.ones(2, dtype=tj.int64), tj.ones(2, dtype=tj.int32)
BOOL = tj.ones(2, dtype=tj.bool)


@pytest.mark.parametrize(
    ("a", "b", "dtype"),
    [
        (F32, F64, tj.float64),
        (F32, I64, tj.float32),
        (F64, I32, tj.float64),
        (I64, I32, tj.int64),
        (F32, BOOL, tj.float32),
        (I32, BOOL, tj.int32),
        (BOOL, BOOL, tj.bool),
        # Python numbers give way to the tensor, except where its kind cannot hold them.
        (F32, 1, tj.float32),
        (F32, 1.5, tj.float32),
        (F32, True, tj.float32),
        (I64, 1, tj.int64),
        (I32, 1, tj.int32),
        (I64, 1.5, tj.float64),
        (I32, 1.5, tj.float64),
        (BOOL, 1, tj.int64),
        (BOOL, 1.5, tj.float64),
        (F32, np.float64(1.5), tj.float32),
        # So do tensors without dimensions.
        (F32, tj.tensor(1.5), tj.float32),
        (tj.tensor(1.5, dtype=tj.float32), F64, tj.float64),
        (I64, tj.tensor(1.5), tj.float64),
        (I64, tj.tensor(1.5, dtype=tj.float32), tj.float32),
        (F32, tj.tensor(2), tj.float32),
        (tj.tensor(1.5), tj.tensor(1.5, dtype=tj.float32), tj.float64),
    ],
    ids=str,
)
def test_promotion(a, b, dtype):
    assert (a * b).dtype == dtype
    assert (b * a).dtype == dtype
    assert (a + b).dtype == dtype
    assert (a > b).dtype == tj.bool


def test_integer_arithmetic():
    i = tj.tensor([5, -5])
    assert (i / 2).tolist() == [2.5, -2.5]
    assert (i // 2).tolist() == [2, -3]
    assert (i % 3).tolist() == [2, 1]
    assert (i**2).tolist() == [25, 25]
    assert (i / 2).dtype == tj.float64
    assert (i**2).dtype == (i // 2).dtype == tj.int64
    assert (-i).tolist() == [-5, 5]
    assert i.abs().tolist() == [5, 5]
    assert i.exp().dtype == tj.float64


def test_boolean_arithmetic():
    a, b = tj.tensor([True, True, False]), tj.tensor([True, False, False])
    assert (a & b).tolist() == [True, False, False]
    assert (a | b).tolist() == [True, True, False]
    assert (a ^ b).tolist() == [False, True, False]
    assert (~a).tolist() == [False, False, True]
    assert (a * 2.0).tolist() == [2.0, 2.0, 0.0]


def test_gradients_keep_the_dtype_of_their_leaf_where_dtypes_meet():
    x = leaf([1.0, 2.0], dtype=tj.float32)
    w = leaf([3.0, 4.0])
    y = x * w
    assert y.dtype == tj.float64
    y.sum().backward()
    assert x.grad.dtype == tj.float32
    assert w.grad.dtype == tj.float64
    assert x.grad.tolist() == [3.0, 4.0]


def test_conversion_is_differentiated():
    x = leaf([1.0, 2.0])
    (x.to(tj.float32) * 3).sum().backward()
    assert x.grad.dtype == tj.float64
    assert x.grad.tolist() == [3.0, 3.0]
    assert x.to(tj.float64) is x
    assert not x.to(tj.int64).requires_grad


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("double", "float64"), ("float", "float32"), ("long", "int64"), ("int", "int32"), ("bool", "bool")],
)
def test_conversion_methods(name, dtype):
    assert getattr(tj.tensor([1.0, 0.0]), name)().dtype == getattr(tj, dtype)
