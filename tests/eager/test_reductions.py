"""Reductions over all or some dimensions: values, gradients, ties, special points and empty input."""

import numpy as np
import pytest
from oracle import check_grad
from scipy import special

import tapejit as tj

RNG = np.random.default_rng(5)
BLOCK = RNG.permutation(np.linspace(-2.0, 3.0, 24)).reshape(2, 3, 4)  # distinct values: no ties
INF, NAN = float("inf"), float("nan")


def leaf(values):
    return tj.tensor(values, requires_grad=True)


def gradient(f, values):
    x = leaf(values)
    f(x).sum().backward()
    return x.grad.tolist()


# --- the whole family against NumPy -----------------------------------------------------------------------------------

MANY_DIMS = {
    "sum": (lambda x, **o: x.sum(**o), np.sum),
    "mean": (lambda x, **o: x.mean(**o), np.mean),
    "amax": (lambda x, **o: x.amax(**o), np.max),
    "amin": (lambda x, **o: x.amin(**o), np.min),
    "var": (lambda x, **o: x.var(**o), lambda a, **o: np.var(a, ddof=1, **o)),
    "std": (lambda x, **o: x.std(**o), lambda a, **o: np.std(a, ddof=1, **o)),
    "population var": (lambda x, **o: x.var(unbiased=False, **o), np.var),
    "population std": (lambda x, **o: x.std(correction=0, **o), np.std),
    "norm": (lambda x, **o: x.norm(p=2, **o), lambda a, **o: np.sqrt(np.sum(a * a, **o))),
    "1-norm": (lambda x, **o: x.norm(p=1, **o), lambda a, **o: np.sum(np.abs(a), **o)),
    "3-norm": (lambda x, **o: x.norm(p=3, **o), lambda a, **o: np.sum(np.abs(a) ** 3, **o) ** (1 / 3)),
    "max-norm": (lambda x, **o: x.norm(p=INF, **o), lambda a, **o: np.max(np.abs(a), **o)),
}
ONE_DIM = {
    "prod": (lambda x, **o: x.prod(**o), np.prod),
    "logsumexp": (lambda x, **o: x.logsumexp(**o), special.logsumexp),
    "max": (lambda x, **o: x.max(**o).values, np.max),
    "min": (lambda x, **o: x.min(**o).values, np.min),
}


@pytest.mark.parametrize("name", MANY_DIMS)
@pytest.mark.parametrize("dim", [0, 1, -1, (0, 2), (1,), (-1, 0, 1)], ids=str)
def test_over_some_dimensions(name, dim):
    ours, reference = MANY_DIMS[name]
    for keepdim in (False, True):
        found = ours(tj.tensor(BLOCK), dim=dim, keepdim=keepdim).numpy()
        np.testing.assert_allclose(found, reference(BLOCK, axis=dim, keepdims=keepdim), rtol=1e-13)
    check_grad(lambda x: ours(x, dim=dim, keepdim=True), BLOCK)


@pytest.mark.parametrize("name", ONE_DIM)
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_over_one_dimension(name, dim):
    ours, reference = ONE_DIM[name]
    for keepdim in (False, True):
        found = ours(tj.tensor(BLOCK), dim=dim, keepdim=keepdim).numpy()
        np.testing.assert_allclose(found, reference(BLOCK, axis=dim, keepdims=keepdim), rtol=1e-13)
    check_grad(lambda x: ours(x, dim=dim), BLOCK)


@pytest.mark.parametrize("name", ["sum", "mean", "var", "std", "prod", "norm", "amax", "amin", "max", "min"])
def test_over_everything(name):
    reference = {"max": np.max, "min": np.min, "prod": np.prod}.get(name) or MANY_DIMS[name][1]
    found = getattr(tj.tensor(BLOCK), name)()
    assert tuple(found.shape) == ()
    np.testing.assert_allclose(found.item(), reference(BLOCK), rtol=1e-13)
    np.testing.assert_allclose(getattr(tj, name)(tj.tensor(BLOCK)).item(), reference(BLOCK), rtol=1e-13)
    check_grad(lambda x: getattr(x, name)(), BLOCK[0])


@pytest.mark.parametrize(
    "f", [lambda x: x.sum(0), lambda x: x.mean(), lambda x: x.amax(1), lambda x: x.cumsum(0)]
)
def test_strided_input(f):
    check_grad(lambda x: f(x) ** 2, BLOCK[0].T)
    check_grad(lambda x: f(x.T[::2]) ** 2, BLOCK[1])


def test_positional_forms_and_numpy_s_axis():
    x = tj.tensor(BLOCK)
    assert tuple(x.sum(1, True).shape) == (2, 1, 4)
    assert tuple(tj.mean(x, (0, 1)).shape) == (4,)
    assert tuple(tj.var(x, 1).shape) == (2, 4)
    assert x.sum(axis=1).tolist() == x.sum(dim=1).tolist()
    assert tj.sum(x, dim=()).item() == x.sum().item()


def test_scalars_have_one_dimension_to_reduce():
    x = leaf(3.0)
    for f in (lambda x: x.sum(0), lambda x: x.amax(-1), lambda x: x.max(0).values, lambda x: x.logsumexp(0)):
        assert f(x).item() == 3.0
    assert gradient(lambda x: x.sum(0) + x.mean() + x.prod(), 3.0) == 3.0


def test_dimensions_that_are_not_there():
    x = tj.tensor(BLOCK)
    for f in (
        lambda: x.sum(3),
        lambda: x.amax(-4),
        lambda: x.softmax(3),
        lambda: x.cumsum(3),
        lambda: x.max(3),
    ):
        with pytest.raises(IndexError):
            f()
    with pytest.raises(RuntimeError, match="dim"):
        x.sum((0, 0))


# --- largest and smallest ---------------------------------------------------------------------------------------------


def test_max_and_min_with_a_dimension_give_values_and_indices():
    x = tj.tensor([[3.0, 1.0, 2.0], [4.0, 6.0, 5.0]])
    values, indices = x.max(dim=1)
    assert values.tolist() == [3.0, 6.0]
    assert indices.tolist() == [0, 1]
    assert indices.dtype == tj.int64
    found = tj.min(x, 0)
    assert found.values.tolist() == [3.0, 1.0, 2.0]
    assert found.indices.tolist() == [0, 0, 0]
    assert x.max(1, keepdim=True)[1].tolist() == [[0], [1]]
    assert x.max(1)[0].tolist() == [3.0, 6.0]


def test_argmax_and_argmin():
    x = tj.tensor(BLOCK)
    for name, reference in (("argmax", np.argmax), ("argmin", np.argmin)):
        assert getattr(x, name)().item() == reference(BLOCK)
        for dim in (0, 1, -1):
            found = getattr(tj, name)(x, dim=dim)
            assert found.dtype == tj.int64
            np.testing.assert_array_equal(found.numpy(), reference(BLOCK, axis=dim))
            np.testing.assert_array_equal(
                getattr(x, name)(dim, keepdim=True).numpy(), reference(BLOCK, axis=dim, keepdims=True)
            )


def test_the_first_of_equals_is_the_one_that_counts():
    assert tj.tensor([3, 1, 3]).argmax().item() == 0
    assert tj.tensor([1, 1, 3]).argmin().item() == 0
    assert tj.tensor([3, 1, 3]).max(0).indices.item() == 0
    assert tj.tensor([3.0, 1.0, 1.0]).min(0).indices.item() == 1


@pytest.mark.parametrize(
    ("f", "values", "expected"),
    [
        (lambda x: x.max(), [1.0, 2.0, 2.0], [0.0, 0.5, 0.5]),
        (lambda x: x.min(), [1.0, 1.0, 2.0], [0.5, 0.5, 0.0]),
        (lambda x: x.amax(), [2.0, 2.0, 2.0, 2.0], [0.25] * 4),
        (lambda x: x.amax(0), [1.0, 2.0, 2.0], [0.0, 0.5, 0.5]),
        (lambda x: x.amin(0), [1.0, 1.0, 2.0], [0.5, 0.5, 0.0]),
        (lambda x: x.norm(INF), [2.0, -2.0, 1.0], [0.5, -0.5, 0.0]),
        (lambda x: tj.maximum(x, tj.ones(2)), [1.0, 2.0], [0.5, 1.0]),
        (lambda x: tj.minimum(x, tj.ones(2)), [1.0, 0.0], [0.5, 1.0]),
        # With indices only the entry that the index names gets the gradient.
        (lambda x: x.max(0).values, [1.0, 2.0, 2.0], [0.0, 1.0, 0.0]),
        (lambda x: x.min(dim=0)[0], [1.0, 1.0, 2.0], [1.0, 0.0, 0.0]),
    ],
)
def test_gradient_at_ties(f, values, expected):
    assert gradient(f, values) == expected


def test_nan_wins():
    x = tj.tensor([1.0, NAN, 3.0])
    for f in (x.max, x.min, x.amax, x.amin, x.sum, x.norm):
        assert np.isnan(f().item())
    assert x.argmax().item() == 1
    assert x.argmin().item() == 1
    assert np.isnan(x.max(0).values.item())


def test_max_of_two_tensors_is_maximum():
    assert tj.max(tj.tensor([1.0, 5.0]), tj.tensor([2.0, 3.0])).tolist() == [2.0, 5.0]
    assert tj.min(tj.tensor([1.0, 5.0]), tj.tensor([2.0, 3.0])).tolist() == [1.0, 3.0]


# --- softmax, logsumexp, cumsum ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_softmax_log_softmax_cumsum(dim):
    x = tj.tensor(BLOCK)
    np.testing.assert_allclose(x.softmax(dim).numpy(), special.softmax(BLOCK, axis=dim), rtol=1e-13)
    np.testing.assert_allclose(
        tj.log_softmax(x, dim=dim).numpy(), special.log_softmax(BLOCK, axis=dim), rtol=1e-13
    )
    np.testing.assert_allclose(tj.cumsum(x, dim=dim).numpy(), np.cumsum(BLOCK, axis=dim), rtol=1e-13)
    check_grad(lambda x: tj.softmax(x, dim=dim), BLOCK)
    check_grad(lambda x: x.log_softmax(dim), BLOCK)
    check_grad(lambda x: x.cumsum(dim) ** 2, BLOCK)


def test_softmax_family_does_not_overflow():
    x = tj.tensor([1000.0, 0.0, -1000.0])
    assert x.softmax(0).tolist() == [1.0, 0.0, 0.0]
    assert x.log_softmax(0).tolist() == [0.0, -1000.0, -2000.0]
    assert x.logsumexp(0).item() == 1000.0
    assert gradient(lambda x: x.logsumexp(0), [1000.0, 0.0]) == [1.0, 0.0]


def test_logsumexp_with_infinities():
    assert tj.tensor([-INF, -INF]).logsumexp(0).item() == -INF
    assert tj.tensor([-INF, 2.0]).logsumexp(0).item() == 2.0
    assert tj.tensor([INF, 1.0]).logsumexp(0).item() == INF
    assert gradient(lambda x: x.logsumexp(0), [-INF, 0.0]) == [0.0, 1.0]


def test_logsumexp_over_several_dimensions():
    np.testing.assert_allclose(
        tj.logsumexp(tj.tensor(BLOCK), (0, 2)).numpy(), special.logsumexp(BLOCK, axis=(0, 2)), rtol=1e-13
    )
    check_grad(lambda x: x.logsumexp((0, 1), keepdim=True), BLOCK)


@pytest.mark.parametrize("f", [lambda x: x.softmax(), lambda x: x.logsumexp(), lambda x: x.cumsum()])
def test_dimension_is_required(f):
    with pytest.raises(TypeError, match="dim"):
        f(tj.ones(3))


# --- kinks, zeros and special points ----------------------------------------------------------------------------------


def test_product_with_zeros():
    assert gradient(lambda x: x.prod(), [0.0, 2.0, 3.0]) == [6.0, 0.0, 0.0]
    assert gradient(lambda x: x.prod(), [0.0, 0.0, 3.0]) == [0.0, 0.0, 0.0]
    assert gradient(lambda x: x.prod(1), [[0.0, 2.0], [3.0, 4.0]]) == [[2.0, 0.0], [4.0, 3.0]]
    check_grad(lambda x: x.prod(), np.array([0.0, 2.0, -3.0]))
    check_grad(lambda x: x.prod(), np.array([0.0, 0.0, -3.0]))
    check_grad(lambda x: x.prod(0), np.array([[0.0, 2.0], [0.0, -3.0], [1.5, 0.0]]))


def test_norms_at_zero_have_the_gradient_zero():
    assert gradient(lambda x: x.norm(), [0.0, 0.0]) == [0.0, 0.0]
    assert gradient(lambda x: x.norm(p=1), [0.0, -2.0]) == [0.0, -1.0]
    assert gradient(lambda x: x.norm(p=3), [0.0, 0.0]) == [0.0, 0.0]
    assert gradient(lambda x: x.norm(p=3), [0.0, 1.0]) == [0.0, 1.0]


def test_other_norms():
    x = tj.tensor([3.0, -4.0, 0.0])
    assert x.norm("fro").item() == 5.0
    assert x.norm(0).item() == 2.0
    assert x.norm(-INF).item() == 0.0
    assert tj.norm(x, p=1).item() == 7.0
    check_grad(lambda x: x.norm(p=0.5), np.array([1.0, 4.0, 2.0]))
    check_grad(lambda x: x.norm(p=2.5, dim=1), BLOCK[0])


def test_std_of_equal_values_has_the_gradient_zero():
    assert gradient(lambda x: x.std(), [1.0, 1.0]) == [0.0, 0.0]


@pytest.mark.filterwarnings("ignore")
def test_variance_of_one_value_is_not_a_number():
    assert np.isnan(tj.tensor([1.0]).var().item())
    assert np.isnan(tj.tensor([1.0]).std().item())
    assert tj.tensor([1.0]).var(unbiased=False).item() == 0.0


# --- empty input ------------------------------------------------------------------------------------------------------


def test_empty_with_a_neutral_element():
    x, rows = tj.zeros(0), tj.zeros(0, 3)
    assert x.sum().item() == 0.0
    assert x.prod().item() == 1.0
    assert x.norm().item() == 0.0
    assert x.logsumexp(0).item() == -INF
    assert np.isnan(x.mean().item())
    assert rows.sum(0).tolist() == [0.0] * 3
    assert rows.prod(0).tolist() == [1.0] * 3
    assert rows.sum(1).tolist() == []
    assert rows.cumsum(0).tolist() == []
    assert tuple(rows.softmax(1).shape) == (0, 3)
    assert gradient(lambda x: x.sum() + x.prod() + x.norm(), []) == []


def test_empty_without_one():
    x, rows = tj.zeros(0), tj.zeros(0, 3)
    for f in (x.max, x.min, x.amax, x.amin, x.argmax, x.argmin):
        with pytest.raises((RuntimeError, IndexError)):
            f()
    for f in (rows.max, rows.amin, rows.argmax):
        with pytest.raises(IndexError):
            f(0)
    assert rows.amax(1).tolist() == []
    assert rows.max(1).indices.tolist() == []
    assert rows.argmax(1).tolist() == []


# --- dtypes -----------------------------------------------------------------------------------------------------------


def test_sums_of_integers_and_bools_are_int64():
    for values in (tj.tensor([1, 2]), tj.tensor([1, 2], dtype=tj.int32), tj.tensor([True, False])):
        assert values.sum().dtype == tj.int64
        assert values.prod().dtype == tj.int64
        assert values.cumsum(0).dtype == tj.int64
    assert tj.tensor([True, True, False]).sum().item() == 2
    assert tj.tensor([3, 1]).max().dtype == tj.int64


def test_mean_and_norm_need_floats():
    with pytest.raises(RuntimeError, match=r"(?i)float"):
        tj.tensor([1, 2]).mean()
    with pytest.raises(RuntimeError, match=r"(?i)float"):
        tj.tensor([1, 2]).norm()
    assert tj.tensor([1, 2]).mean(dtype=tj.float64).item() == 1.5


@pytest.mark.parametrize("name", ["sum", "mean", "var", "std", "prod", "norm", "amax", "max"])
def test_float32_stays(name):
    values = BLOCK.astype(np.float32)
    assert getattr(tj.tensor(values), name)().dtype == tj.float32
    check_grad(lambda x: getattr(x, name)(), values[0])


def test_dtype_argument_converts_first():
    x = leaf([1.5, 2.5])
    assert x.sum(dtype=tj.float32).dtype == tj.float32
    x.sum(dtype=tj.float32).backward()
    assert x.grad.dtype == tj.float64
    assert x.grad.tolist() == [1.0, 1.0]
    assert tj.tensor([1, 2]).sum(dtype=tj.float64).item() == 3.0


def test_all_and_any():
    x = tj.tensor([[True, False], [True, True]])
    assert x.all().item() is False
    assert x.any().item() is True
    assert x.all(1).tolist() == [False, True]
    assert x.any(dim=0).tolist() == [True, True]
    assert tj.tensor([0.0, 2.0]).any()
