"""Interrupts at any line of recording, of running a recording again and of giving it back, and errors in what is recorded."""

import gc
import linecache
import re
import sys
import threading

import numpy as np
import pytest

import tapejit as tj
from tapejit.core import record as R
from tapejit.core import tape
from tapejit.replay import background, function, interpreter, recorder, recordings, sparse, vmap

FILES = {m.__file__ for m in (function, interpreter, recorder, recordings, sparse, vmap)}
FILES.add(tape.__file__)
# Where no signal is looked for: between a block and the first call that ends it, and before the first call of a block.
NEVER = re.compile(r"finally:|with self\._lock|True in got|_lock\.release|_depth\.inside|active\.(append|remove)\(self\)")


class Stop(BaseException):
    pass


def interrupted_at(n, run):
    """Run, raising at the n-th line of the files; whether it came that far."""
    seen = 0

    def tracer(frame, event, arg):
        nonlocal seen
        if frame.f_code.co_filename not in FILES:
            return None
        if event == "line" and not NEVER.search(linecache.getline(frame.f_code.co_filename, frame.f_lineno)):
            seen += 1
            if seen == n:
                raise Stop
        return tracer

    sys.settrace(tracer)
    try:
        run()
    except Stop:
        return True
    finally:
        sys.settrace(None)
    return seen >= n


def square(x):
    return (x * x).sum() if x[0] > 0 else x.sum()


def whole_matrix(x):
    return x * x


X = np.array([1.0, 2.0])
CASES = {
    "interpreted": (lambda: tj.value_and_grad(square), (X,)),
    "eager": (lambda: tj.value_and_grad(square, compile="never"), (X,)),
    "vmap": (lambda: tj.vmap(square, compile="never"), (np.stack([X, X]),)),
    "sparse": (lambda: tj.sparse_jacobian(whole_matrix), (X,)),
}


def flat(result):
    if hasattr(result, "toarray"):
        result = result.toarray()
    return [np.asarray(x).tolist() for x in (result if isinstance(result, tuple) else (result,))]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # raised in a finalizer
@pytest.mark.parametrize("step", [17, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("case", CASES)
def test_an_interrupt_at_any_line(case, step, monkeypatch):
    monkeypatch.setattr(background, "submit", lambda *_: True)  # what waits to be compiled is interpreted
    make, arguments = CASES[case]
    expected, n, came = flat(make()(*arguments)), 0, True
    while came:
        n += step if n < 400 else 13 * step  # later lines are mostly rounds of the same loops
        g = make()

        def run(g=g):
            for _ in range(2):
                g(*arguments)

        came = interrupted_at(n, run)
        assert tape.thread.stack == [tape.main], n
        assert recorder.active == [], n
        assert tape.main.header[R.H_THREAD] == threading.get_ident(), n
        for _ in range(2):
            assert flat(g(*arguments)) == expected, n
        x = tj.tensor([3.0], requires_grad=True)
        (x * x).sum().backward()
        assert x.grad.tolist() == [6.0], n
    assert n > 20


def test_an_interrupt_at_every_line_of_a_finalizer():
    """What a dropped function held is given back all the same: an interrupt there would otherwise keep its tape for ever."""
    held, n = [], 0
    came = True
    while came:
        n += 1
        held.append(tj.value_and_grad(square))
        held[0](X)
        (signature,) = held[0]._signatures.values()
        (program,) = signature.paths.programs
        kept = program.interpreter
        came = interrupted_at(n, kept.close)
        assert n <= 4 or kept.use == []  # the first lines are those that see to it
        kept.close()
        assert kept.use == []
        assert id(kept) not in interpreter._held
        del kept, program, signature
        held.clear()
    assert n > 15


def _in_use():
    gc.collect()
    for _ in range(len(recorder._held)):
        recorder._end_held()
    return len(tape.tapes) - len(recorder._idle)


@pytest.mark.parametrize("transform", [tj.jit, tj.grad, tj.vmap])
def test_tapes_of_functions_that_raise_are_given_back(transform):
    def fails(x):
        y = x * x
        raise ValueError(f"no {len(y)}")

    before, most = _in_use(), 0
    for _ in range(20):
        with pytest.raises(ValueError, match="no 2"):
            transform(fails)(np.stack([X, X]))
        most = max(most, len(tape.tapes))
    assert most <= before + recorder.MOST_IDLE + 6  # held by the traceback of the last error, or by garbage
    assert _in_use() <= before


def test_tapes_whose_tensors_were_kept_for_a_while_are_given_back():
    kept = []

    def keeps(x):
        kept.append(x * 2)
        return (x * x).sum()

    before = _in_use()
    for _ in range(20):
        tj.grad(keeps)(X)
    assert _in_use() >= before + 20
    assert [t.tolist() for t in kept] == [[2.0, 4.0]] * 20
    kept.clear()
    assert _in_use() <= before
