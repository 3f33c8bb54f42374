"""What runs on the workers: functions of picklable arguments, known to them by name."""

import pickle
import threading

import numpy as np

ALIGN = 64
_first = threading.Lock()  # one thread at a time records and compiles


class Function:
    """A function and the kinds of arguments for which it is machine code, as a worker keeps it.

    Recorded functions run eagerly at first, with other roundings; here all results that count are machine code's, so that no
    digit depends on which worker has known the function for how long.
    """

    def __init__(self, pickled):
        self._pickled = pickled
        self.function = pickle.loads(pickled)
        self._ready = set()

    def __reduce__(self):
        return Function, (self._pickled,)

    def __call__(self, *args):
        wait = getattr(self.function, "wait", None)
        if wait is None:
            return self.function(*args)
        kind = _kind(args)
        if kind not in self._ready:
            with _first:
                if kind not in self._ready:
                    self.function(*args)
                    wait()
                    self._ready.add(kind)
        return self.function(*args)


def _kind(tree):
    """What tells recordings apart: the structure of arguments, and shape and dtype of arrays."""
    if isinstance(tree, dict):
        return type(tree), tuple((k, _kind(x)) for k, x in tree.items())
    if isinstance(tree, (tuple, list)):
        return type(tree), tuple(_kind(x) for x in tree)
    return type(tree), np.shape(tree), getattr(tree, "dtype", None)


class Data:
    """The arguments of a part: as given, or what a function gives that loads them here.

    Arrays stand at multiples of 64 bytes in one stretch wherever they go: libraries take other ways, with other roundings,
    through memory that does not, as what comes over a wire.
    """

    def __init__(self, given):
        found = given() if callable(given) else given
        self.args = aligned(found if isinstance(found, tuple) else (found,))

    def __reduce__(self):
        return Data, (self.args,)


def aligned(tree):
    """The tree with such arrays."""
    if isinstance(tree, dict):
        return type(tree)((k, aligned(x)) for k, x in tree.items())
    if isinstance(tree, (tuple, list)):
        items = [aligned(x) for x in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    if type(tree) is not np.ndarray or tree.dtype.hasobject:
        return tree
    flags = tree.flags
    if flags.forc and tree.ctypes.data % ALIGN == 0:
        return tree
    memory = np.empty(tree.nbytes + ALIGN, np.uint8)
    start = -memory.ctypes.data % ALIGN
    order = "F" if flags.f_contiguous and not flags.c_contiguous else "C"
    found = memory[start : start + tree.nbytes].view(tree.dtype).reshape(tree.shape, order=order)
    found[...] = tree
    return found


def nbytes(tree) -> int:
    """The bytes of the arrays of a result."""
    if isinstance(tree, (dict, tuple, list)):
        return sum(map(nbytes, tree.values() if isinstance(tree, dict) else tree))
    return int(np.asarray(tree).nbytes)


def part(function, args, data):
    """The function of one part."""
    return function(*aligned(args), *data.args)


def added(a, b):
    """The sum of two results of one structure, leaf by leaf.

    Raises:
        TypeError: if they are not trees of one structure, or hold what cannot be added.
    """
    if isinstance(a, dict) and isinstance(b, dict) and set(a) == set(b):
        return type(a)((k, added(x, b[k])) for k, x in a.items())
    if isinstance(a, (tuple, list)) and type(a) is type(b) and len(a) == len(b):
        items = [added(x, y) for x, y in zip(a, b, strict=True)]
        return type(a)(*items) if hasattr(a, "_fields") else type(a)(items)
    if isinstance(a, (dict, tuple, list, str, bytes)) or a is None or type(a) is not type(b):
        raise TypeError(
            f"sum_over() adds numbers, arrays, and tuples, lists and dicts of them; two parts gave a {type(a).__name__} and a "
            f"{type(b).__name__} in one place"
        )
    if np.shape(a) != np.shape(b):
        raise ValueError(f"sum_over(): two parts gave results of shapes {np.shape(a)} and {np.shape(b)} in one place")
    return a + b
