"""Arguments of every kind to every door, between guard pages: the right value, or an error that says something.

``python tests/replay/test_door_fuzz.py FIRST COUNT`` runs COUNT cases from case FIRST on.
"""

import ctypes
import mmap
import os
import sys
import warnings

import numpy as np
import pytest

import tapejit as tj

PAGE = mmap.PAGESIZE
PER_SEED = 1000  # so that a case can be found again without all those before it
DTYPES = [np.dtype(t) for t in ("<f8", "<f4", ">f8", ">f4", "<i8", "<i4", "?", "<f2", "<c16", "<u8", "u1", ">i2")]
PLAIN = np.dtype(np.float64)
# dtypes and sizes that come often, so that most calls meet a compiled program
USUAL = [("<f8", 3, "<f8", 3)] * 4 + [
    ("<f4", 3, "<f4", 3), (">f8", 3, "<f8", 3), ("<f8", 3, ">f4", 3), (">f4", 3, ">f4", 3), ("<f8", 0, "<f8", 0),
    ("<f8", 1, "<f8", 3), ("<f8", 4, "<f8", 1), ("<f4", 6, "<f8", 6), ("<f8", 6, "<f8", 6),
]  # fmt: skip
# step, shift, whether it may be written: of x, y and two results; every new one is compiled in nopython code
N, S, U, R = (1, 0, True), (2, 0, True), (1, 1, True), (1, 0, False)
LAYOUTS = [(N, N, N, N)] * 6 + [(R, R, N, N), (S, U, N, S)]


class Guarded:
    """A page between two that may not be touched; arrays lie at its start or at its end."""

    def __init__(self):
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        self.map = mmap.mmap(-1, 3 * PAGE)
        whole = np.frombuffer(self.map, np.uint8)
        for at in (0, 2 * PAGE):
            assert protect(whole.ctypes.data + at, PAGE, 0) == 0
        self.page = whole[PAGE : 2 * PAGE]

    def array(self, n, dtype, step, shift, at_end):
        """An array of ``n`` elements ``step`` apart, ``shift`` bytes from an end of the page."""
        size = max(0, (n - 1) * step + 1) * dtype.itemsize if n else 0
        first = PAGE - size - shift if at_end else shift
        return np.ndarray((n,), dtype, self.page, first, (step * dtype.itemsize,))


class Case:
    """Two arguments and two arrays for results, drawn with the way in."""

    def __init__(self, rng, pages, doors):
        self.door = int(rng.choice(len(doors), p=[0.1, 0.35, 0.15, 0.2, 0.1, 0.1]))
        fixed = self.door > 3  # nopython: exact types
        wild = not fixed and rng.random() < 0.02
        first, n, second, m = USUAL[0] if fixed else USUAL[rng.integers(len(USUAL))]
        layouts = LAYOUTS[rng.integers(len(LAYOUTS))]
        if wild:
            first, second = DTYPES[rng.integers(len(DTYPES))], DTYPES[rng.integers(len(DTYPES))]
            n, m = (int(rng.choice([0, 1, 2, 3, 6])) for _ in "xy")
        kinds = [(np.dtype(first), n), (np.dtype(second), m)]
        for t, k in list(kinds):  # the results are mostly of the right kind
            odd = not fixed and rng.random() < 0.1
            kinds.append((DTYPES[rng.integers(len(DTYPES))] if odd else t, k + 1 if odd and rng.random() < 0.3 else k))
        self.arrays, self.owners = [], []
        for (t, k), (step, shift, writable) in zip(kinds, layouts, strict=True):
            if not fixed:
                step, shift = int(rng.choice([1, 1, 1, 2, 3])), int(rng.choice([0, 0, 0, 1, 4, 8]))
                writable = rng.random() < 0.95
            place = rng.integers(len(pages)), step, shift, rng.random() < 0.5
            array = pages[place[0]].array(k, t, *place[1:])
            self.owners.append(array)
            if not fixed:
                array = self._form(rng, array)
            array = array.view()
            array.setflags(write=writable)
            self.arrays.append(array)
        self._fill(rng)
        if rng.random() < 0.05 and kinds[0] == kinds[1] and self.arrays[0].shape == self.arrays[1].shape:
            self.arrays[1] = self.arrays[0]
        if rng.random() < 0.1 and not fixed:
            self.arrays[2 + rng.integers(2)] = self.arrays[rng.integers(4)]
        self.given = list(self.arrays)
        if not fixed and rng.random() < 0.01:
            self.given[rng.integers(2)] = [1.0, 2.0]
        elif not fixed and rng.random() < 0.01:
            self.given[rng.integers(4)] = rng.choice([2.0, None, "text", 3])

    @staticmethod
    def _form(rng, array):
        draw = rng.random()
        if draw < 0.1:
            return array[::-1]
        if array.size == 6 and draw < 0.8:
            return (array.reshape(2, 3), array.reshape(3, 2), array.reshape(3, 2).T, array.reshape(2, 3)[:, ::-1])[
                rng.integers(4)
            ]
        return array.reshape(1, -1) if draw < 0.12 else array

    def _fill(self, rng):
        """Small numbers, exact in every dtype, once all arrays lie where they lie."""
        for x in (*self.owners[2:], *self.owners[:2]):
            x[...] = rng.integers(0, 2 if x.dtype == bool else 5, x.shape)
        x, y = self.owners[:2]
        if not np.isin(x.copy(), np.arange(5)).all():  # its bytes are those of other numbers in y
            x[...], y[...] = 0, 0

    def expected(self):
        """Value and gradients in the dtypes of the arguments, float64 for integers; None if there are none."""
        x, y = self.given[:2]
        floats = all(isinstance(a, np.ndarray) and a.dtype.kind in "fiu" for a in (x, y))
        try:
            if not floats or np.broadcast_shapes(x.shape, y.shape) is None:
                return None
        except ValueError:
            return None
        a, b = x.astype(float), y.astype(float)
        one = np.ones(np.broadcast_shapes(x.shape, y.shape))
        value = (a * a * b).sum()
        kinds = [d.newbyteorder("=") if d.kind == "f" else PLAIN for d in (x.dtype, y.dtype)]
        return value, _summed(2 * a * b * one, a.shape).astype(kinds[0]), _summed(a * a * one, b.shape).astype(kinds[1])


def _summed(g, shape):
    """A gradient summed over the dimensions that were broadcast."""
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    return g.sum(axis=tuple(d for d, k in enumerate(shape) if k == 1 and g.shape[d] != 1), keepdims=True)


def make_doors():
    """The ways in: of two arrays and two for results, to the value and two gradients."""

    def f(x, y):
        return (x * x * y).sum()

    eager = tj.value_and_grad(f, argnums=(0, 1), compile="never")
    g = tj.value_and_grad(f, argnums=(0, 1), compile="now")
    h = tj.value_and_grad(f, argnums=(0, 1), compile="now")
    tree = tj.value_and_grad(lambda p: f(p["a"], p["b"][0][1]), compile="now")
    ones = np.ones(3)
    for _ in range(2):
        h(ones, ones)
    fresh, into = h.nopython, h.nopython_into

    def through_tree(x, y, *_):
        value, p = tree({"a": x, "b": [(2.0, y)]})
        return value, (p["a"], p["b"][0][1])

    return [
        lambda x, y, *_: eager(x, y),
        lambda x, y, *_: g(x, y),
        through_tree,
        lambda x, y, *outs: g.into(x, y, outs if x is y else list(outs)),
        lambda x, y, *_: fresh(x, y),
        into,
    ]


class Failed(AssertionError):
    """A case with another answer than the right one."""


def run(first, count):
    """Run cases; how many of each door gave a value, and how many there were."""
    doors, pages = make_doors(), [Guarded() for _ in range(3)]
    right, met = [0] * len(doors), [0] * len(doors)
    for number in range(first, first + count):
        if number == first or number % PER_SEED == 0:
            rng = np.random.default_rng([20, number])
        case = Case(rng, pages, doors)
        met[case.door] += 1
        if _one(case, doors, number):
            right[case.door] += 1
    return right, met


def _one(case, doors, number):
    """Whether a case gave a value, which is right; False if there was a clear error where that may be."""
    expected, about = case.expected(), None
    before = [x.copy() if isinstance(x, np.ndarray) else x for x in case.given]
    described = f"case {number}, door {case.door}: " + "; ".join(
        f"{x.dtype.str} {x.shape} {x.strides} {x.flags.writeable}" if isinstance(x, np.ndarray) else repr(x)
        for x in case.given
    )
    writes = case.door in (3, 5)
    try:
        value, found = doors[case.door](*case.given)
    except (TypeError, ValueError, RuntimeError) as why:
        about = why
    if about is not None:
        usual = all(isinstance(x, np.ndarray) and x.dtype in (PLAIN, np.float32) for x in case.given[: 4 if writes else 2])
        fits = expected is not None
        if fits and writes:
            fits = [np.shape(x) for x in case.given[2:]] == [d.shape for d in expected[1:]]
        free = case.door < 4 or all(x.flags.c_contiguous for x in case.given[:2])
        free &= not writes or all(isinstance(x, np.ndarray) and x.flags.writeable for x in case.given[2:])
        free &= case.door != 5 or all(x.flags.c_contiguous and x.flags.aligned for x in case.given)
        if (usual and fits and free) or len(str(about)) < 20:
            raise Failed(f"{described}\nrefused: {about!r}") from about
        for x, y in zip(case.given, before, strict=True):
            if isinstance(x, np.ndarray) and not np.array_equal(x, y, equal_nan=x.dtype.kind in "fc"):
                raise Failed(f"{described}\nwritten before it was refused: {about!r}")
        return False
    if expected is None:
        if any(isinstance(x, np.ndarray) and x.dtype.kind in "bc" for x in case.given[:2]):
            raise Failed(f"{described}\ntaken: {value}, {found}")
        return False  # numbers and lists, which have tests of their own
    shared = writes and np.shares_memory(*found)
    if float(value) != expected[0]:
        raise Failed(f"{described}\n{before}\nvalue {value}, expected {expected[0]}")
    for k, (x, want) in enumerate(zip(found, expected[1:], strict=True)):
        if writes and x is not case.given[2 + k]:
            raise Failed(f"{described}\nresult {k} is not the array that was given")
        if not writes and x.dtype != want.dtype:
            raise Failed(f"{described}\nresult {k} is of {x.dtype}")
        if not shared and not np.array_equal(x, want):
            raise Failed(f"{described}\n{before}\nresult {k}: {x}, expected {want}")
    return True


pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="needs mprotect"),
    pytest.mark.filterwarnings("ignore:tapejit"),
    pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning"),
]


def test_doors_between_guard_pages():
    right, met = run(0, 10000)
    assert all(r > m // 2 for r, m in zip(right, met, strict=True)), (right, met)


@pytest.mark.slow
def test_cases_that_no_day_had_before():
    right, met = run(10000 * int(os.environ["TAPEJIT_TEST_DAY"]), 10000)
    assert all(r > m // 2 for r, m in zip(right, met, strict=True)), (right, met)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(*run(*map(int, sys.argv[1:3])))
