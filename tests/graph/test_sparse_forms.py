"""Sparse matrices written into others, in several arguments, and with patterns that turn out to be too small."""

import pickle

import numpy as np
import pytest
from scipy import sparse

import tapejit as tj

X = np.linspace(-1.0, 1.2, 40)
Y = np.linspace(0.5, 1.5, 30)


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def coupled(x, y):
    return tj.cat([x[1:31] * y + tj.sin(x[:30]), y[:5] ** 2, x[:3] * x[3:6]])


def total(x, y):
    return (x[:30] ** 2 * y).sum() + (tj.exp(y[1:]) * y[:-1]).sum() + (x**3).sum()


def same(found, expected):
    assert isinstance(found, sparse.csr_array)
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("compile", ["never", "now", "auto"])
def test_entries_are_written_into_a_matrix_or_an_array(compile):
    H = tj.sparse_hessian(rosenbrock, compile=compile)
    kept = H(X)
    data, indices = kept.data, kept.indices
    for x in (X**2, -X, X):
        assert H.into(x, kept) is kept
        assert kept.data is data
        assert kept.indices is indices
        same(kept, tj.hessian(rosenbrock)(x))
        assert H.into(x + 1, data) is data
        same(kept, tj.hessian(rosenbrock)(x + 1))
    own = sparse.csr_matrix(H.pattern(X).astype(float))
    H.into(X, own)
    np.testing.assert_array_equal(own.toarray(), H(X).toarray())


def test_what_does_not_fit_is_refused_and_left_alone():
    H = tj.sparse_hessian(rosenbrock)
    kept = H(X)
    before = kept.data.copy()
    wider = sparse.csr_array(np.ones((40, 40)))
    frozen = H(X)
    frozen.data.flags.writeable = False
    for out, error, message in [
        (wider, ValueError, "pattern of the result"),
        (kept[:20], ValueError, "pattern of the result"),
        (kept.data[:-1], ValueError, r"shape \(118,\)"),
        (frozen, ValueError, "read-only"),
        (frozen.data, ValueError, "read-only"),
        (kept.tocsc(), TypeError, "CSR"),
        (kept.toarray(), ValueError, "shape"),
        (np.zeros(118, int), TypeError, "hold floats"),
        ([kept, kept], ValueError, "needs 1 matrices"),
        (None, TypeError, "CSR"),
    ]:
        with pytest.raises(error, match=message):
            H.into(X, out)
    with pytest.raises(TypeError, match="got nothing"):
        H.into()
    np.testing.assert_array_equal(kept.data, before)
    assert (wider.data == 1.0).all()


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
@pytest.mark.parametrize("compile", ["never", "now"])
def test_jacobians_in_several_arguments(mode, compile):
    J = tj.sparse_jacobian(coupled, (0, 1), mode=mode, compile=compile)
    for x, y in ((X, Y), (X**2, -Y)):
        found = J(x, y)
        assert type(found) is tuple
        for block, expected in zip(found, tj.jacobian(coupled, (0, 1))(x, y), strict=True):
            same(block, expected)
    kept = J(X, Y)
    assert J.into(-X, Y, kept) is kept
    for k in (0, 1):
        same(kept[k], tj.jacobian(coupled, k)(-X, Y))
    assert J.pattern(X, Y).shape == (38, 70)
    swapped = tj.sparse_jacobian(coupled, (1, 0), mode=mode)(X, Y)
    same(swapped[0], tj.jacobian(coupled, 1)(X, Y))
    same(tj.sparse_jacobian(coupled, (1,), mode=mode)(X, Y)[0], tj.jacobian(coupled, 1)(X, Y))


def test_many_products_in_several_arguments():
    f = lambda x, y: tj.cat([x.sum() * y, y.sum() * x])  # noqa: E731
    for mode in ("forward", "reverse"):
        for block, expected in zip(tj.sparse_jacobian(f, (0, 1), mode=mode)(X, Y), tj.jacobian(f, (0, 1))(X, Y), strict=True):
            same(block, expected)


@pytest.mark.parametrize("compile", ["never", "now"])
def test_hessians_in_several_arguments(compile):
    H = tj.sparse_hessian(total, (0, 1), compile=compile)
    for x, y in ((X, Y), (X**2, -Y)):
        for row, expected_row in zip(H(x, y), tj.hessian(total, (0, 1))(x, y), strict=True):
            for block, expected in zip(row, expected_row, strict=True):
                same(block, expected)
    whole = np.block([[b.toarray() for b in row] for row in H(X, Y)])
    np.testing.assert_array_equal(whole, whole.T)
    kept = H(X, Y)
    data = np.empty(sum(b.nnz for row in kept for b in row))
    H.into(X**2, Y, kept)
    H.into(X**2, Y, data)
    np.testing.assert_array_equal(np.concatenate([b.data for row in kept for b in row]), data)
    given = tj.sparse_hessian(total, (0, 1), pattern=H.pattern(X, Y), compile=compile)
    np.testing.assert_allclose(np.block([[b.toarray() for b in row] for row in given(X, Y)]), whole, rtol=1e-14)
    again = pickle.loads(pickle.dumps(H.what)), pickle.loads(pickle.dumps(tj.sparse_hessian(np.sum, (0,)))).argnums
    assert again == ("sparse_hessian", (0,))


@pytest.mark.parametrize("compile", ["never", "now", "auto"])
def test_a_given_pattern_that_is_violated_later_is_an_error(compile):
    """At zero the entries beside the diagonal are zero, and the diagonal alone is right; at other points it is not."""
    H = tj.sparse_hessian(rosenbrock, pattern=sparse.eye(40), compile=compile)
    for _ in range(3):
        same(H(np.zeros(40)), tj.hessian(rosenbrock)(np.zeros(40)))
    kept = H(np.zeros(40))
    before = kept.data.copy()
    for _ in range(3):
        with pytest.raises(ValueError, match="entries outside of the pattern"):
            H(X)
        with pytest.raises(ValueError, match="entries outside of the pattern"):
            H.into(X, kept)
        np.testing.assert_array_equal(kept.data, before)
    same(H(np.zeros(40)), tj.hessian(rosenbrock)(np.zeros(40)))


def test_a_pattern_that_the_graph_shows_to_be_enough_costs_nothing():
    J = tj.sparse_jacobian(coupled, pattern=np.ones((38, 40)))
    same(J(X, Y), tj.jacobian(coupled)(X, Y))
    (plan,) = J._plans.values()
    assert plan.proven
    with pytest.raises(ValueError, match="not symmetric"):
        tj.sparse_hessian(rosenbrock, pattern=np.triu(np.ones((40, 40))))(X)
    with pytest.raises(TypeError, match="argument 0 is a tree of several"):
        tj.sparse_jacobian(lambda p, y: p[0] * y[0], (0, 1))((X, X), Y)


@pytest.mark.parametrize("compile", ["never", "now"])
def test_another_path_is_noticed_in_all_ways_in(compile):
    J = tj.sparse_jacobian(lambda x: x**2 if x[0] < 0 else x * x.flip(0), compile=compile)
    kept = J(X)
    before = kept.data.copy()
    with pytest.raises(ValueError, match="another path"):
        J(X + 2)
    with pytest.raises(ValueError, match="another path"):
        J.into(X + 2, kept)
    np.testing.assert_array_equal(kept.data, before)
    same(J(X), np.diag(2 * X))


def test_what_the_native_way_does_not_take_goes_the_general_way():
    H = tj.sparse_hessian(rosenbrock, compile="now")
    kept, expected = H(X), tj.hessian(rosenbrock)(X)
    assert H.wait()
    assert H.compiled

    class Own(sparse.csr_array):
        pass

    own = Own((np.zeros(kept.nnz), kept.indices, kept.indptr), kept.shape)
    copied = sparse.csr_array((np.zeros(kept.nnz), kept.indices.copy(), kept.indptr.copy()), kept.shape)
    single = sparse.csr_array((np.zeros(kept.nnz, "f4"), kept.indices, kept.indptr), kept.shape)
    strided = H(X)
    strided.data = np.zeros(2 * kept.nnz)[::2]
    for out in (own, copied, single, strided):
        assert H.into(X, out) is out
        np.testing.assert_allclose(out.toarray(), expected, rtol=1e-6)
    shared = np.r_[X, np.zeros(kept.nnz - len(X))]
    kept.data = shared  # the argument lies in the entries
    assert H.into(shared[: len(X)], kept) is kept
    np.testing.assert_allclose(kept.toarray(), expected, rtol=1e-12)
    for out in (None, 3.0, (kept, kept), [np.zeros(3)]):
        with pytest.raises((TypeError, ValueError)):
            H.into(X, out)
    bare = H(X)
    del bare.__dict__["data"]
    with pytest.raises(AttributeError):
        H.into(X, bare)
    with pytest.raises(TypeError, match="no keyword"):
        H.into(x=X)


def test_results_are_not_changed_by_later_calls():
    H = tj.sparse_hessian(rosenbrock, compile="now")
    points = [X + 0.1 * k for k in range(6)]
    found = [H(x) for x in points]
    for x, matrix in zip(points, found, strict=True):
        same(matrix, tj.hessian(rosenbrock)(x))
    assert len({m.data.ctypes.data for m in found}) == 6
    data = [H(x).data for x in points]  # of matrices that are gone
    assert len({d.ctypes.data for d in data}) == 6


def test_references_are_counted():
    import sys

    H = tj.sparse_hessian(rosenbrock, compile="now")
    kept = H(X)
    H.into(X, kept)
    things = [kept, kept.data, kept.indices, kept.indptr, X]
    before = [sys.getrefcount(x) for x in things]
    for _ in range(100):
        H.into(X, kept)
        H.into(X, kept.data)
        with pytest.raises(TypeError):
            H.into(X, None)
    assert [sys.getrefcount(x) for x in things] == before
