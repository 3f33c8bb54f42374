"""Long loops in plain Python: recordings of millions of records become programs, as far as memory goes."""

import math
import warnings

import numpy as np
import pytest

import tapejit as tj
from tapejit.core import record as R
from tapejit.core import tape as tapes
from tapejit.graph import reroll
from tapejit.replay import recorder


def decay(steps):
    """x and p after some steps of x' = sin(x) p, squared."""

    def f(x, p):
        for _ in range(steps):
            x = x + 0.0005 * tj.sin(x) * p
        return x * x

    return f


def exact(steps, x, p):
    """The same with its gradient, by tangents in plain Python."""
    dx, dp = 1.0, 0.0
    for _ in range(steps):
        s, c = 0.0005 * math.sin(x), 0.0005 * math.cos(x) * p
        x, dx, dp = x + s * p, dx * (1 + c), dp * (1 + c) + s
    return x * x, 2 * x * dx, 2 * x * dp


def check(steps):
    g = tj.value_and_grad(decay(steps), argnums=(0, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for x, p in ((0.5, 1.0), (0.4, 0.9), (0.3, 1.1)):
            value, (dx, dp) = g(x, p)
            assert (value, dx, dp) == pytest.approx(exact(steps, x, p), rel=1e-8)
            g.wait()
    assert g.compiled
    assert g.calls["recorded"] == 1
    return g


def test_a_recording_grows_in_place(monkeypatch):
    monkeypatch.setattr(tapes, "LARGE", 1 << 9)
    check(5_000)


def test_growing_in_place_keeps_all_there_is(monkeypatch):
    monkeypatch.setattr(tapes, "LARGE", 1 << 9)
    tape = tapes.Tape(-7)
    before = tape.records.ctypes.data
    tape.records["imm"][: tape.words[R.H_CAPACITY]] = np.arange(tape.words[R.H_CAPACITY])
    for _ in range(3):
        tape._grow(2 * tape.words[R.H_CAPACITY])
    assert tape.records.ctypes.data == before == tape.words[R.H_RECORDS]
    assert tape.words[R.H_CAPACITY] == 8 * tape.capacity
    assert len(tape.handles) == 8 * tape.capacity + 1
    tape._grow(2 * tape.words[R.H_CAPACITY])
    assert tape.records.ctypes.data == tape.words[R.H_RECORDS] != before
    assert tape.records["imm"][: tape.capacity].tolist() == list(range(tape.capacity))


def test_without_the_address_space_a_tape_takes_what_it_needs(monkeypatch):
    zeros = np.zeros

    def refused(count, *args, **kwargs):
        if count > 3 * tapes.LARGE:
            raise MemoryError
        return zeros(count, *args, **kwargs)

    monkeypatch.setattr(np, "zeros", refused)
    tape = tapes.Tape(-8)
    tape._grow(tapes.LARGE)
    assert len(tape.records) == tapes.LARGE + 1 == len(tape.handles)


def test_what_memory_cannot_hold_stays_eager(monkeypatch):
    monkeypatch.setattr(recorder, "half_of_memory", lambda: 1 << 21)
    g = tj.value_and_grad(decay(4_000), argnums=(0, 1))
    with pytest.warns(UserWarning, match="half of the memory"):
        value, (dx, dp) = g(0.5, 1.0)
    assert (value, dx, dp) == pytest.approx(exact(4_000, 0.5, 1.0), rel=1e-8)
    assert g(0.5, 1.0)[0] == value
    assert g.calls["eager"] == 2


def test_records_that_repeat_nothing_are_limited(monkeypatch):
    monkeypatch.setattr(reroll, "MOST", 1_000)
    check(5_000)  # a loop leaves few
    choices = np.random.default_rng(0).random(1_500) < 0.5

    def f(x):
        for choice in choices.tolist():
            x = tj.sin(x) if choice else x * 1.01
        return x

    g = tj.grad(f)
    first = g(0.5)
    with pytest.warns(UserWarning, match="interpreted from now on.*repeat no others"):
        assert not g.wait()
    assert g(0.5) == first
    assert g.calls == {"eager": 0, "recorded": 1, "interpreted": 1, "replayed": 0}


@pytest.mark.slow
def test_a_recording_of_millions():
    g = check(300_000)
    assert next(iter(g._signatures.values())).paths.last.frozen.records > 3_000_000
