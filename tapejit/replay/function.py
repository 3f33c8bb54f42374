"""A replayed function: what a call finds out about its arguments, and the programs behind it."""

import functools
import sys
import threading
import time
import types

import numpy as np

from tapejit.core import forks
from tapejit.core import tape as tapes
from tapejit.core.dtypes import follow_default_dtype
from tapejit.eager.tensor import Tensor
from tapejit.edge import blocks as B
from tapejit.replay.answers import NOT_YET, Answers
from tapejit.replay.binding import Bound, Same, belongs, binds, on_objects, shifted
from tapejit.replay.compiled import nopython_function
from tapejit.replay.doorwords import Door
from tapejit.replay.exact import exact
from tapejit.replay.histories import Histories, StaysEager
from tapejit.replay.inspection import Inspected
from tapejit.replay.integers import Integers, same_work
from tapejit.replay.lengths import Lengths
from tapejit.replay.recorder import active
from tapejit.replay.recordings import Recordings
from tapejit.replay.signature import Signature
from tapejit.replay.targets import write_results
from tapejit.replay.tracebacks import shortened
from tapejit.replay.trees import flatten, is_dynamic, map_tree, unflatten
from tapejit.replay.values import as_numpy, as_tensor, assemble, kind, memory

MOST_SIGNATURES = 256
_BY_PLACE = ("jit", "grad", "value_and_grad")  # transforms to which a name makes no difference: vmap maps what has one
_NO_OWNERS = (Tensor, np.ndarray, np.generic, float, int, str, tuple, list, dict, type(None))  # of a method


class _Depth(threading.local):
    """How many transforms run eagerly in this thread, one inside the other, and whether the results of all are values only."""

    inside = 0
    values = False


_depth = _Depth()


def history_wanted() -> bool:
    """Whether what a transform works out now may be differentiated again: not where it is the outermost, and gives values."""
    return _depth.inside != 1 or not _depth.values


def outermost() -> bool:
    """Whether no recording goes on in this thread, and no transform runs eagerly."""
    return not _depth.inside and tapes.current().recorder is None


def _in_child():
    """What other threads ran ended with the fork."""
    if not _depth.inside and len(tapes.thread.stack) == 1:
        active.clear()


forks.register(None, None, _in_child)


class Replayed(Door, Answers, Recordings, Inspected):
    """A function that is recorded and replayed; made by the transforms.

    Attributes:
        function: what runs on tensors; ``fun`` is the user's function.
    """

    def __init__(self, function, fun, name, argnums, static_argnums, policy, build, constants=()):
        if not callable(fun) and not isinstance(fun, classmethod):
            raise TypeError(f"{name}() takes a function, got {type(fun).__name__}")
        if policy not in ("now", "auto", "never"):
            raise ValueError(f"compile must be 'now', 'auto' or 'never', got {policy!r}")
        functools.update_wrapper(self, fun, updated=("__dict__",) if isinstance(fun, types.FunctionType) else ())
        if not hasattr(self, "__name__"):  # an object with __call__, a partial
            self.__name__ = getattr(getattr(fun, "func", None), "__name__", type(fun).__name__)
        self.function, self.fun, self.transform = function, fun, name
        self.options = {}  # further ones of the transform, by which it is made again
        self.argnums = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        self.static = {static_argnums} if isinstance(static_argnums, int) else set(static_argnums)
        self.policy = policy
        self._build = build
        self.constants = constants if isinstance(constants, (tuple, list, set)) or constants is True else (constants,)
        self._names_used = False
        self._method = None  # the same of methods, made when it is first bound
        self.values_only = False  # whether eager results of tensors without gradients are such tensors
        self.of_objects = False  # whether the first argument is the object that a method belongs to
        self._signatures = {}
        self._placed = {}  # how arguments with names stand without, see ``by_place``
        self._integers = Integers()
        self._lengths = Lengths(fun, getattr(fun, "__qualname__", repr(fun)), name)
        forks.renewed(self, "_lock", threading.RLock)  # held to record, and to change what the door reads
        super().__init__()
        follow_default_dtype(self)
        self._latest = None
        self._histories = Histories(self, self._alike)
        self._counts = {"eager": 0, "recorded": 0, "interpreted": 0, "replayed": 0}

    def __repr__(self):
        return f"<{self.transform} of {getattr(self.fun, '__qualname__', self.fun)}>"

    def __get__(self, instance, owner=None):
        owner = owner if isinstance(self.fun, classmethod) else instance
        return self if owner is None or not binds(self.fun) else Bound(self._on_objects(), owner)

    def _on_objects(self):
        """What methods call: a replayed function of the object and the arguments, which are counted after it."""
        if self._method is None:
            with self._lock:
                if self._method is None:
                    function = on_objects(self.fun, self._remade)
                    numbers = self.argnums if self._names_used else shifted(self.argnums)
                    static = shifted(self.static)
                    parts = self.policy, self._build, self.constants
                    made = type(self)(function, self.fun, self.transform, numbers, static, *parts)
                    made.of_objects, made.values_only = True, self.values_only
                    self._method = made
        return self._method

    def by_place(self, count, names):
        if self.transform not in _BY_PLACE or not isinstance(self.fun, types.FunctionType):
            return None
        if (count, names) not in self._placed:
            code = self.fun.__code__
            wanted = code.co_varnames[: code.co_argcount][count : count + len(names)]
            fits = sorted(wanted) == sorted(names) and count >= code.co_posonlyargcount
            self._placed[count, names] = [*range(count), *(count + names.index(n) for n in wanted)] if fits else None
        return self._placed[count, names]

    def of_names(self, argnums):
        """Remember that the differentiated arguments were chosen by name: a bound method has other positions."""
        self._build = (self._build[0], argnums, *self._build[2:])
        self._names_used = any(isinstance(k, str) for k in ([argnums] if isinstance(argnums, str) else argnums))

    def _remade(self, fun):
        """This transform of another function."""
        maker, build, options = self._parts()
        return maker(fun, *build[1:], **options)

    def _all_signatures(self):
        """Those of calls, and those of calls of all lengths."""
        return [*self._signatures.values(), *self._lengths.signatures()]

    @property
    def calls(self) -> dict:
        """How often the function ran eagerly, was recorded, was run again from its tape, and as machine code."""
        programs = [p for s in self._all_signatures() for p in s.paths.everything()]
        through_door = sum(p.block.calls for p in programs if p.block is not None)
        counts = {**self._counts, "replayed": self._counts["replayed"] + through_door}
        return {kind: count + sum(f.calls[kind] for f in self._histories.programs()) for kind, count in counts.items()}

    def _every_signature(self):
        """The signatures, and those of the programs of calls with a history."""
        return [*self._all_signatures(), *(s for f in self._histories.programs() for s in f._every_signature())]

    @property
    def _last(self):
        """The signature that was used last."""
        used = self._block[B.USED]
        if used:
            self._latest = next(
                (s for s in self._all_signatures() if s.block is not None and s.block.address == used), self._latest
            )
        return self._latest

    def _used(self, signature):
        self._block[B.USED] = 0
        self._latest = signature

    def general(self, args, kwargs):
        """A call of any kind."""
        if not outermost():
            return self._answer(args, kwargs)
        try:
            return self._answer(args, kwargs)
        except Exception as error:
            raise shortened(error)  # noqa: B904 - it is the same error

    def _answer(self, args, kwargs):
        if args and not isinstance(args[0], _NO_OWNERS) and not self.of_objects and belongs(self, args[0]):
            return self._on_objects()(*args, **kwargs)
        if tapes.current().recorder is not None:
            return self.function(*args, **kwargs)
        args, kwargs = self._with_floats(args, kwargs)
        leaves = []
        key = self._flatten(args, kwargs, leaves)
        if _depth.inside:
            return self._eagerly(key, leaves, args, kwargs, history=True)
        if self.policy == "never":
            return self._eagerly(key, leaves, args, kwargs)
        if any(x.__class__ is Tensor and x.requires_grad for x in leaves):
            return self._with_history(key, leaves, args, kwargs)
        kinds = tuple([kind(x) for x in leaves])
        family = None
        if (key, kinds) not in self._signatures:
            family = self._lengths.of((key, kinds), self._signatures)
            result = self._by_length(*family, leaves) if family else None
            if result is NOT_YET:
                return self._eagerly(key, leaves, args, kwargs)
            if result is not None:
                return assemble(*result, any(x.__class__ is Tensor for x in leaves))
            if self._try_integers(args, kwargs):
                return self._answer(args, kwargs)
        signature = self._signature((key, kinds))
        signature.family = family or signature.family
        self._used(signature)
        if signature.history:
            return self._with_history(key, leaves, args, kwargs)
        if signature.paths.eager is not None:
            return self._eagerly(key, leaves, args, kwargs)
        arrays = [memory(x) for x in leaves]
        if signature.captures is not None and not signature.captures.hold():
            self._rebound(signature, signature.captures)
            if signature.paths.eager is not None:
                return self._eagerly(key, leaves, args, kwargs)
        result = self._replay(signature, arrays)
        if result is None:
            result = self._record(signature, key, arrays)
        if result is None or result is NOT_YET:
            if signature.history:
                return self._with_history(key, leaves, args, kwargs)
            start = time.perf_counter()
            result = self._eagerly(key, leaves, args, kwargs)
            signature.seconds += time.perf_counter() - start
            return result
        tensors = any(x.__class__ is Tensor for x in leaves)
        return assemble(signature.structure if result[0] is None else result[0], result[1], tensors)

    def _with_floats(self, args, kwargs):
        """Integers in differentiated places, and those that are run-time values, count as floats."""
        if any(k < len(args) and args[k].__class__ is int for k in self.argnums if k >= 0):
            args = tuple(float(x) if k in self.argnums and x.__class__ is int else x for k, x in enumerate(args))
        return self._integers.as_floats(args, kwargs) if self._integers.runtime or self._integers.of_numpy else (args, kwargs)

    def _try_integers(self, args, kwargs):
        """Whether an int among the arguments turns out to be a run-time value: to be tried where a signature is new."""
        which = self._integers.to_try(args, kwargs, self.static)
        if which is None or not self._lock.acquire(blocking=False):
            return False
        try:
            static = self._tried(args, kwargs)
            place = which[0]
            values = dict(kwargs) if isinstance(place, str) else list(args)
            values[place] = float(values[place])
            moving = static and self._tried(*((args, values) if isinstance(place, str) else (values, kwargs)))
            same = bool(moving) and same_work(static, moving)
            self._integers.decide(which, same)
            return same
        finally:
            self._lock.release()

    def _tried(self, args, kwargs):
        """The program and the results of a recording that is not kept, None if there is none."""
        leaves = []
        key = self._flatten(args, kwargs, leaves)
        signature = Signature("a trial", (key, tuple([kind(x) for x in leaves])))
        signature.paths.quiet = True
        try:
            found = self._recorded(signature, key, [memory(x) for x in leaves])
        except Exception:
            return None
        program = signature.paths.last
        return None if found is None or program is None else (program, found[1])

    def _flatten(self, args, kwargs, leaves):
        parts = []
        for k, x in enumerate(args):
            if k == 0 and self.of_objects:
                parts.append(("static", Same, Same(x)))
            elif k in self.static:
                try:
                    hash(x)
                except TypeError:
                    message = f"static argument {k} of {self.__name__} must be hashable, got {type(x).__name__}"
                    raise TypeError(message) from None
                parts.append(("static", exact(x), x))
            else:
                parts.append(flatten(x, is_dynamic, leaves))
        named = tuple((name, flatten(kwargs[name], is_dynamic, leaves)) for name in sorted(kwargs))
        return tuple(parts), named

    def _rebuilt(self, key, leaves):
        leaves = iter(leaves)
        args = [unflatten(s, leaves) for s in key[0]]
        return args, {name: unflatten(s, leaves) for name, s in key[1]}

    def _signature(self, key):
        found = self._signatures.get(key)
        if found is None:
            with self._lock:
                if len(self._signatures) >= MOST_SIGNATURES:
                    self._drop(next(iter(self._signatures)))
                found = self._signatures[key] = Signature(getattr(self.fun, "__qualname__", repr(self.fun)), key)
                self._integers.hint(self, self._signatures)
        return found

    def default_dtype_changed(self):
        """What was recorded made tensors of another dtype."""
        for signature in self._all_signatures():
            signature.renew()

    def _drop(self, key):
        """Forget a signature."""
        signature = self._signatures.pop(key)
        signature.renew()
        self._link()
        if signature.block is not None:
            signature.block.unlink()

    def _link(self):
        """Chain the blocks of the signatures for the door."""
        place, at = self._block, B.FIRST
        for signature in self._all_signatures():
            if signature.block is not None:
                place[at] = signature.block.address
                place, at = signature.block.words, B.NEXT
        place[at] = 0

    # Histories

    def _with_history(self, key, leaves, args, kwargs):
        """Results that can be differentiated further, by a program where that pays and can be."""
        kinds = key, tuple([kind(x) for x in leaves])
        if self.policy == "now" or self._histories.pay(kinds):
            try:
                results = self._histories.call(args, kwargs)
                self._used(self._histories.last._last)
                return results
            except StaysEager:
                self._histories.never(kinds)
        start = time.perf_counter()
        results = self._eagerly(key, leaves, args, kwargs, history=True)
        self._histories.took(kinds, time.perf_counter() - start)
        return results

    def _alike(self, function, before=0):
        """A replayed function of the same arguments, after ``before`` others, that never runs eagerly."""
        argnums, static = tuple([k + before for k in self.argnums]), {k + before for k in self.static}
        made = _Programs(function, self.fun, self.transform, argnums, static, self.policy, self._build, self.constants)
        made.of_objects = self.of_objects
        return made

    def eagerly(self, args, kwargs):
        """The results, run on the thread's own tape, with their history."""
        leaves = []
        return self._eagerly(self._flatten(args, kwargs, leaves), leaves, args, kwargs, history=True)

    # Eager

    def _eagerly(self, key, leaves, args, kwargs, history=False):
        """Run on the thread's own tape; with a history, results are tensors that can be differentiated further."""
        self._counts["eager"] += 1
        inside, values = _depth.inside, not history
        for x in leaves:
            if x.__class__ is Tensor:
                history, values = True, values and self.values_only and not x.requires_grad
        args, kwargs = self._rebuilt(key, [as_tensor(x) for x in leaves])
        if not inside:
            _depth.values = values
        try:
            _depth.inside = inside + 1
            active.append(self)
            result = self.function(*args, **kwargs)
        finally:
            _depth.inside = inside
            active.remove(self)
        return result if history else map_tree(as_numpy, result)

    # Other forms of a call, and what there is to see

    def general_into(self, args):
        """``g.into(*args, out)``: the result, its arrays written into ``out`` (an array, or a sequence of arrays).

        Nothing is allocated once the path is compiled; ``out`` may be an argument too. Results without dimensions are numbers,
        for which ``out`` has no array.

        Raises:
            ValueError: if the arrays of ``out`` do not have the shapes of the result, or may not be written.
            TypeError: if they cannot hold its values: integers for floats, or no arrays at all.
        """
        if not args:
            raise TypeError(f"{self.__name__}.into() takes the arguments, then the arrays for the results; got nothing")
        *args, out = args
        return write_results(self.general(tuple(args), {}), out)

    def _compiled_paths(self):
        """The programs of the signature last used, compiled, the last path first.

        Raises:
            RuntimeError: if there are none.
        """
        signature = self._last
        if signature is not None and signature not in self._all_signatures():
            raise RuntimeError(
                f"{self!r} was called last where a result has a history, which nopython code cannot have: call it under "
                "no_grad(), or with tensors that require no gradient"
            )
        if signature is None or signature.paths.eager is not None or signature.latest() is None:
            why = signature.paths.eager if signature else None
            raise RuntimeError(f"{self!r} has no program yet: " + (why or "call it once with arguments like those to come"))
        known = signature.paths.programs or [p for p in signature.paths.counted if not p.frozen.long]  # those of all lengths
        if not known:
            raise RuntimeError(f"{self!r} has results as long as its arguments, which nopython code cannot have yet")
        first = signature.latest() if signature.latest() in known else known[-1]
        programs = [first, *(p for p in known if p is not first and (p.structure, p.specs) == (first.structure, first.specs))]
        for program in programs:
            program.compile()
        return programs, signature

    @property
    def nopython(self):
        """The recorded paths as one function for ``@njit`` code: arguments and results as in the last call.

        Types are exact: another dtype, or an integer for a float, is a typing error that says what was expected. It raises
        RuntimeError where no recorded path fits, and keeps the captured variables of the recording. If a program for all
        lengths answered the last call, arrays may be as long as any call from Python has been.
        """
        programs, signature = self._compiled_paths()
        return nopython_function(self.__name__, programs, signature.key, into=False)

    @property
    def nopython_into(self):
        """As ``nopython``; the arrays of the result are arguments after the others, and nothing is allocated.

        They may be arrays that are read, too, or share memory with them: then there are temporary ones.
        """
        programs, signature = self._compiled_paths()
        return nopython_function(self.__name__, programs, signature.key, into=True)

    def __reduce__(self):
        found = sys.modules.get(self.__module__)
        for part in getattr(self, "__qualname__", "").split("."):
            found = getattr(found, part, None)
        if found is self:  # a decorated function: its name is enough
            return self.__qualname__
        return _rebuild, self._parts()

    def _parts(self):
        options = {"compile": self.policy, **self.options}
        if self.static:
            options["static_argnums"] = tuple(self.static)
        if self.constants:
            options["static"] = self.constants
        return getattr(sys.modules["tapejit"], self.transform), self._build, options


class _Programs(Replayed):
    """One of whose calls nobody but its programs may answer."""

    def _eagerly(self, *call, **options):
        raise StaysEager


def _rebuild(maker, build, options):
    return maker(*build, **options)
