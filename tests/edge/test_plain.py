"""The compiler of plain functions: its code answers as Numba's does, bit for bit; what it does not know is refused."""

import ctypes
import itertools
import math

import numpy as np
import pytest
from llvmlite import ir
from numba import cfunc
from numba.core import types

import tapejit as tj
from tapejit.core import engine, tape
from tapejit.edge import objects
from tapejit.edge.jit import inner
from tapejit.edge.plain import code, doorway, source
from tapejit.edge.plain.operators import BIT, DOUBLE, NOTHING, WORD
from tapejit.edge.raw import as_f32, as_f64, as_i32, as_i64, as_u8
from tapejit.kernels import blas, lapack
from tapejit.kernels.library import KERNELS, as_floats

NUMBAS = {WORD: types.int64, DOUBLE: types.float64, NOTHING: types.void}
CTYPES = {WORD: ctypes.c_int64, DOUBLE: ctypes.c_double, NOTHING: None}
WORDS = [0, 1, 2, 3, 7, -1, -2, -7, 100, -(1 << 63), (1 << 63) - 1]
DOUBLES = [0.0, -0.0, 1.5, -2.25, math.inf, -math.inf, math.nan, 1e300, 3e-310]
CONSTANTS = (3, 5, 8)


def both(function, kinds, answer, flags=()):
    """The function as compiled here and by Numba."""
    signature = NUMBAS[answer](*[NUMBAS[k] for k in kinds])
    numbas = cfunc(signature, error_model="numpy", fastmath=set(flags))(function)
    form = ctypes.CFUNCTYPE(CTYPES[answer], *[CTYPES[k] for k in kinds])
    return form(code.address_of(function, kinds, answer, flags)), form(numbas.address), numbas


def assert_same(function, kinds, answer, rows):
    ours, theirs, _owner = both(function, kinds, answer)
    for row in rows:
        got, expected = ours(*row), theirs(*row)
        assert np.array(got).tobytes() == np.array(expected).tobytes(), (row, got, expected)


def divisions(x, y):
    return (x // y) * 31 + x % y


def of_known_divisors(x, y):
    return x // 7 + x % 16 + x // -3 + x % -5 + (x << 2) - (x >> 3) + (x & 12 | y ^ 5) + ~y - -x


def decisions(x, y):
    count = 0
    count += x < y
    count += (x == y) + (x != 2 or y > 3)
    if not x or (y and -3 < x <= 7):
        count += 10
    same = True
    same &= x > 1
    same |= y == 7
    return count * 2 + same + (100 if x > y else 0) + (x and y) + max(x, y, 3) + min(x, 5) + abs(y) // 2


def loops(x, y):
    total = 0
    for i in range(10, -1, -3):
        if i == y:
            continue
        total = total * 3 + i
    for i in range(2, x % 20, 4):
        if total > 100000:
            break
        for k in CONSTANTS[0], CONSTANTS[2], y % 5:
            if k == i:
                continue
            total += i * k
    while total > 50:
        total //= 2
        if total == y:
            break
    return total


@inner
def pair(x, y):
    if x > y:
        return x - y, 0.5 * y
    return y, 1.0


@inner
def is_large(x):
    if x > 5:  # noqa: SIM103 - two returns
        return True
    return False


def calls_of_others(x, y):
    (a, b), c = pair(x % 1000, y % 1000), is_large(x)
    first, last = (a, 3) if c else (4, a)
    first, last = last, first
    return first + 2 * last + int(b) + (1 if is_large(y) else 2)


def floats(x, y):
    total = 0.0
    for i in range(4):
        total += x * i - y / (i + 1)
    part = 0 if x > y else x
    return total + part + max(x, y) * 0.5 - min(y, x, 1) + abs(x) + (x + y if x != y else -x)


def decisions_on_floats(x, y):
    k = 0
    for v in x, y:
        k = k * 8 + np.isfinite(v) + 2 * np.isinf(v) + 4 * np.isnan(v)
    return k * 4 + (x < y) + 2 * (x >= y) + (5 if x else 6) + (0 if not y else 1)


def roots(x, y):
    return np.sqrt(abs(x)) + math.log(abs(y)) + abs(x) ** 0.5 + float(int(min(max(y, -9.0), 9.0)))


@pytest.mark.parametrize("function", [divisions, of_known_divisors, decisions, loops, calls_of_others])
def test_words(function):
    assert_same(function, (WORD, WORD), WORD, itertools.product(WORDS, WORDS))


@pytest.mark.parametrize(("function", "answer"), [(floats, DOUBLE), (decisions_on_floats, WORD)])
def test_floats(function, answer):
    assert_same(function, (DOUBLE, DOUBLE), answer, itertools.product(DOUBLES, DOUBLES))


def test_functions_of_floats():
    assert_same(roots, (DOUBLE, DOUBLE), DOUBLE, itertools.product([0.25, 2.0, -3.0, 1e-300], [1.0, 2.5, -4.75, 1e9]))


def memory(place, n):
    """Loads and stores of every width; float32 meets whole numbers and constants in float64."""
    single, double, small = as_f32(place), as_f64(place + 256), as_i32(place + 512)
    long, byte = as_i64(place + 640), as_u8(place + 896)
    best = single[0]
    for i in range(n):
        double[i] += single[i] * single[i] + double[i] * 0.1
        if single[i] > best:
            best = single[i]
        single[i] = single[i] / 3 + (single[i] if i % 2 else 0)
        long[i] = long[n - 1 - i] + small[i] * byte[i]
        small[i] = long[i] * 1000003
        byte[i] |= i
        byte[i] = byte[i] * 3
        single[i], single[n - 1 - i] = single[n - 1 - i], single[i]
        small[i] += best > 1
    double[n] = double[n - 1] = best


def test_memory():
    ours, theirs, _owner = both(memory, (WORD, WORD), NOTHING)
    before = np.random.default_rng(5).integers(0, 256, 1024, dtype=np.uint8)
    before[:256] = np.linspace(-2, 3, 64, dtype=np.float32).view(np.uint8)
    before[256:512] = np.linspace(1, 2, 32).view(np.uint8)
    results = []
    for function in (ours, theirs):
        mine = before.copy()
        function(mine.ctypes.data, 20)
        results.append(mine.tobytes())
    assert results[0] == results[1]


@pytest.mark.parametrize(("name", "dtype"), [("mean", 0), ("mean", 1), ("softmax", 0), ("lu", 1)])
def test_kernels_that_may_reorder_or_contract(name, dtype):
    blas.link()
    lapack.link()
    function = as_floats(KERNELS[name][0], dtype)
    words = (WORD,) * function.__code__.co_argcount
    ours, theirs, _owner = both(function, words, WORD if name == "lu" else NOTHING, ("contract",))
    n = 40
    x = np.random.default_rng(2).normal(size=n * n).astype(("f8", "f4")[dtype])
    plan = np.array({"mean": [2, n, n, 1, 0], "softmax": [n, n, 1], "lu": [n, 1, 0]}[name])
    record = np.zeros(8, dtype=np.int64)
    record[4], record[6] = n, plan.ctypes.data
    record[7:].view(np.float64)[0] = 1 / n
    results = []
    for compiled in (ours, theirs):
        out = np.zeros(2 * n * n, dtype=x.dtype)
        compiled(record.ctypes.data, out.ctypes.data, x.ctypes.data, 0, 0)
        results.append(out)
    assert results[0].any()
    assert results[0].tobytes() == results[1].tobytes()


# What is not in the language


def of_two_types(x):
    y = x + 1
    y = y * 0.5
    return y + 1


def over_a_list(x):
    for i in [x, 2]:
        x += i
    return x


def with_keywords(x):
    return max(x, 2, key=None)


def without_result(x):  # noqa: RET503 - on purpose
    if x > 2:
        return 1


def through_python(x):
    return hash(x)


@pytest.mark.parametrize("function", [of_two_types, over_a_list, with_keywords, without_result, through_python, lambda x: x])
def test_what_is_not_plain_is_refused(function):
    with pytest.raises(source.Unknown):
        code.address_of(function, (WORD,), WORD)


# Calls by Python


def mixed(x, y):
    return x * y


def compared(x, y):
    return x < y


def nothing(x, y):
    as_i64(x)


def test_calls_by_python():
    kinds = (WORD, DOUBLE)
    found = code.for_python("test_plain", {f.__name__: (f, kinds) for f in (mixed, compared, nothing)})
    assert found["mixed"](3, 0.5) == 1.5
    assert found["mixed"](np.int64(-1), -1) == 1.0
    assert found["mixed"](2, np.float32(-1.0)) == -2.0
    assert found["compared"](3, 3.5) is True
    assert found["nothing"](0, 0.0) is None
    for wrong in ((), (1,), (1, 2.0, 3)):
        with pytest.raises(TypeError):
            found["mixed"](*wrong)
    with pytest.raises(TypeError):
        found["mixed"]("1", 2.0)
    with pytest.raises(OverflowError):
        found["mixed"](1 << 70, 2.0)


def test_code_is_found_on_disk_again(monkeypatch):
    first = code.for_python("test_plain_again", {"mixed": (mixed, (WORD, DOUBLE))})
    another = objects._engine.__wrapped__()  # as in a new process
    monkeypatch.setattr(objects, "_engine", lambda: another)
    monkeypatch.setattr(objects, "_known", {})
    monkeypatch.setattr(code, "Unit", None)
    again = code.for_python("test_plain_again", {"mixed": (mixed, (WORD, DOUBLE))})
    assert again["mixed"](2, 3.0) == first["mixed"](2, 3.0) == 6.0


def test_without_sources_numba_compiles_the_core(monkeypatch):
    x = tj.tensor([2.5, 1.0])
    before = engine.item
    monkeypatch.setattr(source, "_functions", lambda file: {})
    monkeypatch.setattr(objects, "_known", {})
    monkeypatch.setattr(objects.store, "read", lambda name: None)
    monkeypatch.setattr(engine, "_module", engine._module.__wrapped__)
    with pytest.raises(source.Unknown):
        engine._module("append")
    now = engine.load("item")
    assert now is not before
    assert now(tape.main.address, x._r) == before(tape.main.address, x._r) == 2.5


def test_the_name_of_a_function_and_its_documentation_stay():
    assert engine.unary.__name__ == "unary"
    assert engine.unary.__doc__ == "An elementwise op of one contiguous float tensor of this tape."


def test_a_bit_is_no_word():
    unit = code.Unit(ir.Module())
    part = unit.part(compared, (WORD, DOUBLE))
    assert part.function_type.return_type == BIT
    doorway.write(unit, "call", part)
    assert "PyBool_FromLong" in str(unit.module)
