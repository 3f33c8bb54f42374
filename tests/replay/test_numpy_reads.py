"""What NumPy and Python make of arrays from outside is worked out anew when these change; operands are read as they are."""

import collections
import ctypes
import dataclasses
import functools
import math
import sys

import numpy as np
import pytest
from random_captures import differences

import tapejit as tj
from tapejit.edge import valuestack

F = tj.nn.functional
RNG = np.random.default_rng(5)
S, R = RNG.normal(size=(3, 3)) * 0.4, RNG.normal(size=(5, 3))
Y, INDEX, MASK = np.array([1.0, 0.0, 1.0]), np.array([2, 0, 1]), np.array([True, False, True])
X = np.array([0.3, 0.2, 0.6])
POINT = collections.namedtuple("POINT", "w")(RNG.normal(size=3))


@dataclasses.dataclass
class Data:
    w: np.ndarray


class Net:
    def __init__(self):
        self.w, self.parts, self.data = RNG.normal(size=3), [RNG.normal(size=3)], Data(RNG.normal(size=3))

    def scale(self):
        return self.w.max()

    def all(self):
        return self.w, self.parts[0]


NET = Net()
PART = R[1:4, 0]


def recurrence(s):
    for t in range(4):
        s = s * (R[t] @ S) + R[t]
    return s.sum()


def rows(s):
    return sum((s * row).sum() * row.sum() for row in R)


def decided(s):
    return (s * R[0]).sum() if R.max() > 1 else (s * R[1] * 2).sum()


def unpacked(s):
    a, b, c = PART
    return (s * PART).sum() * a * b + c


def starred(s):
    return (s * PART).sum() * max(*PART)


def caught(s):
    try:
        return (s * R[0]).sum() / math.sqrt(R[0, 0])
    except ValueError:
        return (s * R[0]).sum()


def comprehended(s):
    return (s * PART).sum() * sum([v * v for v in PART if v > 0])


def generated(s):
    return (s * PART).sum() * sum(v * w for v, w in zip(PART, NET.w, strict=True)) + (NET.w * s).sum()


def folded(s):
    return (s * PART).sum() * functools.reduce(lambda a, b: a * b + 1, PART)


def partially(s):
    return (s * PART).sum() * functools.partial(np.dot, PART)(NET.w) + (NET.w * s).sum()


def stored(s):
    out = np.zeros(3)
    out[1] = PART[2]
    out[INDEX[0]] += 1.0
    return (s * out * PART).sum() + (tj.tensor(INDEX) * s).sum()


def by_text(s):
    return (s * PART).sum() * (2.0 if f"{PART[0]:.3f}".startswith("-") else 3.0)


def sliced(s):
    return (s[: int(abs(PART[0])) + 1].sum() * PART).sum() * s[0]


def bool_of_all(s):
    return (s * PART).sum() * (2 if (PART > 0).all() else 3) * (1 if PART[0] in NET.w else 5)


@functools.lru_cache
def cached():
    return np.array([0.5, -1.0, 2.0])


def of_a_cache(s):
    return (s * cached()).sum() * cached()[1]


def copied(s):
    return (s * NET.data.w).sum() * dataclasses.replace(NET.data).w[0] * dataclasses.astuple(NET.data)[0][1]


COMPUTING = {
    "after a transform inside": lambda s: tj.grad(lambda y: (y * y * PART).sum())(s).sum() + (s * PART).sum() * PART[1],
    "of a cache": of_a_cache,
    "copied": copied,
    "spread": lambda s: (s * S).sum() * max(map(tuple, S))[0] * np.hstack([*S]).sum() * np.add(*S[:2])[0],
    "reduced": lambda s: (s * S).sum() * np.add.reduce(S)[1] * np.maximum(*R[:2])[0] + (s * R).sum(),
    "recurrence": recurrence,
    "rows": rows,
    "decided": decided,
    "unpacked": unpacked,
    "starred": starred,
    "caught": caught,
    "comprehended": comprehended,
    "generated": generated,
    "folded": folded,
    "partially": partially,
    "stored": stored,
    "by text": by_text,
    "sliced": sliced,
    "bool of all": bool_of_all,
    "element": lambda s: (s * R[0, 0] + R).sum(),
    "product": lambda s: (s * np.dot(S, S) + S).sum(),
    "number": lambda s: (s * float(R[0][1]) + R[0]).sum(),
    "method": lambda s: (s * NET.w).sum() * NET.scale(),
    "returned": lambda s: (s * NET.w).sum() * (NET.all()[0] * NET.all()[1]).sum(),
    "field": lambda s: (s * NET.data.w).sum() * NET.data.w[1],
    "named": lambda s: (s * POINT.w).sum() * POINT.w.prod(),
    "position": lambda s: (s * INDEX)[INDEX].sum() + s[INDEX][0],
    "mask": lambda s: tj.where(MASK, s, 0 * s).sum() + s[MASK].sum(),
    "square": lambda s: (s * PART).sum() * (PART**2).sum(),
    "negative": lambda s: (s * -PART + PART).sum(),
    "sorted": lambda s: (s * PART).sum() * sorted(PART)[0],
    "of attributes": lambda s: (s * NET.w).sum() * vars(NET)["w"][0] * getattr(NET, "w")[1],  # noqa: B009
    "where": lambda s: (s * np.where(R > 0, R, 1)).sum() + (s * R).sum(),
    "loss": lambda s: F.hinge_embedding_loss(s, 2 * Y - 1) + (s * Y).sum(),
    "interpolated": lambda s: (np.interp(s, np.sort(PART), PART) * PART).sum(),
    "view of a view": lambda s: (s * R[1:][0][::-1]).sum() * R.T[0][1:3].sum(),
    "walrus": lambda s: (s * (q := PART)).sum() * q[0] * q[-1],
}
OPERANDS = {
    "both sides": lambda s: (s * PART - PART / (2 + s)).sum(),
    "matrix": lambda s: (S @ s + s @ S).sum() + (S.T @ s).sum(),
    "of NumPy": lambda s: np.dot(S, s).sum() + np.multiply(PART, s).sum() + np.where(s > PART, s, PART).sum(),
    "minimum": lambda s: np.minimum(s, PART).sum() + np.concatenate([s, PART]).sum() + np.clip(s, PART, 2 * s).sum(),
    "rows": lambda s: sum((s * row).sum() for row in R),
    "slices": lambda s: (s * R[1]).sum() + (s * R[:3, 0]).sum() + (s * R[-1, ::-1]).sum() + (s[0] * R[2:]).sum(),
    "shapes": lambda s: (s * PART).sum() * len(PART) * PART.shape[0] * PART.size + (s * np.zeros_like(PART)).sum(),
    "attributes": lambda s: (s * NET.w).sum() + (s * NET.parts[0]).sum() + (s * NET.data.w).sum() + (s * POINT.w).sum(),
    "lists": lambda s: sum((s * w).sum() for w in [NET.w, PART]) + sum((s * w).sum() for k, w in enumerate((NET.w, PART))),
    "helper": lambda s: (lambda w, x: x * w)(PART, s).sum() + functools.partial(lambda w, x: x * w, PART)(s).sum(),
    "tensors": lambda s: (s * tj.tensor(PART)).sum() + (s * tj.as_tensor(PART)).sum() + tj.stack([s, tj.tensor(PART)]).sum(),
    "einsum": lambda s: tj.einsum("ij,j->i", S, s).sum() + F.linear(s, S, PART).sum(),
    "losses": lambda s: F.binary_cross_entropy(s, Y) + F.binary_cross_entropy_with_logits(s, Y) + F.mse_loss(s, Y),
    "more losses": lambda s: F.kl_div(s, Y) + F.hinge_embedding_loss(s, Y) + F.poisson_nll_loss(s, Y, full=True),
    "reshaped": lambda s: (s * PART.reshape(3, 1)).sum() + (s * PART[:, None]).sum() + (s * np.transpose(S)).sum(),
    "printed": lambda s: (print(PART, end=""), (s * PART).sum())[1],
}
ARRAYS = [cached(), S, R, Y, INDEX, MASK, NET.w, NET.parts[0], NET.data.w, POINT.w]


def change(rng):
    for a in ARRAYS:
        a[...] = rng.permutation(a) if a.dtype.kind in "ib" or a is Y else rng.normal(size=a.shape) * 0.5


@pytest.fixture(autouse=True)
def _as_before():
    before = [a.copy() for a in ARRAYS]
    yield
    for a, b in zip(ARRAYS, before, strict=True):
        a[...] = b


@pytest.mark.parametrize("name", COMPUTING)
@pytest.mark.parametrize("policy", ["auto", "now"])
def test_what_numpy_makes_of_an_operand_is_worked_out_anew(name, policy):
    f, rng = COMPUTING[name], np.random.default_rng(3)
    eager, g = tj.value_and_grad(f, compile="never"), tj.value_and_grad(f, compile=policy)
    for _ in range(5):
        for found, expected in zip(g(X), eager(X), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-10)
        g(X)
        change(rng)
    assert policy == "auto" or g.calls["replayed"] >= 5


@pytest.mark.parametrize("name", OPERANDS)
@pytest.mark.skipif(not valuestack.readable(), reason="what NumPy reads is not told on this interpreter")
def test_operands_are_read_as_they_are(name):
    f, rng = OPERANDS[name], np.random.default_rng(3)
    eager, g = tj.value_and_grad(f, compile="never"), tj.value_and_grad(f)
    for _ in range(5):
        for found, expected in zip(g(X), eager(X), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-10)
        change(rng)
    assert g.calls["recorded"] == 1


def test_only_what_is_read_is_guarded():
    big = np.random.default_rng(0).normal(size=(1000, 3))
    g = tj.jit(lambda s: (big @ s).sum() * big[7, 1])
    for place in ((0, 0), (999, 2), (7, 2)):
        g(X)
        big[place] += 1.0
    assert g.calls["recorded"] == 1
    assert g(X) == pytest.approx((big @ X).sum() * big[7, 1])
    big[7, 1] = 3.0
    assert g(X) == pytest.approx((big @ X).sum() * 3.0)
    assert g.calls["recorded"] == 2


def test_arrays_that_functions_write_to_and_read_are_refused():
    scratch, data = np.zeros(3), {1.0: R[0].copy(), 2.0: R[1].copy()}

    def of(k):
        def f(s):
            scratch[:] = data[k]
            return (s * scratch).sum()

        return tj.jit(f)

    first, second = of(1.0), of(2.0)
    with pytest.warns(UserWarning, match="a captured array that it reads is changed in place"):
        found = [g(X) for _ in range(3) for g in (first, second)]
    assert found == pytest.approx([(X * data[1.0]).sum(), (X * data[2.0]).sum()] * 3)


@pytest.mark.filterwarnings("ignore:.*is changed in place")
@pytest.mark.parametrize("name", ["item", "slice", "added", "filled", "copied"])
def test_every_way_of_writing_is_seen(name):
    scratch = np.zeros(3)
    write = {
        "item": lambda v: scratch.__setitem__(0, 1.0) or exec("scratch[0] = v", {"scratch": scratch, "v": v}),
        "slice": lambda v: exec("scratch[:2] = v", {"scratch": scratch, "v": v}),
        "added": lambda v: exec("scratch += v", {"scratch": scratch, "v": v}),
        "filled": lambda v: scratch.fill(v),
        "copied": lambda v: np.copyto(scratch, v),
    }[name]

    def f(s):
        write(R[0, 0])
        return (s * scratch).sum()

    g, expected = tj.jit(f), tj.jit(f, compile="never")
    for k in range(4):
        scratch[...] = k
        found = g(X)
        scratch[...] = k
        assert found == pytest.approx(expected(X))


def test_a_log_that_is_only_written_to_may_be():
    log = np.zeros(4)

    def f(s):
        log[1] = R[0, 0]
        return (s * R[0]).sum()

    g = tj.jit(f)
    for _ in range(4):
        g(X)
    assert g.calls["eager"] == 0
    assert log[1] == R[0, 0]


def test_without_a_look_at_operands_everything_is_guarded(monkeypatch):
    monkeypatch.setattr("tapejit.replay.numpyreads.readable", lambda: False)
    g = tj.jit(recurrence)
    for _ in range(4):
        assert g(X) == pytest.approx(tj.jit(recurrence, compile="never")(X))
        R[...] += 0.1
    assert g.calls["recorded"] == 4


def test_the_reason_names_the_line():
    g = tj.jit(lambda s: (s * PART).sum() * PART.max())

    def results():
        for k in range(40):
            PART[...] = k
            yield g(X)

    with pytest.warns(UserWarning, match=r"an array that NumPy computes with at .*test_numpy_reads\.py:\d+"):
        found = list(results())
    assert found == pytest.approx([X.sum() * k * k for k in range(40)])


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.filterwarnings("ignore")
def test_random_programs_whose_arrays_change(seed):
    assert differences(seed) is None


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 3000, 100))
@pytest.mark.filterwarnings("ignore")
def test_more_random_programs_whose_arrays_change(seed):
    assert [d for d in map(differences, range(seed, seed + 100)) if d is not None] == []


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="later interpreters do not keep the height there")
def test_the_height_of_the_stack_is_the_interpreters():
    differing, seen = [], 0

    def numbers(n):
        for k in range(n):
            try:
                yield k / (k - 2)
            except ZeroDivisionError as error:
                yield len(str(error))

    def program(a, *rest, b=2):
        with np.errstate(all="ignore"):
            total = sum(numbers(4)) + max([*rest, a], key=lambda v: -v)
        first, *others = [k * a for k in range(3) if k or a]
        try:
            raise ValueError(f"{a:>{b}}")
        except (KeyError, ValueError) as error:
            total += len(str(error)) if a < b < 5 or not others else first
        finally:
            total -= 1
        return {**{"a": a}, "b": rest[1:][::-1]} and (total if total else a @ b)

    def event(frame, what, _):
        nonlocal seen
        frame.f_trace_opcodes = True
        if what == "opcode":
            code = frame.f_code
            variables = code.co_nlocals + sum(c not in code.co_varnames for c in code.co_cellvars) + len(code.co_freevars)
            address = ctypes.c_int64.from_address(id(frame) + 24).value
            seen += 1
            if ctypes.c_int32.from_address(address + 64).value - variables != valuestack.heights(code)[frame.f_lasti]:
                differing.append((code.co_name, frame.f_lasti))
        return event

    before = sys.gettrace()
    sys.settrace(lambda frame, *rest: event(frame, *rest) if frame.f_code.co_filename == __file__ else None)
    try:
        program(3, 4, 5)
    finally:
        sys.settrace(before)
    assert differing == []
    assert seen > 150
