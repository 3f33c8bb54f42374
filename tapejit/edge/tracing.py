"""Watching Python code by a tracer that is a C function: calls which are of no interest cost a look at their file.

``sys.settrace`` calls a function of Python's for every call of every function, those of this package too, of which there are
dozens in one operation. Otherwise this tracer does what CPython's own does with a function of Python's.
"""

import ctypes
import functools
import sys
import threading
import types

import numpy as np

from tapejit.edge import blocks as B
from tapejit.edge import capi, collecting, cpython, room, signals
from tapejit.edge.jit import inner
from tapejit.edge.nativecall import NativeCall
from tapejit.edge.plain import code as plain
from tapejit.edge.plain.source import Unknown
from tapejit.edge.raw import as_i64, thread_id

# A tracer's block: what hears of calls, what is known of files, what passes calls, the word that says that none may pass, and
# where a code object has its file; then None, and the events.
CALLS, FILES, PASSES, BUSY, FILE, NONE, EVENTS = range(7)
# Of the tracer that began last: its thread, 0 for none, and where its word for BUSY is.
THREAD, ITS_BUSY = range(2)
at_work = np.zeros(2, dtype=np.int64)
_last = [None, None]  # such words of it and of the one before
_EVENTS = ("call", "exception", "line", "return", "c_call", "c_exception", "c_return", "opcode")  # as the C API counts them
_LOCAL = 32  # of a frame, the offset of the function that hears of its events
_MASK = (1 << 32) - 1


@inner
def _word(address):
    return as_i64(address)[0]


@inner
def _passes(block, frame):
    """Whether nobody is to hear of the call of a frame."""
    if _word(block[BUSY]) != 0:
        return False
    code = capi.frame_code(frame)
    how = capi.dict_item(block[FILES], _word(code + block[FILE]))
    capi.decref(code)
    return how == block[PASSES]


@inner
def may_stop(words):
    """Whether a tracer at work in this thread hears nothing of this package's functions; ``words`` are those of ``at_work``."""
    return as_i64(words)[THREAD] == thread_id() and _word(as_i64(words)[ITS_BUSY]) == 0


def traced(tracer, frame, what, arg):
    """CPython's ``Py_tracefunc``."""
    block = as_i64(_word(_word(tracer + B.BLOCK) + capi.ARRAY_DATA))
    event = what & _MASK
    hears = block[CALLS]
    if event == 0:
        if _passes(block, frame):
            return 0
    else:
        hears = _word(frame + _LOCAL)
        if hears == 0:
            return 0
    place = capi.stack_words(3)
    given = as_i64(place)
    given[0] = frame
    given[1] = block[EVENTS + event]
    given[2] = arg if arg != 0 else block[NONE]
    capi.incref(hears)
    result = capi.vectorcall(hears, place, 3, 0)
    capi.decref(hears)
    if result == 0:
        capi.set_trace(0, 0)
        return -1
    if result == block[NONE]:
        capi.decref(result)
    else:
        last = _word(frame + _LOCAL)
        as_i64(frame + _LOCAL)[0] = result
        if last != 0:
            capi.decref(last)
    return 0


class Tracer(NativeCall):
    """A function for ``sys.settrace`` that is not told of calls in some files.

    Args:
        function: hears of the other calls as ``function(frame, event, arg)``.
        files: what is known of each file; of calls in those where that is the object ``passes`` nobody hears.
        busy: an array of one int64; all calls are told as long as that is not 0.

    Attributes:
        function: as given.
    """

    def __init__(self, function, files, passes, busy):
        self.function, self.busy, self._kept = function, busy, (files, passes)
        words = id(function), id(files), id(passes), busy.ctypes.data, _file_offset(), id(None), *map(id, _EVENTS)
        self._block = np.array(words, dtype=np.int64)

    def __call__(self, frame, event, arg):
        return self.function(frame, event, arg)


def begin(tracer):
    """Trace this thread from now on; what ``end`` is to be told: what traced it before, if anything, and a tracer's words."""
    before = sys.gettrace(), at_work.tolist()
    _last[:] = tracer.busy, _last[0]
    at_work[:] = threading.get_ident(), tracer.busy.ctypes.data
    _trace_by(tracer)
    return before


def end(before):
    """Let this thread be traced as before."""
    tracer, words = before
    if at_work[THREAD] == threading.get_ident():
        at_work[:] = words if words[THREAD] == at_work[THREAD] else (0, 0)
    _trace_by(tracer)


def _trace_by(tracer):
    place = _address() if isinstance(tracer, Tracer) else 0
    if place:
        _set_trace(place, tracer)
    else:
        sys.settrace(tracer)


_set_trace = cpython.function("PyEval_SetTrace", None, ctypes.c_void_p, ctypes.py_object)


@functools.cache
def _file_offset():
    return cpython.offset_of(types.CodeType.co_filename)


@functools.cache
def _address() -> int:
    """The address of ``traced``, compiled or from the cache on disk; 0 where frames look otherwise than expected."""
    if not (capi.layouts_hold() and _frames_fit()):
        return 0
    room.ask()
    try:
        with signals.deferred(), collecting.paused():
            return plain.c_functions("tracer", (traced,))[0]
    except Unknown:  # its source is not there
        return 0


def _frames_fit() -> bool:
    frame = sys._getframe()

    def word(x, offset):
        return ctypes.c_int64.from_address(id(x) + offset).value

    def hears(*_):
        """Nothing."""

    before, frame.f_trace = frame.f_trace, hears
    fits = word(frame, _LOCAL) == id(hears)
    frame.f_trace = before
    file = frame.f_code.co_filename
    return fits and word(frame.f_code, _file_offset()) == id(file)
