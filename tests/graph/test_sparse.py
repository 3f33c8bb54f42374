"""Sparse Jacobians and Hessians: equal to the dense ones, patterns and colourings checked by themselves."""

import numpy as np
import pytest
from random_array_programs import Program as Random
from scipy import sparse

import tapejit as tj
from tapejit.graph.colouring import colours, readings, symmetric_colours
from tapejit.replay.fewproducts import _direction, _stretches


def close(found, expected, **kwargs):
    assert isinstance(found, sparse.csr_array)
    np.testing.assert_allclose(found.toarray(), expected, **{"rtol": 1e-9, "atol": 1e-9, **kwargs})


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def steps(x):
    """Neighbours, a maximum, an integral and single elements."""
    pairs = [x[1:] * x[:-1] + tj.sin(x[1:]), tj.maximum(x[::2], x[1::2])]
    return tj.cat([*pairs, x[:3].sum().reshape(1), tj.stack([x[0], x[-1] ** 2])])


X = np.linspace(-1.0, 1.2, 40)


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
@pytest.mark.parametrize("compile", ["never", "now"])
def test_jacobians_are_the_dense_ones(mode, compile):
    J = tj.sparse_jacobian(steps, mode=mode, compile=compile)
    for x in (X, X**2 - 0.3, -X):
        close(J(x), tj.jacobian(steps)(x))
    assert J(X).nnz < 140


@pytest.mark.parametrize("compile", ["never", "now"])
def test_hessians_are_the_dense_ones(compile):
    H = tj.sparse_hessian(rosenbrock, compile=compile)
    for x in (X, X**2, -X):
        close(H(x), tj.hessian(rosenbrock)(x))
    assert H(X).nnz == 3 * 40 - 2
    assert H.pattern(X).dtype == bool


def test_symmetry_saves_products():
    """An arrow: the last variable is in every term. Columns alone need a product each, with symmetry two do."""
    f = lambda x: (x[:-1] ** 3).sum() + (x[:-1] * x[-1] ** 2).sum()  # noqa: E731
    H = tj.sparse_hessian(f)
    close(H(X), tj.hessian(f)(X))
    (plan,) = H._plans.values()
    assert len(plan.products.seeds) == 2
    assert colours(plan.rows).max() + 1 == 40


def test_fewer_rows_than_columns_go_backwards():
    f = lambda x: tj.stack([x[:20].prod(), (x[20:] ** 2).sum()])  # noqa: E731
    J = tj.sparse_jacobian(f)
    close(J(X), tj.jacobian(f)(X))
    (plan,) = J._plans.values()
    assert not plan.products.forward
    assert len(plan.products.seeds) == 1


@pytest.mark.parametrize("seed", range(25))
def test_random_programs(seed):
    random = Random(5000 + seed)
    x, y = random.arguments()
    H = tj.sparse_hessian(random.function, compile="never")
    close(H(x, y), tj.hessian(random.function)(x, y).reshape(x.size, x.size), rtol=1e-7, atol=1e-8, err_msg=random.source)
    gradient = tj.grad(random.function, 1)
    J = tj.sparse_jacobian(gradient, compile="never")
    close(J(x, y), tj.jacobian(gradient)(x, y).reshape(y.size, x.size), rtol=1e-7, atol=1e-8, err_msg=random.source)


@pytest.mark.parametrize("seed", range(40))
def test_colourings_show_every_entry(seed):
    rng = np.random.default_rng(seed)
    m, n = rng.integers(1, 30, 2)
    rows = sparse.random_array((m, n), density=rng.uniform(0.01, 0.4), rng=rng).tocsr() != 0
    readings(rows, colours(rows))
    square = sparse.random_array((n, n), density=rng.uniform(0.01, 0.3), rng=rng).tocsr() != 0
    square = (square + square.T).tocsr()
    for numbers in (colours(square), symmetric_colours(square)):
        colour, at = readings(square, numbers)
        A = square.astype(float) * 1.0
        A.data = rng.normal(size=A.nnz)
        A = (A + A.T).tocsr()
        A.sort_indices()
        seeds = np.eye(numbers.max() + 1)[numbers] if n else np.zeros((0, 0))
        np.testing.assert_allclose((A @ seeds)[at, colour], A.toarray()[square.tocoo().row, square.tocoo().col])
    with pytest.raises(ValueError, match="does not show"):
        readings(sparse.csr_matrix(np.ones((2, 2), bool)), np.zeros(2, int))


def test_a_pattern_with_a_whole_row_is_coloured_in_no_time():
    """Of 20 000 columns each meets each; memory for the pairs of them would end the process."""
    n = 20_000
    beside = sparse.diags([np.ones(n - 1), np.ones(n), np.ones(n - 1)], [-1, 0, 1], format="csr")
    arrow = sparse.csr_array(sparse.coo_array((np.ones(n), (np.zeros(n, int), np.arange(n))), (n, n)))
    rows = (beside + arrow + arrow.T) != 0
    numbers = symmetric_colours(rows)
    assert numbers.max() < 5
    readings(rows, numbers)


def test_a_given_pattern_is_used_and_checked():
    given = sparse.diags([1.0, 1.0, 1.0], [-1, 0, 1], shape=(40, 40))
    H = tj.sparse_hessian(rosenbrock, pattern=given)
    close(H(X), tj.hessian(rosenbrock)(X))
    narrow = tj.sparse_hessian(rosenbrock, pattern=sparse.eye(40))
    with pytest.raises(ValueError, match="entries outside of the pattern; pass a pattern"):
        narrow(X)
    with pytest.raises(ValueError, match=r"shape \(3, 3\), the matrix \(40, 40\)"):
        tj.sparse_hessian(rosenbrock, pattern=np.eye(3))(X)


def test_another_path_with_other_entries_is_an_error():
    def f(x):
        return x**2 if x[0] < 0 else x * x.flip(0)

    J = tj.sparse_jacobian(f, compile="now")
    close(J(X), np.diag(2 * X))
    with pytest.raises(ValueError, match="the function took another path"):
        J(X + 2)
    close(J(X), np.diag(2 * X))


def test_closures_other_arguments_and_kinds_of_arguments():
    w = np.linspace(1, 2, 40)
    J = tj.sparse_jacobian(lambda a, x: tj.tensor(w)[: x.shape[0]] * x**2 * a, 1)
    for n in (40, 20, 40):
        close(J(2.0, X[:n]), np.diag(4 * w * X)[:n, :n])
    assert len(J._plans) == 2
    close(J(3.0, tj.tensor(X)), np.diag(6 * w * X))
    close(tj.sparse_jacobian(lambda x: tj.ones(3))(X), np.zeros((3, 40)))


def test_matrices_do_not_share_what_can_be_changed():
    H = tj.sparse_hessian(rosenbrock, compile="now")
    first = H(X)
    expected = first.toarray()
    second = H(X)
    second.data[:] = 0
    close(first, expected)
    close(H(X), expected)
    with pytest.raises(ValueError, match="read-only"):
        second.indices[0] = 7


def test_bad_arguments():
    with pytest.raises(TypeError, match="tree of several"):
        tj.sparse_jacobian(lambda p: p[0])((X, X))
    with pytest.raises(TypeError, match="result is one array"):
        tj.sparse_jacobian(lambda x: (x, x))(X)
    for argnums in ("x", (), (0, "y")):
        with pytest.raises(TypeError, match="a position, or in a tuple of them"):
            tj.sparse_jacobian(rosenbrock, argnums)
    with pytest.raises(ValueError, match="'auto', 'forward', 'reverse'"):
        tj.sparse_jacobian(steps, mode="back")
    with pytest.raises(ValueError, match="'detect' or a sparse matrix"):
        tj.sparse_hessian(rosenbrock, pattern="guess")(X)


@pytest.mark.parametrize(
    ("places", "found"),
    [
        ([], []),
        ([0, 99], [(0, 1), (99, 100)]),
        (range(50), [(0, 50)]),
        (range(0, 60, 2), [(0, 59)]),
        (range(100), None),
        (range(0, 1000, 40), None),
    ],
)
def test_a_direction_is_put_together_from_where_it_is_not_zero(places, found):
    places = list(places)
    row = np.zeros(max(100, 1 + max(places, default=0)))
    row[places] = 1.0
    assert _stretches(row) == found
    assert np.array_equal(_direction(row, tj.zeros(row.shape)).numpy(), row)


def test_directions_with_long_stretches_of_zeros_give_the_same_matrix():
    def f(z):
        a, b, c = z[:100], z[100:200], z[200:]
        return tj.cat([tj.exp(a) * b, tj.sin(b[1:]) * b[:-1], c])

    z = np.random.default_rng(0).normal(size=300)
    for mode in ("forward", "reverse"):
        J = tj.sparse_jacobian(f, mode=mode)
        for _ in range(2):
            np.testing.assert_allclose(J(z).toarray(), tj.jacobian(f)(z), rtol=1e-13)


def test_columns_without_entries_are_in_no_direction():
    H = tj.sparse_hessian(lambda z: (z[:50] ** 3).sum() + z[50:].sum())
    z = np.random.default_rng(0).normal(size=200)
    for _ in range(2):
        np.testing.assert_allclose(H(z).toarray(), np.diag(np.r_[6 * z[:50], np.zeros(150)]))
    (plan,) = H._plans.values()
    assert plan.products.seeds[:, 50:].sum() == 0
    assert tj.sparse_hessian(lambda z: z.sum())(z).nnz == 0
