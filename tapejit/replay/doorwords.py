"""The words by which the door (``replay.door``) knows a replayed function: what its tests, programs and results are.

Blocks are arrays of 64-bit words that refer to one another, and to Python objects, by address; whoever owns a block keeps
what it refers to.
"""

import functools
import operator
import sys

import numpy as np

from tapejit.edge import blocks as B
from tapejit.edge import capi
from tapejit.edge.cpython import release
from tapejit.edge.nativecall import NativeCall, add_method, call_natively, may_call
from tapejit.replay.binding import Same
from tapejit.replay.door import entry
from tapejit.replay.exact import told_by_equality
from tapejit.replay.recorder import active
from tapejit.replay.signature import Longer
from tapejit.replay.trees import LEAF

LONG = 20_000  # elements of all values of a program, above which other threads may run meanwhile
MOST_KEPT = 1 << 27  # bytes of results of a program, above which its arrays are not kept for a later call


def address_of(words) -> int:
    return words.__array_interface__["data"][0]


environment = np.zeros(B.ENVIRONMENT_WORDS, dtype=np.int64)


class Door(NativeCall):
    """An object with calls that the door answers first.

    Calls without an answer go to ``general`` and ``general_into``.

    Attributes:
        is_open: whether it does so already.
    """

    is_open = False

    def __init__(self):
        self._block = np.zeros(B.INSTANCE_WORDS, dtype=np.int64)
        self._block[B.ENVIRONMENT] = address_of(environment)

    # As long as the door is shut:

    def __call__(self, *args, **kwargs):
        return _general(self, (*args, *kwargs.values()), tuple(kwargs) or None)

    def into(self, *args):
        """``g.into(*args, out)``: the result of ``g(*args)``, its arrays written into ``out``, see ``general_into``."""
        return self.general_into(args)

    def by_place(self, count, names):
        """A call's arguments, the last of which have names, as numbers in the order without; None if that is another call.

        Args:
            count: of arguments without a name.
        """

    @classmethod
    def prepare_door(cls):
        """Have compiled, or loaded, what the door needs."""
        _open_all(cls)

    def open_door(self):
        """Let calls of this object, and its ``into``, be answered natively."""
        address = _open_all(type(self))
        if address:
            call_natively(self, address)
        self.is_open = True


def _general(self, args, names):
    """A call that the door has no answer to; ``names``: of its last arguments, or None.

    It is asked again where the same call has a form that it knows: no names, arrays in C order.
    """
    if names is not None:
        count = len(args) - len(names)
        places = self.by_place(count, names)
        if places is None:
            return self.general(args[:count], dict(zip(names, args[count:], strict=True)))
        return self(*[args[k] for k in places])
    if any(x.__class__ is np.ndarray and not x.flags.c_contiguous for x in args):
        return self(*[np.ascontiguousarray(x) if x.__class__ is np.ndarray else x for x in args])
    return self.general(args, {})


def _general_into(self, args, names):
    if names is not None:
        raise TypeError(f"into() takes no keyword arguments, got {', '.join(names)}")
    return self.general_into(args)


@functools.cache
def _open_all(kind) -> int:
    """The address of what answers calls of a class; 0 where the interpreter's objects look otherwise than expected."""
    if not (capi.layouts_hold() and may_call(kind)):
        return 0
    objects = {
        B.FLOAT_TYPE: float, B.NUMPY_FLOAT_TYPE: np.float64, B.INTEGER_TYPE: int, B.ARRAY_TYPE: np.ndarray, B.TUPLE_TYPE: tuple,
        B.LIST_TYPE: list, B.DICT_TYPE: dict, B.NONE: None, B.ACTIVE: active, B.GENERAL: _general,
        B.GENERAL_INTO: _general_into,
    }  # fmt: skip
    for place, x in objects.items():
        environment[place] = id(x)
    environment[B.NEW_ARRAY] = capi.array_constructor()
    environment[B.ANSWER_CALL] = entry.address(entry.answer)
    add_method(kind, "into", entry.address(entry.call_into))
    return entry.address(entry.call)


class _Tests:
    """The tests of a call's arguments: containers are taken apart into further registers, then the leaves are looked at."""

    def __init__(self, key, integers):
        parts, kinds = key[0][0], iter(key[1])
        self.structure, self.ends, self.kept = [], [], []
        self.registers, self.leaves, self.of_length = len(parts), 0, False
        self.possible = not key[0][1]
        for j, part in enumerate(parts):
            self._test(part, kinds, j, integers.get(j, 0))
        self.possible &= self.registers <= B.MOST and self.leaves + self.of_length <= B.MOST

    def _put(self, kind, register, p=0, q=0, r=0, leaf=0):
        part = self.structure if kind in (B.SAME, B.TUPLE, B.LIST, B.DICT) else self.ends
        part += [kind, register, p, q, r, leaf]

    def _keep(self, x):
        self.kept.append(x)
        return id(x)

    def _numbers(self, numbers):
        array = np.array([*numbers, 0], dtype=np.int64)
        self.kept.append(array)
        return address_of(array)

    def _test(self, part, kinds, register, integer):
        if part == LEAF:
            self._leaf(next(kinds), register, integer)
        elif part[:2] == ("static", Longer):
            self._put(B.WHOLE, register, part[2])
            self.of_length = True
        elif part[0] == "static":
            self._static(part[2].object if part[1] is Same else part[2], register, part[1] is Same)
        elif part[0] in (tuple, list, dict):
            inner = part[-1]
            first = self.registers
            self.registers += len(inner)
            if part[0] is dict:
                keys = self._numbers([self._keep(k) for k in part[1]])
                self._put(B.DICT, register, len(inner), first, keys)
            else:
                self._put(B.TUPLE if part[0] is tuple else B.LIST, register, len(inner), first)
            for j, p in enumerate(inner):
                self._test(p, kinds, first + j, 0)
        else:
            self.possible = False

    def _static(self, x, register, identical):
        if type(x) is tuple and not identical:
            first = self.registers
            self.registers += len(x)
            self._put(B.TUPLE, register, len(x), first)
            for j, item in enumerate(x):
                self._static(item, first + j, False)
        else:  # what equality does not tell must be the very object, all others go the general way
            self._put(B.SAME, register, self._keep(x), int(identical or not told_by_equality(x)))

    def _leaf(self, kind, register, integer):
        if kind == "f":
            self._put(B.NUMBER, register, integer, leaf=self.leaves)
        elif len(kind) == 2 and isinstance(kind[0], np.dtype):
            dtype, shape = kind
            long = shape[:1] != () and shape[0].__class__ is Longer
            sizes = self._numbers([shape[0].more, *shape[1:]] if long else shape)
            what = B.LONG_ARRAY if long else B.ARRAY
            self._put(what, register, self._keep(np.dtype(dtype.str)), len(shape), sizes, self.leaves)
            self.of_length |= long
        else:
            self.possible = False
        self.leaves += 1


class _Watch:
    """The places that a function reads beside its arguments, as words, and all that these refer to."""

    def __init__(self, captures):
        self._captures, self._watched = captures, list(captures.places)
        self.places, self._owned = captures.words()
        self.words = np.array([*sum(self.places, ()), 0], dtype=np.int64)
        self.runs = any(place[B.PLACE] in (B.ATTRIBUTE, B.ANSWER) for place in self.places)


    def is_of(self, captures):
        """Whether these are the places, holding what they do now."""
        same = captures is self._captures and len(captures.places) == len(self._watched)
        return same and all(map(operator.is_, captures.places, self._watched))


class SignatureBlock:
    """What the door must know of a signature: tests of the arguments, and of what the function reads beside them."""

    def __init__(self, signature, integers):
        self.tests = _Tests(signature.key, integers)
        self.possible = self.tests.possible
        tests = [*self.tests.structure, *self.tests.ends]
        self._tests = np.array([*tests, 0], dtype=np.int64)
        words = self.words = np.zeros(B.SIGNATURE_WORDS, dtype=np.int64)
        words[B.OBJECT] = id(self)
        words[B.ARGUMENTS] = len(signature.key[0][0])
        words[B.TESTS], words[B.TEST_COUNT] = address_of(self._tests), len(tests) // B.TEST_WORDS
        words[B.LENGTH] = self.tests.of_length and 1 + self.tests.leaves
        words[B.LEAF_TESTS] = len(self.tests.structure) // B.TEST_WORDS
        self.address = address_of(words)
        self._watch = None

    def watch(self, captures):
        """Look at the places that were captured, None for no places."""
        if captures and self._watch is not None and self._watch.is_of(captures):
            return
        watch = _Watch(captures) if captures else None
        self.words[[B.WATCH, B.WATCHED, B.WATCH_COUNT, B.WATCH_RUNS]] = (
            (id(watch), address_of(watch.words), len(watch.places), watch.runs) if watch else 0
        )
        self._watch = watch  # now the one before may go

    def unlink(self):
        """The signature is no part of the chain any more."""
        self.words[B.NEXT] = 0

    def use(self, block, span=(0, 0)):
        """The program block to begin with, None for none.

        Args:
            span: the least and the most length that it is for, where there is one.
        """
        self._last = block
        self.words[[B.LAST, B.LEAST, B.MOST_LENGTH]] = block.address if block else 0, *span


class ProgramBlock:
    """What the door must know of a program: its code, its results, and where each guard leads."""

    def __init__(self, program, machine):
        frozen = program.frozen
        self.possible = len(frozen.inputs) + len(program.order) <= B.MOST and not frozen.long
        self._kept = [machine, frozen.graph.arrays]
        self.turns = np.zeros(len(frozen.guards) + 2, dtype=np.int64)  # two more: too many passes of a loop, or too few
        total = sum(np.dtype(dtype).itemsize * int(np.prod(shape)) for shape, dtype in program.specs)
        self.specs = np.zeros((len(program.specs), B.SPEC_WORDS), dtype=np.int64)
        for row, (shape, dtype) in zip(self.specs, program.specs, strict=True):
            dims = np.array([*shape, 0], dtype=np.int64)
            self._kept += [dims, dtype]
            size = dtype.itemsize * int(np.prod(shape))
            row[[B.DTYPE, B.NDIM, B.SHAPE, B.BYTES, B.KEEP]] = id(dtype), len(shape), address_of(dims), size, total <= MOST_KEPT
        self._steps = []
        self._put_together(program.structure, map(self._leaf, map(program.order.index, range(len(program.order)))))
        steps = self._result = np.array([*self._steps, 0], dtype=np.int64)
        bounds = [np.lib.array_utils.byte_bounds(a) for a in frozen.graph.arrays]
        self._outside = np.array([*sum(bounds, ()), 0], dtype=np.int64)
        words = self.words = np.zeros(B.PROGRAM_WORDS, dtype=np.int64)
        words[B.OBJECT] = id(self)
        words[B.CODE], words[B.WORKSPACE] = machine.address, machine.workspace
        words[B.LONG] = sum(n.n for n in frozen.graph.nodes) > LONG
        words[B.INPUTS], words[B.ARRAYS], words[B.SPECS] = len(frozen.inputs), len(program.specs), address_of(self.specs)
        words[B.GIVEN] = sum(shape != () for shape, _ in program.specs)
        words[B.SCALARS], words[B.TURNS] = len(program.scalars), address_of(self.turns)
        words[B.RESULT], words[B.RESULT_COUNT] = address_of(steps), len(self._steps) // 3
        self._written_into(program.structure[0])
        words[B.OUTSIDE], words[B.OUTSIDE_COUNT] = address_of(self._outside), len(bounds)
        self.address = address_of(words)

    def _written_into(self, kind):
        """Note what matrix takes the entries that are the result, where a result is made of entries (see ``sparseplan``)."""
        if not hasattr(kind, "written_into"):
            return
        matrix = kind.written_into
        if matrix is None:
            self.words[B.GIVEN] = -1  # nothing can be given for it
            return
        objects = type(matrix), matrix.indices, matrix.indptr, *map(sys.intern, ("indices", "indptr", "data"))
        self._matrix = np.array([id(x) for x in objects], dtype=np.int64)
        self._kept.append(objects)
        self.words[B.MATRIX] = address_of(self._matrix)

    def _leaf(self, place):
        """The step for the result that stands at a place of the program's order."""
        arrays = len(self.specs)
        return (B.PUSH_ARRAY, place) if place < arrays else (B.PUSH_NUMBER, place - arrays)

    def _put_together(self, structure, leaves):
        if structure == LEAF:
            self._steps += [*next(leaves), 0]
            return
        kind = structure[0]
        if kind == "static":
            self._push(structure[2])
            return
        inner = structure[-1]
        if len(structure) == 3:
            made = _mapping(kind, structure[1])
        elif hasattr(kind, "_fields"):
            made = kind
        else:
            made = functools.partial(_sequence, kind)
        for s in inner:
            self._put_together(s, leaves)
        self._kept.append(made)
        step = {tuple: B.MAKE_TUPLE, list: B.MAKE_LIST}.get(kind, B.APPLY)
        self._steps += [step, len(inner), id(made)]

    def _push(self, x):
        self._kept.append(x)
        self._steps += [B.PUSH_OBJECT, id(x), 0]

    @property
    def calls(self) -> int:
        return int(self.words[B.CALLS])

    def __del__(self):
        for row in self.specs:
            for k in (B.KEPT, B.KEPT_TOO):
                if row[k]:
                    release(int(row[k]))
                    row[k] = 0


def _mapping(kind, keys):
    return lambda *values: kind(zip(keys, values, strict=True))


def _sequence(kind, *items):
    return kind(items)
