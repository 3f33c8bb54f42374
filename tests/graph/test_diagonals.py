"""Entries along diagonals: as dense Jacobians and finite differences have them, without a product with a seed."""

import numpy as np
import pytest
from scipy import sparse

import tapejit as tj
from tapejit.replay import sparse as products

X = np.linspace(-1.0, 1.2, 36)
Y = np.linspace(0.5, 1.5, 36)


@pytest.fixture
def alone(monkeypatch):
    """No product with a seed is made."""

    def refused(*args):
        raise AssertionError("a product")

    monkeypatch.setattr(products, "entries_from", refused)


def differences(f, x, step=1e-6):
    columns = []
    for k in range(x.size):
        e = np.zeros(x.size)
        e[k] = step
        e = e.reshape(x.shape)
        columns.append((f(tj.tensor(x + e)).numpy() - f(tj.tensor(x - e)).numpy()).reshape(-1) / (2 * step))
    return np.stack(columns, 1)


def neighbours(x):
    return tj.cat([x[1:] * x[:-1] + tj.sin(x[1:]), tj.maximum(x[::2], x[1::2]), x[:3] * x[5]])


def grid(x):
    """The five-point stencil of a nonlinear equation, with its edges."""
    u = x.reshape(6, 6)
    inner = u[1:-1, 1:-1] ** 2 * (u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2])
    return tj.cat([inner.reshape(-1), u[0], tj.exp(u[:, -1])])


def shapes(x):
    """What moves elements: transposed, reversed, of another shape, broadcast, stacked, written into."""
    m = x.reshape(4, 9).T
    y = x.clone()
    y[3:9] = x[0:6] * x[30:]
    y[0] = 2.0 * x[-1]
    return tj.cat([(m * m.flip(0)).reshape(-1), tj.stack([x, y * x], 1).reshape(-1), (m[:, :1] * m[0]).reshape(-1)])


def holes(x):
    """Rows without entries, and columns: elements 4 to 19 of x are read nowhere."""
    return tj.cat([x[:4] ** 2, tj.zeros(5), x[20:] * x[:16:4].sum() * 0 + x[20:], tj.ones(3) * 2])


def repeated(x):
    """The same column from several terms, and one that is a column of every row."""
    return x * x + tj.tanh(x) * x + x[7] * tj.cos(x) - tj.where(x > 0, x, 3 * x)


def flow(x):
    for _ in range(5):
        x = tj.cat([x[:1], x[1:-1] + 0.1 * (x[2:] - 2 * x[1:-1] + x[:-2]) * x[1:-1], x[-1:]])
    return x


@pytest.mark.parametrize("f", [neighbours, grid, shapes, repeated, flow])
@pytest.mark.parametrize("compile", ["never", "now"])
def test_jacobians_are_the_dense_ones(alone, f, compile):
    J = tj.sparse_jacobian(f, compile=compile)
    for x in (X, X**2 - 0.3, -X):
        found = J(x)
        assert isinstance(found, sparse.csr_array)
        np.testing.assert_allclose(found.toarray(), tj.jacobian(f)(x), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(J(Y).toarray(), differences(f, Y), rtol=1e-7, atol=1e-7)
    data = np.empty(J(Y).nnz)
    J.into(X, data)
    np.testing.assert_array_equal(data, J(X).data)


def test_rows_and_columns_without_entries():
    J = tj.sparse_jacobian(holes, compile="now")
    for x in (X, Y):
        np.testing.assert_allclose(J(x).toarray(), tj.jacobian(holes)(x), atol=1e-14)
    f = lambda x: tj.cat([x[:4] ** 2, tj.zeros(5), x[20:] * 2])  # noqa: E731
    found = tj.sparse_jacobian(f)(X)
    assert found.nnz == 20
    np.testing.assert_allclose(found.toarray(), tj.jacobian(f)(X))


def chain(x):
    return tj.exp(x[1:] * x[:-1]) + tj.sin(x[:-1]) / (1 + x[1:] ** 2)


@pytest.mark.parametrize("f", [grid, chain])
def test_hessians_are_the_dense_ones_and_symmetric(alone, f):
    looks_right(f)


@pytest.mark.parametrize("f", [neighbours, shapes, repeated])
def test_variables_of_many_terms_make_rows_of_a_hessian(f):
    """A row that is no diagonal is that column's mirror image, or is worked out as a whole where it meets itself."""
    looks_right(f)


def test_a_shared_factor_makes_an_arrow(alone):
    """The first variable, a time say, multiplies every term; the last one divides them."""
    f = lambda z: ((z[2:-1] - z[1:-2] - z[0] * tj.sin(z[2:-1])) ** 2 / z[-1]).sum() + z[0] ** 3 * z[-1]  # noqa: E731
    H = tj.sparse_hessian(f, compile="now")
    for x in (X, Y):
        found = H(x)
        np.testing.assert_allclose(found.toarray(), tj.hessian(f)(x), rtol=1e-11, atol=1e-11)
        assert abs(found - found.T).max() == 0.0
    np.testing.assert_allclose(H(Y).toarray(), differences(tj.grad(f), Y), rtol=1e-5, atol=1e-5)


def test_ten_thousand_variables_with_a_shared_one(alone):
    x = np.linspace(0.1, 1.0, 10_000)
    f = lambda z: (z[1:] * z[:-1]).sum() + (z[1:] ** 2 * z[0] ** 2).sum()  # noqa: E731
    found = tj.sparse_hessian(f)(x).tolil()
    assert found[0, 0] == pytest.approx(2 * (x[1:] ** 2).sum())
    assert found[0, 7] == found[7, 0] == pytest.approx(4 * x[7] * x[0])
    assert found[7, 8] == found[8, 7] == 1.0


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_rows_that_are_sums_are_worked_out_as_a_whole(alone, dtype):
    def f(x, u):
        sums = [(u * u * x).sum().reshape(1), tj.dot(x, u).reshape(1), u[:2].mean() * x[:3]]
        return tj.cat([x[1:] - x[:-1] - tj.sin(u[1:]), *sums])

    J, D = tj.sparse_jacobian(f, (0, 1), compile="now"), tj.jacobian(f, (0, 1))
    for x, u in ((X, Y), (Y, -X)):
        for block, dense in zip(J(x.astype(dtype), u.astype(dtype)), D(x, u), strict=True):
            np.testing.assert_allclose(block.toarray(), dense, rtol=1e-5 if dtype == np.float32 else 1e-13, atol=1e-6)
    g = lambda x: tj.cat([x.reshape(6, 6).sum(0) ** 2, tj.exp(x)])  # noqa: E731
    np.testing.assert_allclose(tj.sparse_jacobian(g)(X).toarray(), tj.jacobian(g)(X), rtol=1e-13)


def test_sums_of_one_variable_stay_on_a_diagonal(alone):
    f = lambda x: tj.stack([x, x**2, tj.sin(x)]).sum(0) * x[0].expand(36)  # noqa: E731
    np.testing.assert_allclose(tj.sparse_jacobian(f, compile="now")(X).toarray(), tj.jacobian(f)(X), rtol=1e-13)


def looks_right(f):
    w = np.cos(np.arange(f(tj.tensor(X)).numel()))
    total = lambda x: (tj.tensor(w) * f(x)).sum() + (x**3).sum()  # noqa: E731
    H = tj.sparse_hessian(total, compile="now")
    for x in (X, Y):
        found = H(x)
        np.testing.assert_allclose(found.toarray(), tj.hessian(total)(x), rtol=1e-12, atol=1e-12)
        assert f is not grid or (found != found.T).nnz == 0
    np.testing.assert_allclose(H(Y).toarray(), differences(tj.grad(total), Y), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("compile", ["never", "now"])
def test_several_arguments_of_several_shapes(alone, compile):
    def f(a, x, m, y):
        return tj.cat([a * x * m[0, :], (m * y[:, None]).reshape(-1), y[1:] * a])

    a, m, y = 1.5, np.arange(12.0).reshape(3, 4) / 7, np.array([1.0, -2.0, 0.5])
    x = X[:4]
    for argnums in ((1, 2, 3), (3, 1), (2,)):
        J, D = tj.sparse_jacobian(f, argnums, compile=compile), tj.jacobian(f, argnums)
        for k in (1.0, -0.7):
            found = J(a, k * x, k * m, y)
            for block, dense in zip(found, D(a, k * x, k * m, y), strict=True):
                np.testing.assert_allclose(block.toarray(), dense.reshape(block.shape), rtol=1e-13, atol=1e-14)
    g = lambda x, y: (x[1:] * x[:-1] * y[: len(x) - 1]).sum() + (y**3).sum()  # noqa: E731
    H, D = tj.sparse_hessian(g, (0, 1), compile=compile), tj.hessian(g, (0, 1))
    for row, dense in zip(H(X, Y), D(X, Y), strict=True):
        for block, expected in zip(row, dense, strict=True):
            np.testing.assert_allclose(block.toarray(), expected, rtol=1e-13, atol=1e-14)


def test_single_precision(alone):
    J = tj.sparse_jacobian(neighbours, compile="now")
    x = X.astype(np.float32)
    found = J(x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.toarray(), tj.jacobian(neighbours)(X), rtol=1e-5, atol=1e-5)


def test_each_path_has_its_own_diagonals(alone):
    def f(x):
        return tj.sin(x) * x[0] if x[1] < 0 else x * x[0] ** 2 + x**3

    J, D = tj.sparse_jacobian(f, compile="now"), tj.jacobian(f)
    for x in (X, -X, X, X + 2, -X):
        np.testing.assert_allclose(J(x).toarray(), D(x), rtol=1e-13, atol=1e-14)


def test_a_path_with_entries_elsewhere_is_an_error():
    f = lambda x: x**2 if x[0] < 0 else x * x.flip(0)  # noqa: E731
    J = tj.sparse_jacobian(f, compile="now")
    J(X)
    with pytest.raises(ValueError, match="the function took another path"):
        J(X + 2)


def test_zeros_times_infinities_are_what_the_dense_jacobian_says(alone):
    f = lambda x: tj.sqrt(x) * x[::-1] + tj.cat([x[:3], x[3:] ** 0.5])  # noqa: E731
    x = Y.copy()
    x[[0, 5, -1]] = 0.0
    J = tj.sparse_jacobian(f, compile="now")
    for _ in range(2):
        np.testing.assert_array_equal(np.isfinite(J(x).toarray()), np.isfinite(tj.jacobian(f)(x)))
    g = lambda x: tj.sqrt(x**2)  # noqa: E731
    np.testing.assert_array_equal(tj.sparse_jacobian(g)(x).toarray(), tj.jacobian(g)(x))


def test_what_adds_up_many_elements_is_read_from_products():
    calls = []
    made, products.entries_from = products.entries_from, lambda *args: calls.append(1) or made(*args)
    try:
        for f in (lambda x: x * (x[:4] ** 2).sum(), lambda x: tj.cumsum(x**2, 0)[:4]):
            np.testing.assert_allclose(tj.sparse_jacobian(f)(X).toarray(), tj.jacobian(f)(X), rtol=1e-13)
    finally:
        products.entries_from = made
    assert len(calls) == 2


def test_long_recordings_are_read_from_products():
    def f(x):
        for _ in range(150):
            x = x + 0.01 * tj.sin(x) * x[0]
        return x

    np.testing.assert_allclose(tj.sparse_jacobian(f)(X).toarray(), tj.jacobian(f)(X), rtol=1e-12)
