"""The memory of arrays that NumPy and Python compute with while a function is recorded.

An array that is an operand of our operations is read at every replay. What NumPy makes of one, and what Python decides by it,
is as constant as the recording: right as long as the array holds what it did. So the memory that is read in such a way is
guarded, and no other, since a guard on all that is captured would void the recording whenever an operand changes.
"""

import collections
import operator
import weakref

import numpy as np

from tapejit.edge.valuestack import Instructions, readable

_MOST = 8  # stretches of one array's memory that are guarded apart
_NEAR = 256  # bytes between two stretches that are guarded as one


class NumpyReads:
    """What is read in one recording.

    Attributes:
        sources: the recording's, by record the array that holds its value.
        possible: whether it can be told; without, all that is captured must be guarded.
        inside: whether a function of ours runs that was given arrays.
        cached: arrays that functions with a cache have given.
    """

    def __init__(self, sources):
        self.sources = sources
        self.possible = readable()
        self._instructions = Instructions()
        self._on, self.cached = False, []
        self.busy = np.zeros(1, dtype=np.int64)  # where ``inside`` is, for a tracer
        self._inside = memoryview(self.busy)
        self._written = collections.defaultdict(set)  # by id of what owns the memory, the bounds of what is written to
        self._stretches = {}  # by id of what owns the memory: a weak reference to it, and by their bounds where they are read
        self._known = {}  # by id, weak references to arrays that are read as a whole

    @property
    def inside(self) -> int:
        return self._inside[0]

    @inside.setter
    def inside(self, count):
        self._inside[0] = count

    def begin(self, frames):
        """There are arrays: from now on instructions are looked at, first those of the frames that run."""
        if self.possible and not self._on:
            self._on = True
            for frame in frames:
                self._instructions.of(frame)

    def enter(self, frame):
        """A frame begins."""
        if self._on:
            self._instructions.of(frame)

    def end(self):
        self._instructions.end()

    def take(self, array, place=None):
        """All of an array is read, by an instruction (code, offset)."""
        known = self._known.get(id(array))
        if known is not None and known() is array:
            return
        self._known[id(array)] = weakref.ref(array)
        owner = _owner(array)
        found = self._stretches.get(id(owner))
        if found is None or found[0]() is not owner:
            found = self._stretches[id(owner)] = weakref.ref(owner), {}
        found[1].setdefault(bounds(array), place)

    def write(self, array):
        """An array is changed in place."""
        self._written[id(_owner(array))].add(bounds(array))

    def guard(self, recorder, captured):
        """Guard the bytes of captured arrays that NumPy computed with, as far as is known, and of those that are no operands.

        Raises:
            Refused: for arrays whose changes cannot be seen, or which the function changes itself.
        """
        captured = [*captured, *self.cached]
        operands = self._operands()
        for owner in {id(o): o for o in map(_owner, captured)}.values() if self._written else ():
            read = [*operands.get(id(owner), ()), *self._stretches.get(id(owner), (0, ()))[1]]
            if any(a < d and b > c for a, b in read for c, d in self._written.get(id(owner), ())):
                recorder.refuse("a captured array that it reads is changed in place")
        for array in captured:
            low, high = bounds(array)
            parts = operands.get(id(_owner(array)), ()) if self.possible else ()
            if not any(a < high and b > low for a, b in parts):
                if array.dtype.hasobject or isinstance(array, np.ma.MaskedArray):
                    what = f"a captured {type(array).__name__} of {array.dtype}"
                    recorder.refuse(f"it reads {what}, whose changes cannot be seen")
                self.take(array)
        for held, place in self._memory(captured, operands):
            recorder.read_by_numpy(held, place)

    def _operands(self):
        """The bounds of arrays that are operands, by the id of what owns their memory."""
        found = collections.defaultdict(list)
        for source in self.sources.values():
            found[id(_owner(source))].append(bounds(source))
        return found

    def _memory(self, captured, operands):
        """Pairs (bytes as an array, the instruction that reads them or None) of ``captured`` arrays and others that last."""
        known = {id(_owner(a)) for a in captured}
        pairs = []
        for reference, stretches in self._stretches.values():
            owner = reference()
            if owner is None or not owner.size or owner.dtype.hasobject:
                continue
            if id(owner) in known or (owner.flags.owndata and id(owner) not in operands):  # the recording keeps operands
                low, high = bounds(owner)
                whole = _bytes_of(owner)
                inside = {(max(a, low), min(b, high)): where for (a, b), where in stretches.items() if a < high and b > low}
                pairs += [(whole[a - low : b - low], where) for a, b, where in _merged(inside)]
        return pairs


def _owner(array):
    """The array that an array is a part of, which keeps its memory."""
    owner = base = array
    while base is not None:
        owner = base if isinstance(base, np.ndarray) else owner
        base = getattr(base, "base", None)
    return owner


def bounds(array):
    """The addresses of the first byte of an array and after its last."""
    if array.flags.c_contiguous:
        begin = array.__array_interface__["data"][0]
        return begin, begin + array.nbytes
    return np.lib.array_utils.byte_bounds(array)


def _merged(stretches):
    """Triples (begin, end, where) of stretches that are apart, few of them."""
    found = []
    for (low, high), where in sorted(stretches.items(), key=operator.itemgetter(0)):
        if found and low <= found[-1][1] + _NEAR:
            found[-1] = found[-1][0], max(found[-1][1], high), found[-1][2]
        else:
            found.append((low, high, where))
    return found if len(found) <= _MOST else [(found[0][0], found[-1][1], found[0][2])]


def _bytes_of(array):
    """The memory of an array from its first byte to its last, with what lies between its elements."""
    low, high = bounds(array)
    upward = array[tuple(slice(None, None, -1 if step < 0 else 1) for step in array.strides)]
    first = np.lib.stride_tricks.as_strided(upward, (1,), (array.itemsize,)).view(np.uint8)
    return np.lib.stride_tricks.as_strided(first, (high - low,), (1,))
