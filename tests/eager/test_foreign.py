"""Arrays of every kind that NumPy makes, at every way in: the right value, or an error that says what is wrong."""

import ctypes

import numpy as np
import pytest

import tapejit as tj

N = 5
VALUES = np.arange(1.0, N + 1)


def unaligned(dtype="f8"):
    size = np.dtype(dtype).itemsize
    array = np.zeros(N * size + 1, np.uint8)[1:].view(dtype)
    array[:] = VALUES
    return array


def field(align):
    array = np.zeros(N, np.dtype([("a", "i4"), ("b", "f8")], align=align))
    array["b"] = VALUES
    return array["b"]


def mapped(folder, mode="r"):
    VALUES.tofile(folder / "values")
    return np.memmap(folder / "values", dtype="f8", mode=mode)


def read_only(array):
    array = array.copy()
    array.setflags(write=False)
    return array


class Subclass(np.ndarray):
    pass


KINDS = {
    "plain": lambda _: VALUES.copy(),
    "other byte order": lambda _: VALUES.astype(VALUES.dtype.newbyteorder()),
    "single precision in the other byte order": lambda _: VALUES.astype(np.dtype("f4").newbyteorder()),
    "unaligned": lambda _: unaligned(),
    "unaligned single precision": lambda _: unaligned("f4"),
    "unaligned in the other byte order": lambda _: unaligned(np.dtype("f8").newbyteorder()),
    "field of a structure": lambda _: field(True),
    "field of a packed structure": lambda _: field(False),
    "read-only": lambda _: read_only(VALUES),
    "mapped": mapped,
    "subclass": lambda _: VALUES.copy().view(Subclass),
    "record array": lambda _: field(True).view(np.recarray),
    "backwards": lambda _: VALUES[::-1].copy()[::-1],
    "strided": lambda _: np.repeat(VALUES, 3)[::3],
    "dtype with metadata": lambda _: VALUES.astype(np.dtype("f8", metadata={"unit": "m"})),
    "buffer": lambda _: np.frombuffer(VALUES.tobytes()),
}


def precise(array):
    return 1e-6 if array.dtype.itemsize == 4 else 1e-14


@pytest.fixture(params=KINDS)
def array(request, tmp_path):
    return KINDS[request.param](tmp_path)


def value(x):
    return (x * x * x).sum() + x[1]


def gradient_of(a):
    a = np.asarray(a, dtype=np.float64)
    return (a**3).sum() + a[1], 3 * a * a + np.eye(N)[1]


def agrees(found, a):
    expected, tolerance = gradient_of(a), precise(a)
    np.testing.assert_allclose(float(found[0]), expected[0], rtol=tolerance)
    np.testing.assert_allclose(np.asarray(found[1]), expected[1], rtol=tolerance)
    assert np.asarray(found[1]).dtype.newbyteorder("=") == a.dtype.newbyteorder("=")


class TestFloats:
    def test_eager_operand(self, array):
        x = tj.tensor(VALUES, requires_grad=True)
        y = (x * array + array * x + tj.as_tensor(array) * x).sum()
        y.backward()
        np.testing.assert_allclose(x.grad.numpy(), 3 * np.asarray(array, dtype=float), rtol=1e-14)

    def test_eager_copy(self, array):
        t = tj.tensor(array, requires_grad=True)
        value(t).backward()
        agrees((value(t).item(), t.grad), array)

    def test_eager_target(self, array):
        t = tj.zeros(N, dtype=tj.as_tensor(array).dtype)
        t[:] = array
        t.copy_(array)
        np.testing.assert_array_equal(t.numpy(), array)

    @pytest.mark.parametrize("policy", ["now", "auto", "never"])
    def test_replay(self, array, policy):
        g = tj.value_and_grad(value, compile=policy)
        for _ in range(4):
            agrees(g(array), array)

    def test_replay_among_plain_arrays(self, array):
        g = tj.value_and_grad(value, compile="now")
        for _ in range(3):
            for a in (VALUES, array, VALUES.astype(np.float32)):
                agrees(g(a), a)

    def test_replay_inside_containers(self, array):
        g = tj.value_and_grad(lambda p: value(p["a"][0]) + p["b"][0], compile="now")
        for k in range(4):
            found = g({"a": [array], "b": (float(k),)})
            agrees((float(found[0]) - k, found[1]["a"][0]), array)

    @pytest.mark.filterwarnings("ignore:tapejit")
    @pytest.mark.parametrize("policy", ["now", "never"])
    def test_captured(self, array, policy):
        g = tj.value_and_grad(lambda x: (x * array).sum(), compile=policy)
        for k in range(4):
            if k == 3 and array.flags.writeable:
                array[0] += 1
            found, gradient = g(VALUES)
            np.testing.assert_allclose(found, (VALUES * np.asarray(array, dtype=float)).sum(), rtol=1e-14)
            np.testing.assert_array_equal(gradient, np.asarray(array, dtype=float))

    def test_into(self, array):
        g = tj.value_and_grad(value, compile="now")
        dtype = array.dtype.newbyteorder("=")
        for _ in range(4):
            out = np.empty(N, dtype)
            agrees(g.into(array, out), array)

    def test_into_as_target(self, array):
        if not array.flags.writeable:
            pytest.skip("cannot be a target")
        g = tj.value_and_grad(value, compile="now")
        x = VALUES.astype(array.dtype.newbyteorder("="))
        for _ in range(4):
            array[...] = 0
            found, given = g.into(x, array)
            assert given is array
            agrees((found, array), x)


@pytest.mark.parametrize(
    "array",
    [np.zeros((0, 3)), np.zeros((2, 0, 4), np.float32), np.zeros(0, np.dtype("f8").newbyteorder())],
    ids=["0x3", "2x0x4", "other byte order"],
)
def test_no_elements(array):
    g = tj.value_and_grad(lambda x: (x * x).sum() + 1, compile="now")
    for _ in range(4):
        found, gradient = g(array)
        assert found == 1
        assert gradient.shape == array.shape
        assert gradient.dtype == array.dtype.newbyteorder("=")
    assert tj.tensor(array).shape == array.shape


@pytest.mark.parametrize("dtype", [">f8", "<f8", ">f4", "<f4"])
def test_no_dimensions(dtype):
    g = tj.value_and_grad(lambda x: x * x * x, compile="now")
    x = np.array(2.0, dtype)
    for _ in range(4):
        assert g(x) == (8.0, 12.0)
    assert tj.tensor(x).item() == 2.0


REFUSED = {
    "half precision": np.ones(N, np.float16),
    "more than double precision": np.ones(N, np.longdouble),
    "more than double precision, complex": np.ones(N, np.clongdouble),
    "unsigned": np.ones(N, np.uint64),
    "objects": np.array([1.0, "a", None], dtype=object),
    "text": np.array(["a", "b"]),
    "dates": np.array([1, 2], "M8[s]"),
    "structures": np.zeros(N, [("a", "i4"), ("b", "f8")]),
    "masked": np.ma.masked_array(VALUES, mask=[0, 1, 0, 0, 0]),
    "half precision, one": np.float16(1),
    "more than double precision, one": np.longdouble(1),
}


@pytest.mark.parametrize("array", REFUSED.values(), ids=REFUSED)
def test_what_tensors_cannot_hold_is_refused(array):
    x = tj.ones(N)
    word = "mask" if isinstance(array, np.ma.MaskedArray) else "dtype"
    ways = [tj.tensor, tj.as_tensor, tj.from_numpy, lambda a: x * a]
    if isinstance(array, np.generic):
        ways = [tj.tensor, lambda a: x * a]
    for policy in ("now", "never"):
        g = tj.value_and_grad(lambda x: (x * x).sum(), compile=policy)
        g(VALUES), g(VALUES), g(VALUES)
        ways += [g, g, g, lambda a, g=g: g.into(a, np.empty(N))]
    for way in ways:
        with pytest.raises(TypeError, match=word):
            way(array)


@pytest.mark.parametrize("array", [np.arange(N), np.ones(N, bool), np.arange(N).astype(">i4"), np.arange(N, dtype=np.longlong)])
def test_integers_may_be_read_and_count_as_floats_where_they_are_differentiated(array):
    g = tj.value_and_grad(lambda x, n: (x * n).sum(), compile="now")
    for _ in range(4):
        found, gradient = g(VALUES, array)
        assert found == (VALUES * array).sum()
        np.testing.assert_array_equal(gradient, array)
        if array.dtype == bool:
            with pytest.raises(TypeError, match="floating"):
                g(array, VALUES)
            continue
        found, gradient = g(array, VALUES)
        assert found == (VALUES * array).sum()
        np.testing.assert_array_equal(gradient, VALUES)
        assert gradient.dtype == np.float64


# --- Shared memory ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["other byte order", "unaligned", "field of a packed structure"])
def test_from_numpy_refuses_memory_that_cannot_be_shared(kind, tmp_path):
    with pytest.raises(ValueError, match="use tensor"):
        tj.from_numpy(KINDS[kind](tmp_path))


WRITES = {
    "add_": lambda t: t.add_(1),
    "+=": lambda t: t.__iadd__(t),
    "mul_ of a view": lambda t: t[1:].mul_(2),
    "setitem": lambda t: t.__setitem__(0, 3.0),
    "mask": lambda t: t.__setitem__(t > 2, 3.0),
    "zero_": lambda t: t.zero_(),
    "fill_ of a view": lambda t: t[:2].fill_(2.0),
    "copy_": lambda t: t.copy_(tj.zeros(N)),
    "data": lambda t: setattr(t, "data", tj.zeros(N)),
    "detached": lambda t: t.detach().add_(1),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("kind", ["mapped", "read-only", "buffer"])
def test_read_only_memory_is_never_written(kind, write, tmp_path):
    array = KINDS[kind](tmp_path)
    t = tj.from_numpy(array)
    for mode in (tj.enable_grad, tj.no_grad):
        with mode(), pytest.raises(RuntimeError, match="read-only"):
            write(t)
    np.testing.assert_array_equal(array, VALUES)
    assert not t.numpy().flags.writeable
    assert not t[1:].numpy().flags.writeable
    t.clone().add_(1)


GAPS = [lambda: tj.ones(2 * N)[::2], lambda: tj.ones(N, N).T[0], lambda: tj.from_numpy(np.ones(2 * N))[::2]]


@pytest.mark.parametrize("given", GAPS)
def test_a_gradient_with_gaps_takes_the_next_one(given):
    x, y = tj.ones(N, requires_grad=True), tj.ones(N, requires_grad=True)
    x.grad = given()
    for k in (1, 2):
        (x * 3 + y * 2).sum().backward()
        np.testing.assert_array_equal(x.grad.numpy(), np.full(N, 1 + 3 * k))
        np.testing.assert_array_equal(y.grad.numpy(), np.full(N, 2 * k))


def test_a_read_only_gradient_is_replaced_not_written():
    x = tj.ones(N, requires_grad=True)
    given = read_only(VALUES)
    x.grad = tj.from_numpy(given)
    for k in (1, 2):
        (x * 3).sum().backward()
        np.testing.assert_array_equal(x.grad.numpy(), VALUES + 3 * k)
    np.testing.assert_array_equal(given, VALUES)


def test_a_replayed_function_may_not_write_what_it_is_given():
    given = read_only(VALUES)

    def f(x):
        x += 1
        return (x * x).sum()

    with pytest.warns(UserWarning, match="changed in place"):
        found = tj.jit(f)(given)
    assert found == ((VALUES + 1) ** 2).sum()
    np.testing.assert_array_equal(given, VALUES)


def test_shared_memory_is_kept():
    t = tj.from_numpy(np.full(1000, 3.0))
    address = t.data_ptr()
    del t
    t = tj.from_numpy(np.full(1000, 3.0)[10:])
    assert ctypes.c_double.from_address(t.data_ptr()).value == 3.0
    assert address
