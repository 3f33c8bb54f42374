"""Operators of Tensors as C functions: in the common case a record and its Tensor are made without a frame of Python's.

An operator is an object of CPython's vectorcall form, with a block of words of its own. The common case is what the engine's
fast entries take: contiguous floats of one layout on the main thread's tape, and numbers. Everything else goes to a function of
Python's, which may ask the engine again.
"""

import ctypes
import functools
import types

import numpy as np

from tapejit.core import engine
from tapejit.core import tape as tapes
from tapejit.core.append import MASK, SLOW, binary, scalar, unary
from tapejit.eager.tensor import Tensor
from tapejit.edge import blocks as B
from tapejit.edge import capi, collecting, cpython, room, signals, tracing
from tapejit.edge.jit import inner
from tapejit.edge.nativecall import NativeCall, call_natively, may_bind
from tapejit.edge.plain import code as plain
from tapejit.edge.plain.source import Unknown
from tapejit.edge.raw import as_f64, as_i64
from tapejit.edge.tracing import may_stop

# An operator's block: what all share, the op, what takes other cases, and (number, op) of numbers with ops of their own.
SHARED, CODE, OTHERWISE, NUMBERS, NUMBER_COUNT, OPERATOR_WORDS = range(6)
# What all share: the tape that operations go to and its list of Tensors, classes, where a Tensor has its fields, the words of
# a tracer, further classes of what is taken apart, dtypes, and classes of objects that run no code of the user's.
(
    TAPE, TENSORS, TENSOR, FLOAT, INTEGER, HANDLE, LAYOUT, TRACER, ARRAY, TUPLE, SLICE, DTYPES, HARMLESS, SHARED_WORDS,
) = (*range(11), 12, 16, 20)  # fmt: skip
_OURS = -1  # in place of an op: what is called runs no code of the user's whatever it is given
_COUNT = (1 << 63) - 1  # of a call's arguments; the highest bit says something about their memory

_shared = np.zeros(SHARED_WORDS, dtype=np.int64)
_kept = {}  # the list of Tensors that ``_shared`` refers to
_operators: list = []


@inner
def _word(address):
    return as_i64(address)[0]


@inner
def _block(self):
    return as_i64(_word(_word(self + B.BLOCK) + capi.ARRAY_DATA))


@inner
def _handle(shared, x):
    return capi.integer(_word(x + shared[HANDLE]))


@inner
def _finished(shared, made, handle, x):
    """The Tensor of a record of the layout of ``x``, with what it is to hold."""
    layout = _word(x + shared[LAYOUT])
    capi.incref(layout)
    as_i64(made + shared[LAYOUT])[0] = layout
    as_i64(made + shared[HANDLE])[0] = capi.new_integer(handle)
    capi.incref(made)
    capi.set_list_item(shared[TENSORS], handle & MASK, made)
    return made


@inner
def _number(shared, y):
    """A number of Python's, and whether ``y`` is one that a double can hold."""
    kind = _word(y + capi.TYPE)
    if kind == shared[FLOAT]:
        return as_f64(y + capi.FLOAT_VALUE)[0], True
    if kind != shared[INTEGER]:
        return 0.0, False
    number = capi.integer_as_double(y)
    if number == -1.0 and capi.error_set() != 0:
        capi.clear_error()
        return 0.0, False
    return number, True


@inner
def _record(block, shared, x, y):
    """The handle of the record of an op of a Tensor and an operand, negative if this is not the common case."""
    if _word(y + capi.TYPE) == shared[TENSOR]:
        return binary(shared[TAPE], block[CODE], _handle(shared, x), _handle(shared, y))
    number, is_one = _number(shared, y)
    if not is_one:
        return SLOW
    for j in range(block[NUMBER_COUNT]):
        place = block[NUMBERS] + 16 * j
        if as_f64(place)[0] == number:
            return unary(shared[TAPE], as_i64(place)[1], _handle(shared, x))
    return scalar(shared[TAPE], block[CODE], _handle(shared, x), number, 0)


@inner
def _reflected_record(block, shared, x, y):
    """The same for a number that comes first."""
    number, is_one = _number(shared, y)
    return scalar(shared[TAPE], block[CODE], _handle(shared, x), number, 1) if is_one else SLOW


@inner
def _harmless(shared, x):
    """Whether an object is a number, a Tensor or an array of numbers: to compute with it runs no code of the user's."""
    kind = _word(x + capi.TYPE)
    if kind == shared[TENSOR] or kind == shared[FLOAT] or kind == shared[INTEGER]:
        return True
    found = False
    if kind == shared[ARRAY]:
        for j in range(DTYPES, HARMLESS):
            found |= _word(x + capi.ARRAY_DTYPE) == shared[j]
    else:
        for j in range(HARMLESS, SHARED_WORDS):
            found |= kind == shared[j]
    return found


@inner
def _harmless_key(shared, x):
    """The same, or a slice of such."""
    if _word(x + capi.TYPE) != shared[SLICE]:
        return _harmless(shared, x)
    start, stop, step = _word(x + capi.SLICE_START), _word(x + capi.SLICE_STOP), _word(x + capi.SLICE_STEP)
    return _harmless(shared, start) and _harmless(shared, stop) and _harmless(shared, step)


@inner
def _all_harmless(shared, args, count):
    """The same of all arguments; one may be a tuple of such."""
    for j in range(count):
        x = as_i64(args)[j]
        if _word(x + capi.TYPE) == shared[TUPLE]:
            for k in range(_word(x + capi.SIZE)):
                if not _harmless_key(shared, capi.tuple_item(x, k)):
                    return False
        elif not _harmless_key(shared, x):
            return False
    return True


@inner
def _by_python(block, shared, args, count, names):
    """A call of what is a function of Python's; while it runs no code of the user's, nobody traces it."""
    function = block[OTHERWISE]
    if may_stop(shared[TRACER]) and (block[CODE] == _OURS or (names == 0 and _all_harmless(shared, args, count & _COUNT))):
        state = capi.thread_state()
        capi.stop_tracing(state)
        result = capi.vectorcall(function, args, count & _COUNT, names)
        capi.go_on_tracing(state)
        return result
    return capi.vectorcall(function, args, count & _COUNT, names)


# A Tensor is made before its record: making one may run a collection, and that any code.


@inner
def _begun(shared, args, count, names, operands):
    """A Tensor for the result, 0 where this is not the common case."""
    if names != 0 or count & _COUNT != operands or _word(as_i64(args)[0] + capi.TYPE) != shared[TENSOR]:
        return 0
    made = capi.new_object(shared[TENSOR], 0)
    if made == 0:
        capi.clear_error()
    return made


@inner
def _answered(block, shared, made, handle, args, count, names):
    """The Tensor with its record; where there is none, what Python gives."""
    if handle >= 0:
        return _finished(shared, made, handle, as_i64(args)[0])
    capi.decref(made)
    capi.clear_error()
    return _by_python(block, shared, args, count, names)


def two(self, args, count, names):
    """``operator(x, y)``."""
    block = _block(self)
    shared = as_i64(block[SHARED])
    made = _begun(shared, args, count, names, 2)
    if made == 0:
        return _by_python(block, shared, args, count, names)
    handle = _record(block, shared, as_i64(args)[0], as_i64(args)[1])
    return _answered(block, shared, made, handle, args, count, names)


def reflected(self, args, count, names):
    """``operator(x, number)`` for ``number op x``."""
    block = _block(self)
    shared = as_i64(block[SHARED])
    made = _begun(shared, args, count, names, 2)
    if made == 0:
        return _by_python(block, shared, args, count, names)
    handle = _reflected_record(block, shared, as_i64(args)[0], as_i64(args)[1])
    return _answered(block, shared, made, handle, args, count, names)


def one(self, args, count, names):
    """``operator(x)``."""
    block = _block(self)
    shared = as_i64(block[SHARED])
    made = _begun(shared, args, count, names, 1)
    if made == 0:
        return _by_python(block, shared, args, count, names)
    handle = unary(shared[TAPE], block[CODE], _handle(shared, as_i64(args)[0]))
    return _answered(block, shared, made, handle, args, count, names)


def only_python(self, args, count, names):
    """``operator(*args)`` by the function of Python's."""
    block = _block(self)
    return _by_python(block, as_i64(block[SHARED]), args, count, names)


class Operator(NativeCall):
    """An operation of one or two operands, the first a Tensor; a method where it is an attribute of a class.

    Args:
        form: ``one``, ``two``, ``reflected`` or ``only_python``.
        code: of the op.
        otherwise: the function of Python's that it is.
        by_number: the code of the op of one operand that a number as the second stands for.
    """

    def __init__(self, form, code, otherwise, by_number=None):
        functools.update_wrapper(self, otherwise)
        self._form, self._otherwise = form, otherwise
        self._numbers = np.array([(np.float64(n).view(np.int64), c) for n, c in (by_number or {}).items()], dtype=np.int64)
        self._block = np.zeros(OPERATOR_WORDS, dtype=np.int64)
        numbers = self._numbers.ctypes.data, len(self._numbers)
        self._block[:] = _shared.ctypes.data, code, id(otherwise), *numbers
        _operators.append(self)
        if _opened.cache_info().currsize:
            _open(self)

    def __call__(self, *args, **kwargs):
        _opened()
        return self._otherwise(*args, **kwargs)

    def __get__(self, instance, owner=None):
        return self if instance is None else types.MethodType(self, instance)


def untraced(function):
    """A method of Tensor while which, given numbers and Tensors, nobody traces: a recording does not look into it."""
    return Operator(only_python, 0, function)


def untraced_ours(function):
    """The same for a function inside of this package that never runs code of the user's."""
    return Operator(only_python, _OURS, function)


def _open(operator):
    if _fits():
        call_natively(operator, addresses()[operator._form])


@functools.cache
def _fits() -> bool:
    """Whether objects look as they should for operators to be C functions."""
    if not (capi.layouts_hold() and may_bind(Operator)):
        return False
    fields = [cpython.offset_of(field) for field in (Tensor._r, Tensor._layout)]
    one_of_them = object.__new__(Tensor)
    one_of_them._r, one_of_them._layout = values = 1 << 50, None
    if [ctypes.c_int64.from_address(id(one_of_them) + at).value for at in fields] != [id(x) for x in values]:
        return False
    try:
        addresses()
    except Unknown:  # their sources are not there
        return False
    _shared[[TENSOR, FLOAT, INTEGER, HANDLE, LAYOUT]] = id(Tensor), id(float), id(int), *fields
    _shared[[TRACER, ARRAY, TUPLE, SLICE]] = tracing.at_work.ctypes.data, id(np.ndarray), id(tuple), id(slice)
    _shared[DTYPES:HARMLESS] = [id(np.dtype(t)) for t in (np.float64, np.float32, np.int64, np.bool_)]
    _shared[HARMLESS:] = [id(t) for t in (np.float64, bool, type(None), type(...))]
    _follow(tapes.current())
    return True


@functools.cache
def _opened():
    """Have all operators be C functions from now on; at the first operation, since that compiles, or loads, them."""
    engine.__getattr__("binary")  # the engine is as it should be
    for operator in list(_operators):
        _open(operator)


@functools.cache
def addresses() -> dict:
    """The C functions of all forms, compiled or from the cache on disk."""
    forms = one, two, reflected, only_python
    room.ask()
    with signals.deferred(), collecting.paused():
        return dict(zip(forms, plain.c_functions("operators", forms), strict=True))


def _follow(tape):
    tensors = tape.handles
    _kept["tensors"] = tensors, _kept.get("tensors", (None,))[0]
    _shared[[TAPE, TENSORS]] = tape.address, id(tensors)


tapes.followers.append(_follow)
