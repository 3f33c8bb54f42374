"""What an instruction does with its operands: whether NumPy or Python computes with an array, or makes an operand of it.

Where there is a tensor beside the array, or a function of ours, it may be either: an operand, if the recording has the memory
among its sources afterwards. Functions of the user's, and those of ours that are written with operations, are looked into
themselves. What comes out of containers and iterators is seen where it lies on the stack of a later instruction.
"""

import dis
import functools
import inspect
import itertools
import types

import numpy as np

from tapejit.eager.tensor import Tensor
from tapejit.edge.userline import PACKAGE, STDLIB, is_installed, is_library
from tapejit.edge.valuestack import ABSENT, ValueStack
from tapejit.replay.numpyreads import bounds

_PLAIN = frozenset((int, float, bool, str, type(None), Tensor, np.float64, range, types.ModuleType, types.FunctionType, type))
_CONTAINERS = (tuple, list, dict, set, frozenset, slice)
_DEPTH, _WIDE = 4, 1000  # of containers that are looked through
_ITERATING = (list, tuple, dict, zip, enumerate, reversed, iter, set, map, filter, itertools.chain)
_LOOKING = (len, isinstance, id, type, hasattr, callable, getattr, setattr, print, issubclass, super, vars, slice, range)
_LOOKING += (functools.partial,)
_MOVING = frozenset(("append", "insert", "get", "pop", "setdefault", "items", "values", "keys", "update", "copy", "popitem"))
_WRITING = frozenset((np.copyto, np.place, np.put, np.putmask, np.fill_diagonal, np.put_along_axis))
_WRITING_METHODS = frozenset("fill sort put itemset partition resize byteswap setfield".split())
_OF_SHAPES = frozenset(("zeros_like", "ones_like", "empty_like", "shape", "ndim", "size", "may_share_memory", "shares_memory"))
_VIEWS = frozenset(
    "transpose reshape ravel squeeze swapaxes moveaxis rollaxis expand_dims broadcast_to broadcast_arrays view asarray array "
    "asanyarray ascontiguousarray atleast_1d atleast_2d atleast_3d diagonal flip flipud fliplr rot90 matrix_transpose astype "
    "permute_dims sliding_window_view as_strided split array_split hsplit vsplit dsplit unstack require".split()
)
_MAKING = tuple(PACKAGE + part for part in ("core", "edge", "replay", "eager/dispatch", "eager/foreign", "eager/tensor.py"))
_FIELDS = frozenset("T mT shape ndim size dtype nbytes itemsize strides base real imag flags".split())


class Steps:
    """Follows one frame.

    Args:
        reads: hears of arrays, see ``NumpyReads.take``.
    """

    __slots__ = ("_code", "_offset", "_reads", "_stack", "_table", "_waiting")

    def __init__(self, reads, frame):
        self._reads, self._code = reads, frame.f_code
        self._stack, self._table = ValueStack(frame), _table(frame.f_code)
        self._waiting = None  # see ``_wait``

    def step(self, offset):
        """An instruction is about to run; None: the frame is at its end."""
        if self._waiting is not None:
            self._settle(offset)
        what = self._table.get(offset)
        if what is not None:
            self._offset = offset
            what[0](self, self._stack.below(offset), what[1])

    # What becomes of arrays

    def _take(self, arrays):
        for array in arrays:
            self._reads.take(array, (self._code, self._offset))

    def _wait(self, arrays, views=False, entering=False, cached=False):
        """What becomes of arrays shows when the instruction is done.

        Args:
            views: whether they are not read where the result shares their memory.
            entering: whether functions of ours are looked into meanwhile.
            cached: whether the result is kept elsewhere, as what is captured.
        """
        self._waiting = arrays, len(self._reads.sources), views, entering, cached
        self._reads.inside += entering

    def _settle(self, offset):
        arrays, before, views, entering, cached = self._waiting
        self._waiting = None
        self._reads.inside -= entering
        result = _arrays_in((self._stack.below(offset)(1),))[0] if (views or cached) and offset is not None else []
        if cached:
            self._reads.cached += result
        if arrays:
            sources = self._reads.sources
            new = [*itertools.islice(reversed(sources.values()), len(sources) - before), *(result if views else ())]
            self._take([a for a in arrays if not any(_covers(s, a) for s in new)])

    # Instructions

    def _two(self, operand, in_place):
        """An operation on two operands."""
        y, x = operand(1), operand(2)
        if x.__class__ in _PLAIN and y.__class__ in _PLAIN:
            return
        arrays = [a for a in (x, y) if isinstance(a, np.ndarray)]
        if arrays:
            (self._wait if _is_ours(x) or _is_ours(y) else self._take)(arrays)
        if in_place and isinstance(x, np.ndarray):
            self._reads.write(x)

    def _compared(self, operand, _):
        x, y = operand(2), operand(1)
        if isinstance(y, (dict, set, frozenset)):  # what is looked for is compared with keys
            self._take(_arrays_in((x,))[0])
        elif isinstance(x, _CONTAINERS) or isinstance(y, _CONTAINERS):
            self._take(_arrays_in((x, y))[0])
        else:
            self._two(operand, False)

    def _one(self, operand, k):
        x = operand(k)
        if isinstance(x, np.ndarray):
            self._take([x])

    def _iterated(self, operand, k):
        """The elements of an array of one dimension are numbers; rows are arrays that are seen later."""
        x = operand(k)
        if isinstance(x, np.ndarray) and x.ndim < 2:
            self._take([x])

    def _field(self, operand, name):
        x = operand(1)
        if isinstance(x, np.ndarray) and name not in _FIELDS and not callable(getattr(np.ndarray, name, None)):
            self._take([x])

    def _item(self, operand, k):
        """``x[key]``, where the key is on the top and ``x`` ``k`` places below."""
        x, key = operand(k), operand(1)
        if isinstance(x, np.ndarray):
            self._take(_arrays_in((key,))[0])
            part = _part(x, key)
            if part is not None:
                self._take([part])
        elif x.__class__ not in (dict, list, tuple):
            self._take(_arrays_in((key,))[0])

    def _put(self, operand, _):
        """``x[key] = value``."""
        value, x, key = operand(3), operand(2), operand(1)
        if x.__class__ in (dict, list):
            return
        self._take(_arrays_in((key,))[0])
        self._assigned(value, x)

    def _put_slice(self, operand, _):
        self._assigned(operand(4), operand(3))

    def _assigned(self, value, x):
        if isinstance(x, np.ndarray):
            self._reads.write(x)
        arrays, ours = _arrays_in((value,))
        if arrays and x.__class__ is not list:
            (self._wait if ours or _is_ours(x) else self._take)(arrays)

    def _call(self, operand, count):
        self._called([operand(k) for k in range(count + 2, 0, -1)])

    def _call_with_names(self, operand, count):
        self._called([operand(k) for k in range(count + 3, 1, -1)])

    def _call_expanded(self, operand, with_names):
        given = operand(1 + with_names)
        names = operand(1) if with_names else {}
        if isinstance(given, np.ndarray):
            self._iterated(operand, 1 + with_names)
            given = (given,)
        given = given if isinstance(given, (tuple, list)) else ()
        below = [operand(3 + with_names), operand(2 + with_names)]
        names = names.values() if isinstance(names, dict) else ()
        self._called([*(x for x in below if x.__class__ is not tuple or x is not given), *given, *names])

    # Calls

    def _called(self, objects):
        objects = [x for x in objects if x is not ABSENT]
        function, *args = objects
        if all(x.__class__ in _PLAIN for x in args) and function.__class__ is types.FunctionType:
            return
        while True:
            if isinstance(function, functools.partial):
                args = [*function.args, *function.keywords.values(), *args]
                function = function.func
            elif isinstance(function, types.MethodType):
                args = [function.__self__, *args]
                function = function.__func__
            else:
                break
        owner = getattr(function, "__self__", None) if isinstance(function, types.BuiltinFunctionType) else None
        if isinstance(owner, np.ndarray):
            args = [owner, *args]
        file = _file_of(function)
        arrays, ours = _arrays_in(args, attributes=file.startswith(STDLIB))
        if function.__class__ is functools._lru_cache_wrapper:
            self._wait(arrays, cached=True)
        elif arrays:
            if file.startswith(PACKAGE):
                self._wait((), entering=True)
            elif not file or _is_aside(file):
                self._judge(function, args, arrays, ours)

    def _judge(self, function, args, arrays, ours):
        """Arrays are among the arguments of a function that cannot be looked into."""
        name = getattr(function, "__name__", "")
        if _writes(function, name) and isinstance(args[0], np.ndarray):
            self._reads.write(args[0])
        of_numpy = (getattr(function, "__module__", None) or "numpy").partition(".")[0] == "numpy"
        if any(function is f for f in _LOOKING) or (of_numpy and name in _OF_SHAPES):
            return
        if any(function is f for f in _ITERATING):
            inner = function not in (map, filter) or _file_of(args[0])
            if inner is True or (inner and not _is_aside(inner)):
                arrays = [a for a in arrays if a.ndim < 2 and any(a is x for x in args)]
            self._take(arrays)
        elif name in _MOVING and isinstance(getattr(function, "__self__", args[0]), _CONTAINERS):
            return
        elif ours:
            self._wait(arrays, entering=True)
        elif of_numpy and name in _VIEWS:
            self._wait(arrays, views=True)
        else:
            self._take(arrays)


def _writes(function, name) -> bool:
    """Whether a function of NumPy changes its first argument."""
    method = getattr(function, "__objclass__", type(getattr(function, "__self__", None)))
    return (name in _WRITING_METHODS and issubclass(method, np.ndarray)) or any(function is f for f in _WRITING)


def _file_of(function) -> str:
    """The file of the code that a call runs, "" if it is none of Python's."""
    if isinstance(function, type):
        function = next((m for m in (function.__init__, function.__new__) if isinstance(m, types.FunctionType)), None)
    elif not isinstance(function, (types.FunctionType, types.MethodType)):
        function = inspect.getattr_static(type(function), "__call__", None)
    return getattr(getattr(function, "__code__", None), "co_filename", "")


@functools.lru_cache(4096)
def _is_aside(file) -> bool:
    return is_library(file) or is_installed(file)


@functools.lru_cache(4096)
def makes_operands(file) -> bool:
    """Whether functions of a file of ours make operands of arrays, and do nothing else with them."""
    return file.startswith(_MAKING)


def _is_ours(x) -> bool:
    """Whether it is a tensor or another object, or a function, of this package."""
    if x.__class__ is Tensor:
        return True
    module = getattr(x, "__module__", None) if isinstance(x, (types.FunctionType, type)) else type(x).__module__
    return isinstance(module, str) and module.partition(".")[0] == "tapejit"


def _arrays_in(objects, attributes=False):
    """The arrays among objects and in containers among them, and whether there is anything of this package's.

    Args:
        attributes: whether those of objects count, too.
    """
    arrays, ours, waiting = [], False, [(x, _DEPTH) for x in objects]
    while waiting:
        x, depth = waiting.pop()
        if isinstance(x, np.ndarray):
            arrays.append(x)
        elif x.__class__ in _PLAIN:
            ours = ours or x.__class__ is Tensor
        elif isinstance(x, _CONTAINERS):
            if depth:
                inner = x.values() if isinstance(x, dict) else (x.start, x.stop, x.step) if x.__class__ is slice else x
                waiting += [(y, depth - 1) for y in itertools.islice(inner, _WIDE)]
        elif attributes and depth and not isinstance(x, type):
            waiting += [(y, depth - 1) for y in getattr(x, "__dict__", {}).values()]
            waiting += [(getattr(x, name, None), depth - 1) for name in getattr(type(x), "__slots__", ())]
        elif not ours:
            ours = _is_ours(x) and not isinstance(x, (types.FunctionType, type))
    return arrays, ours


def _part(array, key):
    """What of an array ``array[key]`` reads; None where that is an array which lies in the same memory."""
    keys = key if key.__class__ is tuple else (key,)
    if array.dtype.names and all(k.__class__ is str for k in keys):  # a field
        return None
    whole = [isinstance(k, (int, np.integer)) and not isinstance(k, bool) for k in keys]
    if not all(w or k is None or k is Ellipsis or k.__class__ is slice for w, k in zip(whole, keys, strict=True)):
        return array
    if sum(whole) < array.ndim or any(k is Ellipsis for k in keys):
        return None
    try:
        return array[(*keys, ...)]
    except (IndexError, TypeError):
        return None


def _covers(source, array) -> bool:
    """Whether a source lies where an array does."""
    if source is array:
        return True
    (low, high), (first, last) = bounds(source), bounds(array)
    return low <= first and last <= high


_HANDLERS = {
    **dict.fromkeys(("COMPARE_OP", "CONTAINS_OP"), (Steps._compared, None)),
    **dict.fromkeys(
        (
            *("UNARY_NEGATIVE", "UNARY_POSITIVE", "UNARY_INVERT", "UNARY_NOT", "TO_BOOL", "CONVERT_VALUE", "FORMAT_SIMPLE"),
            *("POP_JUMP_IF_TRUE", "POP_JUMP_IF_FALSE", "POP_JUMP_FORWARD_IF_TRUE", "POP_JUMP_FORWARD_IF_FALSE"),
            *("POP_JUMP_BACKWARD_IF_TRUE", "POP_JUMP_BACKWARD_IF_FALSE", "JUMP_IF_TRUE_OR_POP", "JUMP_IF_FALSE_OR_POP"),
        ),
        (Steps._one, 1),
    ),
    "FORMAT_WITH_SPEC": (Steps._one, 2),
    **dict.fromkeys(("GET_ITER", "GET_YIELD_FROM_ITER", "UNPACK_SEQUENCE", "UNPACK_EX"), (Steps._iterated, 1)),
    **dict.fromkeys(("LIST_EXTEND", "SET_UPDATE"), (Steps._iterated, 1)),
    "BINARY_SUBSCR": (Steps._item, 2),
    "STORE_SUBSCR": (Steps._put, None),
    "STORE_SLICE": (Steps._put_slice, None),
}
_WITH_ARGUMENT = {
    "BINARY_OP": Steps._two,
    "CALL": Steps._call,
    "CALL_KW": Steps._call_with_names,
    "CALL_FUNCTION_EX": Steps._call_expanded,
    "LOAD_ATTR": Steps._field,
    "LOAD_METHOD": Steps._field,
    "FORMAT_VALUE": Steps._one,
    "CALL_INTRINSIC_1": Steps._one,
}


@functools.lru_cache(1024)
def _table(code) -> dict:
    """What to do before an instruction, by its offset: a method and its argument."""
    found = {}
    for i in dis.get_instructions(code):
        if i.opname in _HANDLERS:
            found[i.offset] = _HANDLERS[i.opname]
        elif i.opname in _WITH_ARGUMENT:
            argument = i.argval if i.opname.startswith("LOAD") else i.arg
            if i.opname == "BINARY_OP":
                argument = i.argrepr.endswith("=")
            elif i.opname == "CALL_FUNCTION_EX":
                argument = i.arg & 1
            elif i.opname == "FORMAT_VALUE":
                argument = 1 + bool(i.arg & 4)  # a format lies above it
            elif i.opname == "CALL_INTRINSIC_1":
                argument = 1
            found[i.offset] = _WITH_ARGUMENT[i.opname], argument
    return found
