"""Generated index expressions, read and written, eager and replayed, against positions that plain loops work out.

The rules are PyTorch's, which is asked too where it is installed; it refuses slices that run backwards.
"""

import random
import warnings

import numpy as np
import pytest

import tapejit as tj

try:
    import torch
except ImportError:
    torch = None

SEEDS = range(400)
REPLAYED = range(0, 400, 16)
SHAPES = [(), (3,), (2, 3), (3, 1, 2), (2, 3, 2), (4, 0)]


# --- the reference ----------------------------------------------------------------------------------------------------


def positions(shape, key):
    """The positions in the flattened array that a key selects, as PyTorch means it."""
    taken = sum(np.ndim(k) if is_mask(k) else k is not None and k is not ... and not isinstance(k, bool) for k in key)
    if ... not in [k for k in key if not isinstance(k, np.ndarray)]:
        key = (*key, ...)
    dims, axes = iter(range(len(shape))), []  # an axis of the result: (what it does to each dimension)
    fixed, arrays, marks = {}, [], []
    for part in key:
        if part is ...:
            rest = [next(dims) for _ in range(len(shape) - taken)]
            axes += [("line", d, range(shape[d])) for d in rest]
        elif part is None:
            axes.append(("line", None, range(1)))
        elif isinstance(part, bool):
            marks.append(len(axes))
            axes.append("array")
            arrays.append((None, np.zeros(int(part), int)))
        elif isinstance(part, slice):
            d = next(dims)
            axes.append(("line", d, range(shape[d])[part]))
        elif isinstance(part, int):
            d = next(dims)
            fixed[d] = range(shape[d])[part]
        else:
            marks.append(len(axes))
            axes.append("array")
            each = np.nonzero(part) if is_mask(part) else [part]
            for a in each:
                d = next(dims)
                arrays.append((d, np.where(np.asarray(a) < 0, np.asarray(a) + shape[d], a)))
    return enumerate_positions(shape, axes, fixed, arrays, marks)


def is_mask(part):
    return isinstance(part, np.ndarray) and part.dtype == bool


def enumerate_positions(shape, axes, fixed, arrays, marks):
    """Walk through the result element by element."""
    lead = np.broadcast_shapes(*(a.shape for _, a in arrays))
    lines = [a for a in axes if a != "array"]
    together = marks == list(range(marks[0], marks[0] + len(marks))) if marks else True
    at = marks[0] if marks and together else 0
    sizes = [len(line[2]) for line in lines]
    out = np.zeros((*sizes[:at], *lead, *sizes[at:]), int)
    strides = [int(np.prod(shape[d + 1 :])) for d in range(len(shape))]
    spread = [(d, np.broadcast_to(a, lead)) for d, a in arrays]
    for place in np.ndindex(out.shape):
        inner = place[at : at + len(lead)]
        outer = (*place[:at], *place[at + len(lead) :])
        where = dict(fixed)
        where.update((line[1], line[2][i]) for line, i in zip(lines, outer, strict=True))
        where.update((d, int(a[inner])) for d, a in spread)
        out[place] = sum(strides[d] * i for d, i in where.items() if d is not None)
    return out


# --- random keys ------------------------------------------------------------------------------------------------------


def random_key(rng):
    """A shape, and a key for it in plain form: ints, slices, None, ..., bools and NumPy arrays."""
    shape = rng.choice(SHAPES)
    length = rng.choice([None, 1, 2, 3])  # of the index arrays, which must agree
    last = rng.random() < 0.3  # a key for the last dimensions, with ... in front
    key, d = [...] if last else [], rng.randrange(len(shape) + 1) if last else 0
    while d < len(shape) and (last or rng.random() < 0.85):
        size = shape[d]
        kind = rng.choice(["int", "slice", "slice", "back", "array", "array", "mask", "new", "bool"])
        if kind == "int" and size:
            key.append(rng.randrange(-size, size))
        elif kind in ("slice", "back"):
            ends = [rng.choice([None, *range(-size - 1, size + 2)]) for _ in range(2)]
            key.append(slice(*ends, rng.choice([None, 1, 2]) if kind == "slice" else rng.choice([-1, -2])))
        elif kind == "array" and length and size:
            form = rng.choice([(length,), (length,), (1,), (2, length), (0,) if length == 1 else (length,)])
            key.append(np.array([rng.randrange(-size, size) for _ in range(int(np.prod(form)))], int).reshape(form))
        elif kind == "mask" and length is None:
            key.append(np.array([rng.random() < 0.5 for _ in range(size)], bool))
            length = 1
            if key[-1].sum() != 1:
                length = 0  # no more arrays beside this one
        elif kind == "new":
            key.append(None)
            continue
        elif kind == "bool" and length:
            key.append(True)
            continue
        else:
            key.append(slice(None))
        d += 1
    if not last and rng.random() < 0.3:
        key.insert(rng.randrange(len(key) + 1) if d == len(shape) else len(key), ...)
    return shape, tuple(key)


def disguised(key, rng, module):
    """The same key with its arrays as tensors, lists, ranges, tuples, and with integers of other kinds."""
    parts = []
    for part in key:
        if isinstance(part, np.ndarray):
            forms = [part, module.tensor(part)]
            if part.ndim == 1 or module is tj:  # PyTorch still takes a nested list for a tuple
                forms.append(part.tolist())
            if part.ndim == 1 and part.dtype != bool and part.size:
                forms.append(tuple(part.tolist()))
                line = range(int(part[0]), int(part[0]) + part.size)
                if part.tolist() == list(line):
                    forms = [line]
            part = rng.choice(forms) if part.size else part
        elif isinstance(part, int) and not isinstance(part, bool):
            part = rng.choice([part, np.int64(part), module.tensor(part), np.array(part)])
        elif isinstance(part, slice) and rng.random() < 0.2:
            part = slice(*(None if e is None else np.int64(e) for e in (part.start, part.stop, part.step)))
        parts.append(part)
    alone = len(parts) == 1 and not isinstance(parts[0], tuple)
    return parts[0] if alone and rng.random() < 0.5 else tuple(parts)


def case(seed):
    rng = random.Random(seed)
    shape, key = random_key(rng)
    found = positions(shape, key)
    numbers = np.random.default_rng(seed)
    return shape, key, found, numbers.uniform(0.5, 2.0, shape), numbers.uniform(0.5, 2.0, found.shape), rng


def expected_read(found, x, weights):
    """The value and the gradient of the weighted sum of squares of what is read."""
    picked = x.reshape(-1)[found.reshape(-1)].reshape(found.shape)
    gradient = np.zeros(x.size)
    for place, part in zip(found.reshape(-1), (2 * weights * picked).reshape(-1), strict=True):
        gradient[place] += part
    return (weights * picked**2).sum(), gradient.reshape(x.shape)


def expected_write(found, x, y):
    """The value and both gradients of the sum of squares after ``z = 3 * x; z[key] = y``."""
    z, source = 3 * x.reshape(-1), np.full(x.size, -1)
    for n, (place, value) in enumerate(zip(found.reshape(-1), y.reshape(-1), strict=True)):
        z[place], source[place] = value, n
    dx = np.where(source < 0, 6 * z, 0.0)
    dy = np.zeros(y.size)
    for place, n in enumerate(source):
        if n >= 0:
            dy[n] += 2 * z[place]
    return (z**2).sum(), dx.reshape(x.shape), dy.reshape(y.shape)


def read(key, weights):
    return lambda x: (weights * x[key] ** 2).sum()


def write(key):
    def f(x, y):
        z = x * 3.0
        z[key] = y
        return (z**2).sum()

    return f


# --- eager and replayed -----------------------------------------------------------------------------------------------


def test_generated_keys_read():
    for seed in SEEDS:
        _, key, found, x, weights, rng = case(seed)
        value, gradient = expected_read(found, x, weights)
        t = tj.tensor(x, requires_grad=True)
        disguise = disguised(key, rng, tj)
        assert tuple(t[disguise].shape) == found.shape, (seed, key)
        np.testing.assert_array_equal(tj.tensor(x)[disguise].numpy(), t[disguise].detach().numpy(), err_msg=str(key))
        result = read(disguise, tj.tensor(weights))(t)
        result.backward()
        np.testing.assert_allclose(result.item(), value, err_msg=f"{seed} {disguise}")
        np.testing.assert_allclose(t.grad.numpy(), gradient, err_msg=f"{seed} {disguise}")


def test_generated_keys_written():
    for seed in SEEDS:
        _, key, found, x, y, rng = case(seed)
        value, dx, dy = expected_write(found, x, y)
        a, b = tj.tensor(x, requires_grad=True), tj.tensor(y, requires_grad=True)
        disguise = disguised(key, rng, tj)
        result = write(disguise)(a, b)
        result.backward()
        np.testing.assert_allclose(result.item(), value, err_msg=f"{seed} {disguise}")
        np.testing.assert_allclose(a.grad.numpy(), dx, err_msg=f"{seed} {disguise}")
        np.testing.assert_allclose(b.grad.numpy(), dy, err_msg=f"{seed} {disguise}")
        plain = tj.tensor(x)
        plain[disguise] = y  # without a history NumPy writes
        z = a.detach() * 1.0
        with tj.no_grad():
            z[disguise] = tj.tensor(y)
        assert plain.tolist() == z.tolist()
        t = a * 1.0
        t[disguise] = b
        assert plain.tolist() == t.tolist(), (seed, disguise)


@pytest.mark.parametrize("seed", REPLAYED)
def test_generated_keys_replayed(seed):
    _, key, found, x, y, rng = case(seed)
    disguise = disguised(key, rng, tj)
    g = tj.value_and_grad(read(disguise, y), compile="now")
    h = tj.value_and_grad(write(disguise), argnums=(0, 1), compile="now")
    for scale in (1.0, 1.5, 0.5):
        value, gradient = expected_read(found, scale * x, y)
        got = g(scale * x)
        np.testing.assert_allclose(got[0], value)
        np.testing.assert_allclose(got[1], gradient)
        value, dx, dy = expected_write(found, scale * x, y)
        got, (da, db) = h(scale * x, y)
        np.testing.assert_allclose(got, value)
        np.testing.assert_allclose(da, dx)
        np.testing.assert_allclose(db, dy)


@pytest.mark.skipif(torch is None, reason="PyTorch is not installed")
def test_pytorch_agrees():
    for seed in SEEDS:
        shape, key, found, x, y, rng = case(seed)
        if any(isinstance(k, slice) and (k.step or 1) < 0 for k in key):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            t = torch.tensor(x, requires_grad=True)
            key = disguised(key, rng, torch)
            assert tuple(t[key].shape) == found.shape, (seed, shape, key)
            assert t[key].tolist() == x.reshape(-1)[found].tolist()
            if len(np.unique(found)) == found.size:  # else PyTorch leaves open which value stays
                a, b = torch.tensor(x, requires_grad=True), torch.tensor(y, requires_grad=True)
                result = write(key)(a, b)
                result.backward()
                _, dx, dy = expected_write(found, x, y)
                np.testing.assert_allclose(a.grad.numpy(), dx)
                np.testing.assert_allclose(b.grad.numpy(), dy)


# --- single ones ------------------------------------------------------------------------------------------------------


def test_ranges_and_tuples_beside_arrays_are_indices():
    scores = np.arange(12.0).reshape(3, 4)
    labels = np.array([1, 0, 3])
    t, y = tj.tensor(scores), tj.tensor(labels)
    assert t[range(3), y].tolist() == scores[range(3), labels].tolist()
    assert t[(0, 1), [0, 1]].tolist() == [0.0, 5.0]
    assert t[y[:2], range(2)].tolist() == [4.0, 1.0]
    assert t[range(2)].tolist() == scores[:2].tolist()
    assert t[0, 1].item() == 1.0
    x = tj.tensor(scores, requires_grad=True)
    loss = -tj.log_softmax(x, 1)[range(3), y].mean()
    expected = np.mean([np.log(np.exp(row).sum()) - row[k] for row, k in zip(scores, labels, strict=True)])
    np.testing.assert_allclose(loss.item(), expected)
    loss.backward()
    softmax = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    np.testing.assert_allclose(x.grad.numpy(), (softmax - np.eye(4)[labels]) / 3, atol=1e-15)


def test_indices_that_change_between_replays():
    g = tj.value_and_grad(lambda x, i: (x[range(3), i] * x[i, (0, 1, 2)]).sum(), compile="now")
    x = np.arange(16.0).reshape(4, 4) + 1
    for i in ([0, 1, 2], [3, 3, 3], [1, -1, 0]):
        i = np.array(i)
        value, gradient = g(x, tj.tensor(i))
        rows, places = np.arange(3), np.where(i < 0, i + 4, i)
        expected = np.zeros((4, 4))
        np.add.at(expected, (rows, places), x[places, rows])
        np.add.at(expected, (places, rows), x[rows, places])
        np.testing.assert_allclose(value.item(), (x[rows, places] * x[places, rows]).sum())
        np.testing.assert_allclose(gradient.numpy(), expected)


def test_the_last_of_several_values_at_one_place_gets_the_gradient():
    y = tj.tensor([1.0, 2.0, 3.0], requires_grad=True)
    z = tj.zeros(3)
    z[[0, 0, 0]] = y
    assert z.tolist() == [3.0, 0.0, 0.0]
    z.sum().backward()
    assert y.grad.tolist() == [0.0, 0.0, 1.0]


def test_nothing_selected():
    t = tj.tensor([1.0, 2.0, 3.0], requires_grad=True)
    assert t[[]].tolist() == []
    assert tuple(tj.ones(2, 3)[[]].shape) == (0, 3)
    t[[]].sum().backward()
    assert t.grad.tolist() == [0.0, 0.0, 0.0]
    z = t * 1
    z[[]] = 5.0
    assert z.tolist() == [1.0, 2.0, 3.0]


def test_slices_that_run_backwards():
    t = tj.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
    assert t[::-1].tolist() == [4.0, 3.0, 2.0, 1.0]
    assert t[::-2].tolist() == [4.0, 2.0]
    assert t[2:0:-1].tolist() == [3.0, 2.0]
    assert t[::-1].is_contiguous()
    (t[::-1] * tj.tensor([1.0, 2.0, 3.0, 4.0])).sum().backward()
    assert t.grad.tolist() == [4.0, 3.0, 2.0, 1.0]
    g = tj.value_and_grad(lambda x: (x[::-1] * tj.arange(4.0)).sum(), compile="now")
    for scale in (1.0, 2.0):
        value, gradient = g(scale * np.arange(4.0))
        assert value == scale * 4.0
        assert gradient.tolist() == [3.0, 2.0, 1.0, 0.0]
    z = tj.arange(4.0)
    z[::-1] = tj.arange(4.0)
    assert z.tolist() == [3.0, 2.0, 1.0, 0.0]


@pytest.mark.parametrize("key", [[slice(0, 1), 0], [[0], [0, 1]], np.array([0.5]), {0}, "a", (0, 1.0)], ids=str)
def test_what_is_no_index_is_an_index_error(key):
    with pytest.raises(IndexError):
        tj.ones(2, 3)[key]
    with pytest.raises(IndexError):
        tj.ones(2, 3)[key] = 0.0
