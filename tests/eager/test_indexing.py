"""Indexing, indexed assignment, joining and splitting, and views: values, gradients and shared memory."""

import numpy as np
import pytest
from oracle import check_grad

import tapejit as tj

RNG = np.random.default_rng(11)
BLOCK = np.arange(24.0).reshape(2, 3, 4)
GRID = np.arange(6.0).reshape(2, 3)


def leaf(values):
    return tj.tensor(values, requires_grad=True)


def check_index(array, index, numpy_index=None):
    """Values as NumPy's, and first and second derivatives of the squares."""
    picked = tj.tensor(array)[index]
    np.testing.assert_array_equal(picked.numpy(), array[index if numpy_index is None else numpy_index])
    check_grad(lambda x: x[index] ** 2, array + 1)


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "index",
    [
        0,
        -1,
        (1, 2),
        (1, -1, 0),
        slice(None),
        slice(1, None),
        slice(-1, None),
        slice(0, 10),
        slice(2, 1),
        (slice(None), slice(None, None, 2)),
        (slice(None), slice(1, 3), slice(0, 4, 3)),
        (0, slice(1, None), 2),
        ...,
        (..., 0),
        (0, ...),
        (0, ..., 1),
        None,
        (None, 0),
        (..., None),
        (slice(None), None, 1),
        (0, None, ..., None, slice(1, 2)),
    ],
    ids=str,
)
def test_basic_indices(index):
    check_index(BLOCK, index)


@pytest.mark.parametrize(
    "index",
    [
        [0, 1],
        [1, 1, 0],
        [-1, 0],
        ([0, 1], [2, 0]),
        ([1, 1], [2, 2], [3, 3]),
        (slice(None), [2, 0]),
        (slice(None), [0, 0], slice(1, 3)),
        (..., [0, 3, 3]),
        (slice(None), [0, 2], [1, 1]),
        ([0, 1], slice(None), [1, 2]),
        ([[0], [1]], [[0, 2]]),
        ([0, 1], 2),
        (None, [0, 1]),
    ],
    ids=str,
)
def test_integer_arrays_repeat_and_add_up(index):
    check_index(BLOCK, index)


def test_integer_tensors_of_any_kind():
    x = leaf(GRID)
    for kind in (tj.int64, tj.int32):
        rows = tj.tensor([1, 0, 1], dtype=kind)
        assert x[rows].tolist() == [[3.0, 4.0, 5.0], [0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert x[np.array([1, 0])].tolist() == [[3.0, 4.0, 5.0], [0.0, 1.0, 2.0]]
    assert x[tj.tensor(1)].tolist() == [3.0, 4.0, 5.0]
    assert x[np.int64(1), tj.tensor(2)].item() == 5.0
    (x[tj.tensor([1, 0, 1])] * tj.tensor([[1.0], [2.0], [3.0]])).sum().backward()
    assert x.grad.tolist() == [[2.0, 2.0, 2.0], [4.0, 4.0, 4.0]]


def test_table_lookup_by_rows_and_labels():
    scores = leaf(GRID)
    picked = scores[tj.arange(2), tj.tensor([2, 0])]
    assert picked.tolist() == [2.0, 3.0]
    picked.sum().backward()
    assert scores.grad.tolist() == [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]


def test_an_integer_beside_an_array_is_taken_first():
    # As in PyTorch; NumPy would count the integer as an array and move the broadcast dimension to the front.
    assert tuple(tj.tensor(BLOCK)[0, :, tj.tensor([0, 1])].shape) == (3, 2)
    assert tj.tensor(BLOCK)[0, :, tj.tensor([0, 1])].tolist() == BLOCK[0][:, [0, 1]].tolist()
    assert tuple(tj.tensor(BLOCK)[tj.tensor([0, 1]), :, tj.tensor([0, 1])].shape) == (2, 3)


@pytest.mark.parametrize("shape", [(2,), (2, 3), (2, 3, 4)], ids=str)
def test_masks(shape):
    mask = RNG.random(shape) < 0.5
    mask.flat[0] = True
    picked = tj.tensor(BLOCK)[tj.tensor(mask)]
    np.testing.assert_array_equal(picked.numpy(), BLOCK[mask])
    np.testing.assert_array_equal(tj.tensor(BLOCK)[mask].numpy(), BLOCK[mask])
    check_grad(lambda x: x[tj.tensor(mask)] ** 2, BLOCK)


def test_masks_from_comparisons_and_beside_slices():
    x = leaf(GRID)
    assert x[x > 2].tolist() == [3.0, 4.0, 5.0]
    assert x[:, tj.tensor([True, False, True])].tolist() == [[0.0, 2.0], [3.0, 5.0]]
    assert tuple(x[x > 100].shape) == (0,)
    (x[x > 2] ** 2).sum().backward()
    assert x.grad.tolist() == [[0.0, 0.0, 0.0], [6.0, 8.0, 10.0]]


def test_empty_selection_has_a_gradient_of_zeros():
    x = leaf(GRID)
    x[tj.tensor([], dtype=tj.int64)].sum().backward()
    assert x.grad.tolist() == [[0.0] * 3] * 2


def test_rows_by_iteration_and_unpacking():
    x = leaf(GRID)
    first, second = x
    (first * 2 + second * second).sum().backward()
    assert x.grad.tolist() == [[2.0, 2.0, 2.0], [6.0, 8.0, 10.0]]
    assert [row.tolist() for row in x] == GRID.tolist()


@pytest.mark.parametrize(
    ("index", "error"),
    [
        (2, IndexError),
        (-3, IndexError),
        ((0, 3), IndexError),
        ((0, 0, 0), IndexError),
        (1.5, IndexError),
        ([0, 2], IndexError),
        ([0.0, 1.0], IndexError),
        ([True, False, True], IndexError),
        (slice(None, None, 0), ValueError),
        (tj.tensor([0, 1], dtype=tj.uint8), IndexError),
    ],
    ids=str,
)
def test_indices_that_do_not_fit(index, error):
    x = leaf(GRID)
    with pytest.raises(error):
        x[tj.tensor(index) if isinstance(index, list) else index]


# --- views ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[0],
        lambda x: x[:, 1:],
        lambda x: x[..., ::2],
        lambda x: x[None],
        lambda x: x.view(12, 2),
        lambda x: x.reshape(-1),
        lambda x: x.transpose(0, 2),
        lambda x: x.permute(2, 0, 1),
        lambda x: x.unsqueeze(1),
        lambda x: x[:1].squeeze(0),
        lambda x: x.flatten(),
        lambda x: x.mT,
        lambda x: x.expand(5, 2, 3, 4),
        lambda x: x.diagonal(),
        lambda x: x.split(1)[0],
        lambda x: x.chunk(2, dim=-1)[1],
        lambda x: x.detach(),
    ],
)
def test_views_share_memory(view):
    x = tj.tensor(BLOCK)
    v = view(x)
    assert np.shares_memory(v.numpy(), x.numpy())
    x += 100
    assert float(v.numpy().min()) >= 100


@pytest.mark.parametrize(
    "copy",
    [
        lambda x: x[[0, 1]],
        lambda x: x[x > -1],
        lambda x: x.clone(),
        lambda x: x.flip(0),
        lambda x: x.roll(1),
        lambda x: x.tril(),
        lambda x: x.transpose(0, 1).reshape(-1),
        lambda x: tj.cat([x]),
    ],
)
def test_copies_do_not(copy):
    x = tj.tensor(BLOCK)
    assert not np.shares_memory(copy(x).numpy(), x.numpy())


def test_view_needs_fitting_strides_where_reshape_copies():
    x = tj.tensor(GRID)
    with pytest.raises(RuntimeError, match=r"stride|contiguous|view"):
        x.T.view(6)
    assert x.T.reshape(6).tolist() == [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
    with pytest.raises(RuntimeError, match=r"shape|size"):
        x.view(4, 2)
    with pytest.raises(RuntimeError, match=r"shape|size"):
        x.reshape(-1, 4)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x.reshape(4, 6),
        lambda x: x.reshape(-1, 2).T,
        lambda x: x.view(2, -1),
        lambda x: x.flatten(1),
        lambda x: x.flatten(0, 1),
        lambda x: x.transpose(0, -1),
        lambda x: x.permute(2, 0, 1),
        lambda x: x.permute((1, -1, 0)),
        lambda x: x.mT,
        lambda x: x.unsqueeze(-1).squeeze(),
        lambda x: x[:, :1].squeeze(1),
        lambda x: x[:, :1].squeeze(),
        lambda x: x[:1].expand(3, 3, 4),
        lambda x: x[:1].expand(3, -1, -1),
        lambda x: tj.broadcast_to(x[0, :, :1], (2, 3, 5)),
        lambda x: x.permute(2, 1, 0).reshape(3, 8),
    ],
)
def test_shapes_pass_gradients_on(f):
    check_grad(lambda x: f(x) ** 2, RNG.normal(size=(2, 3, 4)))


# --- assignment -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "value"),
    [
        (0, 1.0),
        (0, [7.0, 8.0, 9.0]),
        ((slice(None), 1), [1.0, 2.0]),
        ((0, 1), 5.0),
        (..., 3.0),
        (None, 2.0),
        ((slice(None), slice(None, None, 2)), [[1.0], [2.0]]),
        ([1, 0], [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]),
        (([0, 1], [2, 0]), [7.0, 8.0]),
        (([0], 1), 4.0),
        ((slice(None), [0, 2]), [[1.0], [2.0]]),
        (GRID > 2, 0.0),
        (GRID > 2, [7.0, 8.0, 9.0]),
        (np.array([True, False]), [7.0, 8.0, 9.0]),
        (slice(2, 2), 1.0),
    ],
    ids=str,
)
def test_assignment(index, value):
    expected = GRID.copy()
    expected[index] = value
    by_tensor, by_index_tensor = tj.tensor(GRID), tj.tensor(GRID)
    by_tensor[index] = tj.tensor(value)
    assert by_tensor.tolist() == expected.tolist()
    by_index_tensor[tj.tensor(index) if isinstance(index, np.ndarray) else index] = tj.tensor(value)
    assert by_index_tensor.tolist() == expected.tolist()
    if isinstance(value, float):
        plain = tj.tensor(GRID)
        plain[index] = value
        assert plain.tolist() == expected.tolist()
    check_grad(lambda base, new: _assigned(base, index, new) ** 2, GRID + 1, np.asarray(value))


def _assigned(base, index, value):
    changed = base * 2
    changed[index] = value * 3
    return changed


def test_gradient_flows_to_the_assigned_value_and_to_what_is_left_of_the_base():
    x, v = leaf([1.0, 2.0, 3.0]), leaf([10.0, 20.0])
    y = x * 2
    y[:2] = v * v
    assert y.tolist() == [100.0, 400.0, 6.0]
    assert y.grad_fn is not None
    (y * tj.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 6.0]
    assert v.grad.tolist() == [20.0, 80.0]


def test_assignment_into_a_plain_buffer_takes_up_the_gradient():
    v = leaf([1.0, 2.0])
    buffer = tj.zeros(3)
    buffer[0] = v[0] * v[1]
    buffer[2] = v[1]
    assert buffer.requires_grad
    (buffer * buffer).sum().backward()
    assert v.grad.tolist() == [2 * 2.0 * 2.0, 2 * 2.0 * 1.0 + 2 * 2.0]


def test_an_assigned_scalar_cuts_the_gradient():
    x = leaf([1.0, 2.0, 3.0])
    y = x * 2
    y[y > 3] = 0.0
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 0.0, 0.0]


def test_assignment_converts_to_the_dtype_of_the_base():
    x = tj.zeros(3)
    x[0] = tj.tensor(2)
    x[1] = tj.tensor(1.5, dtype=tj.float32)
    x[2] = True
    assert x.dtype == tj.float64
    assert x.tolist() == [2.0, 1.5, 1.0]


def test_assignment_through_a_view_and_a_chain_of_indices():
    x = tj.tensor(GRID)
    x[1][0] = 50.0
    x.T[2, 0] = 70.0
    assert x.tolist() == [[0.0, 1.0, 70.0], [50.0, 4.0, 5.0]]
    part = x[:, 1]
    part[:] = tj.tensor([8.0, 9.0])
    assert x[:, 1].tolist() == [8.0, 9.0]


@pytest.mark.parametrize(
    ("index", "value", "error"),
    [
        (2, 1.0, IndexError),
        (0, tj.ones(2), RuntimeError),
        (slice(0, 1), tj.ones(2, 3), RuntimeError),
        ((slice(None), [0, 2]), tj.ones(3), RuntimeError),
    ],
    ids=["index out of range", "too short", "too many rows", "index array"],
)
def test_assignment_that_does_not_fit_changes_nothing(index, value, error):
    x = tj.tensor(GRID)
    with pytest.raises(error):
        x[index] = value
    assert x.tolist() == GRID.tolist()


def test_assignment_to_a_value_that_backward_needs_is_an_error():
    x = leaf([1.0, 2.0])
    y = x * 2
    z = y * y
    y[0] = 0.0
    with pytest.raises(RuntimeError, match=r"(?i)in.?place"):
        z.sum().backward()


# --- gather, index_select ---------------------------------------------------------------------------------------------


def test_gather():
    x = tj.tensor(GRID)
    columns = tj.tensor([[0, 0], [2, 1]])
    assert tj.gather(x, 1, columns).tolist() == [[0.0, 0.0], [5.0, 4.0]]
    assert x.gather(0, tj.tensor([[0, 1]])).tolist() == [[0.0, 4.0]]
    assert x.gather(-1, columns).tolist() == [[0.0, 0.0], [5.0, 4.0]]
    check_grad(lambda x: tj.gather(x, 1, columns) ** 2, GRID + 1)
    check_grad(lambda x: tj.gather(x, 0, tj.tensor([[0, 1, 1], [0, 0, 1], [1, 1, 1]])) ** 2, GRID + 1)


def test_gather_errors():
    x = tj.tensor(GRID)
    with pytest.raises(RuntimeError, match="dimension"):
        tj.gather(x, 1, tj.tensor([0, 1]))
    with pytest.raises((RuntimeError, IndexError), match=r"(?i)out of (bounds|range)"):
        tj.gather(x, 1, tj.tensor([[3]]))
    with pytest.raises((RuntimeError, IndexError)):
        tj.gather(x, 1, tj.tensor([[0.0]]))


def test_index_select():
    x = tj.tensor(GRID)
    assert tj.index_select(x, 1, tj.tensor([2, 0, 2])).tolist() == [[2.0, 0.0, 2.0], [5.0, 3.0, 5.0]]
    assert x.index_select(0, tj.tensor([1])).tolist() == [[3.0, 4.0, 5.0]]
    check_grad(lambda x: x.index_select(1, tj.tensor([2, 0, 2])) ** 2, GRID + 1)
    with pytest.raises(IndexError):
        x.index_select(0, tj.tensor([[0]]))
    with pytest.raises((RuntimeError, IndexError)):
        x.index_select(0, tj.tensor([2]))


# --- joining and splitting --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_cat(dim):
    a, b = RNG.normal(size=(2, 3)), RNG.normal(size=(2, 3))
    joined = tj.cat([tj.tensor(a), tj.tensor(b)], dim=dim)
    np.testing.assert_array_equal(joined.numpy(), np.concatenate([a, b], axis=dim))
    check_grad(lambda a, b: tj.cat([a, b, a], dim=dim) ** 2, a, b)


def test_cat_of_unequal_lengths_dtypes_and_empty():
    a, b = tj.ones(2, 3), tj.zeros(1, 3)
    assert tuple(tj.cat((a, b)).shape) == (3, 3)
    assert tj.cat([a, tj.ones(1, 3, dtype=tj.int64)]).dtype == tj.float64
    assert tj.cat([a, tj.zeros(0)]).tolist() == a.tolist()
    with pytest.raises(RuntimeError, match=r"dimension|size|shape"):
        tj.cat([a, tj.ones(2)])
    with pytest.raises(RuntimeError, match=r"dimension|size|shape"):
        tj.cat([a, tj.ones(2, 4)])
    with pytest.raises((RuntimeError, ValueError), match="empty"):
        tj.cat([])


@pytest.mark.parametrize("dim", [0, 1, 2, -1])
def test_stack(dim):
    a, b = RNG.normal(size=(2, 3)), RNG.normal(size=(2, 3))
    stacked = tj.stack([tj.tensor(a), tj.tensor(b)], dim=dim)
    np.testing.assert_array_equal(stacked.numpy(), np.stack([a, b], axis=dim))
    check_grad(lambda a, b: tj.stack([a, b], dim=dim) ** 2, a, b)
    with pytest.raises(RuntimeError, match=r"size|shape"):
        tj.stack([tj.ones(2), tj.ones(3)])


def test_split_by_size_and_by_sizes():
    x = tj.arange(6)
    assert [p.tolist() for p in tj.split(x, 4)] == [[0, 1, 2, 3], [4, 5]]
    assert [p.tolist() for p in x.split([1, 5])] == [[0], [1, 2, 3, 4, 5]]
    assert [p.tolist() for p in tj.tensor(GRID).split(2, dim=1)] == [[[0.0, 1.0], [3.0, 4.0]], [[2.0], [5.0]]]
    with pytest.raises(RuntimeError, match=r"(?i)split"):
        x.split([1, 2])


@pytest.mark.parametrize(
    ("length", "chunks", "lengths"), [(6, 3, [2, 2, 2]), (7, 3, [3, 3, 1]), (6, 4, [2, 2, 2]), (2, 5, [1, 1])]
)
def test_chunk_may_give_fewer(length, chunks, lengths):
    assert [len(p) for p in tj.arange(length).chunk(chunks)] == lengths
    assert [len(p) for p in tj.chunk(tj.arange(length), chunks, dim=0)] == lengths


def test_split_and_chunk_pass_gradients_on():
    x = RNG.normal(size=(2, 5))
    check_grad(lambda x: tj.split(x, [2, 3], dim=1)[1] ** 2, x)
    check_grad(lambda x: x.chunk(2, dim=1)[0].sum(0) * x.chunk(2, dim=0)[1][0, :3], x)


# --- rearranging ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [-1, 0, 1])
@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (4, 2)], ids=str)
def test_diagonal_tril_triu(shape, offset):
    a = RNG.normal(size=shape)
    x = tj.tensor(a)
    np.testing.assert_array_equal(x.diagonal(offset).numpy(), a.diagonal(offset))
    np.testing.assert_array_equal(tj.tril(x, offset).numpy(), np.tril(a, offset))
    np.testing.assert_array_equal(x.triu(offset).numpy(), np.triu(a, offset))
    check_grad(lambda x: x.diagonal(offset) ** 2, a)
    check_grad(lambda x: x.tril(offset) ** 2, a)
    check_grad(lambda x: x.triu(offset) ** 2, a)


def test_diagonal_of_a_batch():
    a = RNG.normal(size=(2, 3, 3))
    found = tj.diagonal(tj.tensor(a), dim1=1, dim2=2)
    np.testing.assert_array_equal(found.numpy(), a.diagonal(axis1=1, axis2=2))
    check_grad(lambda x: x.diagonal(offset=1, dim1=-2, dim2=-1) ** 2, a)
    np.testing.assert_array_equal(tj.tensor(a).tril().numpy(), np.tril(a))
    check_grad(lambda x: x.triu() ** 2, a)


def test_flip_and_roll():
    a = RNG.normal(size=(2, 3))
    x = tj.tensor(a)
    np.testing.assert_array_equal(x.flip(0).numpy(), np.flip(a, 0))
    np.testing.assert_array_equal(x.flip(0, 1).numpy(), np.flip(a))
    np.testing.assert_array_equal(tj.flip(x, [-1]).numpy(), np.flip(a, -1))
    np.testing.assert_array_equal(x.roll(1).numpy(), np.roll(a, 1))
    np.testing.assert_array_equal(tj.roll(x, -1, 1).numpy(), np.roll(a, -1, 1))
    np.testing.assert_array_equal(tj.roll(x, (1, 2), (0, 1)).numpy(), np.roll(a, (1, 2), (0, 1)))
    check_grad(lambda x: x.flip(0, 1) ** 2 * x, a)
    check_grad(lambda x: x.roll(2, 1) * x, a)
    check_grad(lambda x: x.roll(1) ** 2 * x, a)
    with pytest.raises(IndexError):
        x.flip(2)


ENDS = [(1, 2), (-1, slice(None, 2)), (slice(1, None), slice(None, None, 2)), (slice(None, None, -1), 0), (0, -2)]


@pytest.mark.parametrize("key", ENDS)
def test_a_key_that_was_seen_before_gives_the_same_part(key):
    x = np.arange(12.0).reshape(3, 4)
    for array in (x, x.T, x[::2], x + 1):
        for _ in range(3):
            t = tj.tensor(array, requires_grad=True)
            np.testing.assert_array_equal(t[key].detach().numpy(), array[key])
            (2.0 * t[key]).sum().backward()
            expected = np.zeros_like(array)
            expected[key] = 2.0
            np.testing.assert_array_equal(t.grad.numpy(), expected)
    with pytest.raises(IndexError):
        tj.tensor(x)[3, 0]
    with pytest.raises(IndexError):
        tj.tensor(x)[3, 0]
