"""The tracer in native code does what ``sys.settrace`` does, but for calls in files that it passes."""

import gc
import sys
import weakref

import numpy as np
import pytest

from tapejit.edge import tracing

HERE = __file__


def helper(x):
    y = x + 1
    return y * 2


def failing(x):
    raise KeyError(x)


def generator(n):
    yield from range(n)


def program(x):
    total = helper(x)
    for k in generator(3):
        total += k
    try:
        failing(total)
    except KeyError:
        total += 1
    return sorted([total, 1], key=lambda v: -v)[0]


def run(begin):
    """What a tracer hears while a program runs, begun by ``begin(function)``."""
    heard = []

    def local(frame, event, arg):
        kind = arg[0].__name__ if event == "exception" else arg
        heard.append((frame.f_code.co_name, event, frame.f_lineno, kind))
        return local if event != "exception" else None

    def calls(frame, event, arg):
        heard.append((frame.f_code.co_name, event, arg))
        return local

    before = sys.gettrace()
    begun = begin(calls)
    try:
        result = program(3)
    finally:
        tracing.end(begun) if begun else sys.settrace(before)
    return result, [h for h in heard if h[0] in ("program", "helper", "failing", "generator", "<lambda>")]


def natively(files, passes, busy=0):
    words = np.array([busy], dtype=np.int64)
    return lambda function: tracing.begin(tracing.Tracer(function, files, passes, words))


def test_it_hears_what_python_would():
    assert tracing._address()
    expected = run(sys.settrace)
    assert run(natively({}, "ours")) == expected
    assert run(natively({HERE: "others"}, "ours")) == expected
    assert len(expected[1]) > 20


def test_it_passes_calls_in_some_files():
    passes = "ours"
    assert run(natively({HERE: passes}, passes))[1] == []
    assert run(natively({HERE: passes}, passes, busy=1)) == run(sys.settrace)


@pytest.mark.parametrize("where", ["call", "line", "return"])
def test_what_it_raises_comes_through_and_ends_it(where):
    def local(frame, event, arg):
        if event == where:
            raise ZeroDivisionError
        return local

    def calls(frame, event, arg):
        if frame.f_code is not helper.__code__:
            return None
        if where == "call":
            raise ZeroDivisionError
        return local

    before = sys.gettrace()
    try:
        natively({}, "ours")(calls)
        with pytest.raises(ZeroDivisionError):
            helper(1)
        assert sys.gettrace() is None
    finally:
        sys.settrace(before)


def test_it_can_be_begun_again_by_what_python_gives_back():
    heard = []
    before = sys.gettrace()
    natively({}, "ours")(lambda frame, event, arg: heard.append(frame.f_code.co_name))
    mine = sys.gettrace()
    sys.settrace(None)
    helper(1)
    sys.settrace(mine)  # as a debugger does, which knows nothing of it
    helper(1)
    sys.settrace(None)
    tracing.end((mine, [0, 0]))
    helper(1)
    sys.settrace(before)
    assert isinstance(mine, tracing.Tracer)
    assert heard.count("helper") == 2


def test_nothing_is_kept():
    class Hears:
        def __call__(self, frame, event, arg):
            return self.local

        def local(self, frame, event, arg):
            return self.local

    def once():
        hears = Hears()
        natively({}, "ours")(hears)
        program(3)
        sys.settrace(None)
        return weakref.ref(hears)

    before = sys.gettrace()
    try:
        once()
        gc.collect()
        none, code = sys.getrefcount(None), sys.getrefcount(helper.__code__)
        found = [once() for _ in range(200)]
        gc.collect()
        assert not any(reference() for reference in found)
        assert abs(sys.getrefcount(None) - none) + abs(sys.getrefcount(helper.__code__) - code) < 100
    finally:
        sys.settrace(before)
