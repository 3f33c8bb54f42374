"""Where eager code spends its time: the calls of this package by the user's line and what stands there."""

import ast
import sys
import threading
import time
from collections import defaultdict

from tapejit.eager.complexes.pair import ComplexTensor
from tapejit.eager.html import table
from tapejit.eager.tensor import Tensor
from tapejit.edge.userline import PACKAGE, current_node, is_library, place

_HEAD = ("what", "where", "calls", "seconds", "share", "bytes")
_LONGEST = 48


class Profile:
    """What ``profile`` found.

    Attributes:
        result: what the function gave.
        seconds: the whole run's time, with what the profile itself takes.
        rows: (what, where, calls, seconds, share of all these, bytes of results), those of the most time first.
    """

    def __init__(self, result, seconds, found):
        self.result, self.seconds = result, seconds
        total = sum(row[1] for row in found.values()) or 1.0
        rows = [(what, where, n, t, t / total, size) for (where, what), (n, t, size) in found.items()]
        self.rows = sorted(rows, key=lambda row: -row[3])

    def _texts(self):
        for what, where, calls, seconds, share, size in self.rows:
            yield what, where, str(calls), f"{seconds:.6f}", f"{share:.1%}", str(size)

    def __repr__(self):
        rows = [_HEAD, *self._texts()]
        widths = [max(len(row[k]) for row in rows) for k in range(len(_HEAD))]
        aligned = (
            "  ".join(text.ljust(w) if k < 2 else text.rjust(w) for k, (text, w) in enumerate(zip(row, widths, strict=True)))
            for row in rows
        )
        return "\n".join(line.rstrip() for line in aligned)

    def _repr_html_(self) -> str:
        return table(self._texts(), _HEAD)


def _size(x):
    if isinstance(x, Tensor):
        return x.nbytes
    if isinstance(x, ComplexTensor):
        return _size(x.real) + _size(x.imag)
    return sum(map(_size, x)) if isinstance(x, (tuple, list)) else 0


def _written(frame):
    """What stands where a frame is: a call's function, an operator with its operands."""
    node = current_node(frame)
    while isinstance(node, (ast.Expr, ast.Assign, ast.Return)) and node.value is not None:
        node = node.value
    text = frame.f_code.co_name if node is None else ast.unparse(node.func if isinstance(node, ast.Call) else node)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


class _Watch:
    """Called by Python at every call and return: notes those that lead from the user's code into this package."""

    def __init__(self):
        self.found = defaultdict(lambda: [0, 0.0, 0])
        self.inside = None  # the frame of this package that the user's code called
        self.key, self.start = None, 0.0

    def __call__(self, frame, event, value):
        if self.inside is not None:
            if event == "return" and frame is self.inside:
                row = self.found[self.key]
                row[0] += 1
                row[1] += time.perf_counter() - self.start
                row[2] += _size(value)
                self.inside = None
        elif event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            caller = frame.f_back
            if caller is not None and not is_library(caller.f_code.co_filename):
                self.key = place(caller), _written(caller)
                self.inside, self.start = frame, time.perf_counter()


def profile(fun, *args, **kwargs) -> Profile:
    """Run a function eagerly, once for what it compiles and once watched; a table of its calls by line.

    Times are those of the calls as the user's code sees them: the kernels and what Python does around them. What a call on a
    line makes is in ``bytes``; ``loss.backward()`` is one row.

    Raises:
        RuntimeError: if another profile runs in this thread.
    """
    if sys.getprofile() is not None:
        raise RuntimeError(f"another profile runs in {threading.current_thread().name}: profile() cannot nest")
    fun(*args, **kwargs)
    watch = _Watch()
    start = time.perf_counter()
    sys.setprofile(watch)
    try:
        result = fun(*args, **kwargs)
    finally:
        sys.setprofile(None)
    return Profile(result, time.perf_counter() - start, dict(watch.found))
