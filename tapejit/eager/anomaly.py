"""Anomaly detection: which operation gave the first NaN in a backward pass, and on which line of the user's it stands.

While it is on, the fast path is closed, every record notes the line it came from, and sweeps go by the rules on Tensors,
whose contributions are looked at one by one.
"""

import contextlib
import linecache

import numpy as np

from tapejit.core import engine
from tapejit.core import record as R
from tapejit.core import tape as tapes
from tapejit.core.record import MASK
from tapejit.eager import dispatch, hooks
from tapejit.edge.userline import user_frame
from tapejit.spec.table import OPS

_wrap = dispatch.wrap
_state = {"on": False, "check": True}


def active() -> bool:
    """Whether anomaly detection is on and looks for NaN."""
    return _state["on"] and _state["check"]


def is_anomaly_enabled() -> bool:
    """Whether anomaly detection is on."""
    return _state["on"]


def is_anomaly_check_nan_enabled() -> bool:
    """Whether anomaly detection looks for NaN."""
    return _state["check"]


def _noting(tape, handle, layout):
    """``dispatch.wrap``, and the line is noted."""
    t = _wrap(tape, handle, layout)
    if t._flags() & R.GRAD:
        hooks.beside(t).line = _line()
    return t


def _line() -> str:
    frame = user_frame()
    if frame is None:
        return "an unknown line"
    code = frame.f_code
    text = linecache.getline(code.co_filename, frame.f_lineno, frame.f_globals).strip()
    return f'File "{code.co_filename}", line {frame.f_lineno}, in {code.co_name}' + (f"\n    {text}" if text else "")


def _switch(on, check):
    on, header = bool(on), tapes.main.header
    if on and not _state["on"]:
        _state["thread"], header[R.H_THREAD] = int(header[R.H_THREAD]), -1
        _state["closed"] = [(space, name, getattr(space, name)) for space, name in _APPENDING]
        for space, name, function in _state["closed"]:
            setattr(space, name, _opened(function))
        dispatch.wrap = _noting
    if not on and _state["on"]:
        header[R.H_THREAD] = _state["thread"]
        for closed in _state["closed"]:
            setattr(*closed)
        dispatch.wrap = _wrap
    _state.update(on=on, check=bool(check))


_APPENDING = ((engine, "general"), (engine, "value"), (dispatch, "_constant"))  # what slow paths append records by


def _opened(function):
    """A function of the engine for which the tape is open, which is closed to all fast paths."""

    def append(*args):
        header = tapes.main.header
        before, header[R.H_THREAD] = int(header[R.H_THREAD]), 0
        try:
            return function(*args)
        finally:
            header[R.H_THREAD] = before

    return append


class set_detect_anomaly(contextlib.ContextDecorator):
    """Switch anomaly detection on or off, at once; as a context manager, until the block ends.

    With it on, a gradient that is NaN raises a RuntimeError in ``backward()`` that names the operation and the line of yours
    where it was applied. Operations take several times as long.
    """

    def __init__(self, mode: bool, check_nan: bool = True):
        self._before = _state["on"], _state["check"]
        _switch(mode, check_nan)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        _switch(*self._before)
        return False


class detect_anomaly(set_detect_anomaly):
    """Anomaly detection for the length of a block: see ``set_detect_anomaly``."""

    def __init__(self, check_nan: bool = True):
        super().__init__(True, check_nan)


def check(node, x, part, g):
    """Raise for a contribution that is NaN: ``part``, from record ``node`` to its operand ``x``, made of the adjoint ``g``.

    Raises:
        RuntimeError: with the operation, the operand and the user's line.
    """
    values = part._memory()
    if not np.isnan(values).any():
        return
    tape = node._tape()
    row = tape.records[node._r & MASK].item()
    name = OPS[row[0]].node_name
    places = [j for j, o in enumerate(row[2:5]) if o == x._r & MASK]
    known = hooks.known(node)
    line = known.line if known is not None and known.line else "a line run before anomaly detection was switched on"
    arrived = " (the gradient that it was given is NaN already)" if np.isnan(g._memory()).any() else ""
    raise RuntimeError(
        f"Function '{name}' returned nan values in its {places[0] if places else 0}th output, the gradient of an operand of "
        f"shape {tuple(x.shape)}{arrived}; the operation was applied here:\n  {line}"
    )



