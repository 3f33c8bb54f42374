"""A replayed function: what a call finds out about its arguments, and the programs behind it."""

import functools
import threading
import time

import numpy as np

from tapejit import tape as tapes
from tapejit.dispatch import from_array
from tapejit.replay.captures import Captures
from tapejit.replay.fast import MISS, assembler, miss, quick_function
from tapejit.replay.paths import Paths
from tapejit.replay.program import Frozen, Program
from tapejit.replay.recorder import NeedsHistory, Recorder, Refused, active
from tapejit.replay.trees import flatten, is_dynamic, is_result, map_tree, unflatten
from tapejit.replay.values import as_numpy, as_tensor, assemble, kind, memory, statics
from tapejit.tensor import Tensor

MOST_SIGNATURES = 256
SMALL = 4000  # records up to which "auto" compiles as soon as a path is taken a second time
SECONDS_PER_RECORD = 5e-4  # what a larger one takes to compile, at most: it must have cost as much eagerly


class Signature:
    """Shapes, dtypes and static values of a call, and all that was recorded for them."""

    def __init__(self, name, key):
        self.key = key
        self.paths = Paths(name)
        self.captures = None
        self.structure = None  # of the result
        self.eager_seconds = 0.0
        self.history = False  # whether the function reads tensors that require gradients


class _Depth(threading.local):
    """How many transforms run eagerly in this thread, one inside the other."""

    inside = 0


_depth = _Depth()


class Replayed:
    """A function that is recorded and replayed; made by the transforms.

    Attributes:
        function: what runs on tensors; ``fun`` is the user's function.
    """

    def __init__(self, function, fun, name, argnums, static_argnums, policy, build):
        if not callable(fun):
            raise TypeError(f"{name}() takes a function, got {type(fun).__name__}")
        if policy not in ("now", "auto", "never"):
            raise ValueError(f"compile must be 'now', 'auto' or 'never', got {policy!r}")
        functools.update_wrapper(self, fun)
        self.function, self.fun, self.transform = function, fun, name
        self.argnums = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        self.static = {static_argnums} if isinstance(static_argnums, int) else set(static_argnums)
        self.policy = policy
        self._build = build
        self._signatures = {}
        self._fast, self._quick_into, self._last = miss, miss, None
        self.calls = {"eager": 0, "recorded": 0, "replayed": 0}

    def __repr__(self):
        return f"<{self.transform} of {getattr(self.fun, '__qualname__', self.fun)}>"

    def __get__(self, instance, owner=None):
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args, **kwargs):
        if not kwargs:
            try:
                result = self._fast(*args)
            except TypeError:  # another number of arguments
                result = MISS
            if result is not MISS:
                return result
        return self._call(args, kwargs)

    def _call(self, args, kwargs):
        if tapes.current().recorder is not None:
            return self.function(*args, **kwargs)
        args = self._with_floats(args)
        leaves = []
        key = self._flatten(args, kwargs, leaves)
        if _depth.inside:
            return self._eagerly(key, leaves, args, kwargs, history=True)
        if self.policy == "never" or any(x.__class__ is Tensor and x.requires_grad for x in leaves):
            return self._eagerly(key, leaves, args, kwargs)
        kinds = tuple([kind(x) for x in leaves])
        signature = self._last = self._signature((key, kinds))
        if signature.paths.eager is not None or signature.history:
            return self._eagerly(key, leaves, args, kwargs, signature.history)
        arrays = [memory(x) for x in leaves]
        if signature.captures is not None and not signature.captures.hold():
            self._rebound(signature)
            if signature.paths.eager is not None:
                return self._eagerly(key, leaves, args, kwargs)
        result = self._replay(signature, arrays)
        if result is None:
            result = self._record(signature, key, arrays)
            if result is None:
                return self._eagerly(key, leaves, args, kwargs, signature.history)
        tensors = any(x.__class__ is Tensor for x in leaves)
        return assemble(signature.structure if result[0] is None else result[0], result[1], tensors)

    def _with_floats(self, args):
        """Integers in differentiated places count as floats."""
        if any(k < len(args) and args[k].__class__ is int for k in self.argnums if k >= 0):
            args = tuple(float(x) if k in self.argnums and x.__class__ is int else x for k, x in enumerate(args))
        return args

    def _flatten(self, args, kwargs, leaves):
        parts = []
        for k, x in enumerate(args):
            if k in self.static:
                try:
                    hash(x)
                except TypeError:
                    message = f"static argument {k} of {self.__name__} must be hashable, got {type(x).__name__}"
                    raise TypeError(message) from None
                parts.append(("static", type(x), x))
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
            if len(self._signatures) >= MOST_SIGNATURES:
                self._signatures.pop(next(iter(self._signatures)))
            found = self._signatures[key] = Signature(getattr(self.fun, "__qualname__", repr(self.fun)), key)
        return found

    def _rebound(self, signature):
        """Something that the function reads was rebound: its recordings are void."""
        old = signature.paths
        signature.paths = Paths(old.name)
        signature.captures = None
        self._quick_into = miss
        signature.rebound = getattr(signature, "rebound", 0) + 1
        self._fast = miss
        if signature.rebound > 64:
            signature.paths.stay_eager("a variable that it reads is rebound at nearly every call")

    # Eager

    def _eagerly(self, key, leaves, args, kwargs, history=False):
        """Run on the thread's own tape; with a history, results are tensors that can be differentiated further."""
        self.calls["eager"] += 1
        history = history or any(x.__class__ is Tensor for x in leaves)
        args, kwargs = self._rebuilt(key, [as_tensor(x) for x in leaves])
        _depth.inside += 1
        active.append(self)
        try:
            result = self.function(*args, **kwargs)
        finally:
            _depth.inside -= 1
            active.remove(self)
        return result if history else map_tree(as_numpy, result)

    # Recorded

    def _record(self, signature, key, arrays):
        """Run the function on a tape of its own; its results, None if it cannot be replayed."""
        self.calls["recorded"] += 1
        start = time.perf_counter()
        frozen = None
        try:
            with Recorder() as recorder:
                inputs = []
                for j, x in enumerate(arrays):
                    t = as_tensor(x)
                    recorder.inputs[recorder.index(t)] = j
                    inputs.append(t)
                args, kwargs = self._rebuilt(key, inputs)
                result = self.function(*args, **kwargs)
                outputs = []
                structure = flatten(result, is_result, outputs)
                outputs = [x if x.__class__ is Tensor else from_array(x, copy=False) for x in outputs]
                records = [recorder.index(t) for t in outputs]
                values = [np.array(t._memory()) for t in outputs]
            captures = Captures(self.fun, statics(key))
            known = list(recorder.sources.values())
            for array in captures.arrays:
                if not any(s is array or s.base is array for s in known):
                    recorder.read_by_numpy(array)
            frozen = Frozen(recorder, [None if x.__class__ is float else (x.shape, x.dtype.str[1:]) for x in arrays], records)
        except NeedsHistory:
            signature.history = True
            return None
        except Refused as why:
            signature.paths.stay_eager(str(why))
            return None
        finally:
            inputs = args = kwargs = result = outputs = t = None
            recorder.brought.clear()
            recorder.notes.clear()
            recorder.tape.end()
        signature.eager_seconds += time.perf_counter() - start
        signature.structure = structure
        if signature.captures is None:
            signature.captures = captures if captures.places else None
        program = Program(frozen)
        program.structure = structure
        signature.paths.add(program)
        if self.policy == "now" and signature.paths.eager is None:
            program.compile()
        results = [v.item() if v.ndim == 0 and v.dtype == np.float64 else v for v in values]
        return structure, results

    def _replay(self, signature, arrays):
        """The results by a program whose guards hold, None if there is none."""
        paths = signature.paths
        program = paths.last
        hops = 0
        while program is not None and hops < 2 * len(paths.programs):
            if program.machine is None:
                frozen = program.frozen
                if frozen.records > SMALL and signature.eager_seconds < SECONDS_PER_RECORD * frozen.records:
                    return None
                program.compile()
            status, results = program.run(arrays)
            if status == 0:
                self.calls["replayed"] += 1
                paths.last = program
                self._make_quick(signature, program)
                return program.structure, results
            hops += 1
            program = paths.after(program, status)
        return None

    def _make_quick(self, signature, program):
        if program.quick is None:
            program.quick = quick_function(self, signature, program) or MISS
            program.assemble = assembler(program)
        self._fast = miss if program.quick is MISS else program.quick

    def _switch(self, signature, program, status, leaves):
        """Another path of the same signature, after guard ``status - 1`` of a program did not hold."""
        start, arrays = program, ()
        while status > 0:
            program = program.turns.get(status) or signature.paths.after(program, status)
            if program is None or program is start or program.machine is None:
                return MISS
            if program.specs:
                arrays = [np.empty(shape, dtype) for shape, dtype in program.specs]
            answer = program.enter(program.code, *leaves, *arrays)
            status = answer[0]
        if status < 0:
            return MISS
        signature.paths.last = program
        if program.quick is None:
            self._make_quick(signature, program)
        elif program.quick is not MISS:
            self._fast = program.quick
        return program.assemble(*arrays, *answer[1:])

    # Other forms of a call, and what there is to see

    def into(self, *args):
        """``g.into(*args, out)``: the result, its arrays written into ``out`` (an array, or a sequence of arrays).

        Nothing is allocated once the path is compiled; ``out`` may be an argument too.

        Raises:
            ValueError: if the arrays of ``out`` do not fit the result.
        """
        *args, out = args
        try:
            result = self._quick_into(out, *args)
        except TypeError:
            result = MISS
        if result is not MISS:
            return result
        result = self._call(tuple(args), {})
        leaves = []
        flatten(result, is_result, leaves)
        out = list(out) if isinstance(out, (tuple, list)) else [out]
        if len(out) != len(leaves):
            raise ValueError(f"the result has {len(leaves)} arrays, out= has {len(out)}")
        for target, x in zip(out, leaves, strict=True):
            if target.shape != x.shape:
                raise ValueError(f"out= needs an array of shape {x.shape}, got {target.shape}")
            target[...] = x
        self._make_into()
        return unflatten(flatten(result, is_result, []), iter(out))

    def _make_into(self):
        from tapejit.replay.fast import quick_into

        signature = self._last
        program = signature.paths.last if signature else None
        ready = program is not None and program.machine is not None and program.quick is not MISS
        self._quick_into = (quick_into(self, signature, program) if ready else None) or miss

    def _compiled_paths(self):
        """The programs of the signature last used, compiled, the last path first.

        Raises:
            RuntimeError: if there are none.
        """
        signature = self._last
        if signature is None or signature.paths.eager is not None or signature.paths.last is None:
            why = signature.paths.eager if signature else None
            raise RuntimeError(f"{self!r} has no program yet: " + (why or "call it once with arguments like those to come"))
        first = signature.paths.last
        programs = [first, *(p for p in signature.paths.programs if p is not first and p.structure == first.structure)]
        for program in programs:
            program.compile()
        return programs, signature

    @property
    def nopython(self):
        """The recorded paths as one function for ``@njit`` code: arguments and results as in the last call.

        It raises RuntimeError where no recorded path fits, and keeps the captured variables of the recording.
        """
        from tapejit.replay.compiled import nopython_function

        programs, signature = self._compiled_paths()
        return nopython_function(programs, signature.key[0][0], into=False)

    @property
    def nopython_into(self):
        """As ``nopython``; the arrays of the result are arguments after the others, and nothing is allocated."""
        from tapejit.replay.compiled import nopython_function

        programs, signature = self._compiled_paths()
        return nopython_function(programs, signature.key[0][0], into=True)

    def stats(self) -> dict:
        """Calls by kind, and per signature its paths with records, guards, compile seconds and the reason if eager."""
        signatures = []
        for signature in self._signatures.values():
            paths = [
                {
                    "records": p.frozen.records,
                    "guards": len(p.frozen.guards),
                    "compiled": p.machine is not None,
                    "seconds": round(p.seconds, 4),
                }
                for p in signature.paths.programs
            ]
            signatures.append({"arguments": signature.key[1], "paths": paths, "eager": signature.paths.eager})
        return {"policy": self.policy, "calls": dict(self.calls), "signatures": signatures}

    @property
    def tape(self):
        """The tape of the path last used; ``print`` it."""
        return _Text("\n".join(self._shown().frozen.listing))

    def _shown(self):
        if self._last is None or self._last.paths.last is None:
            raise RuntimeError(f"{self!r} has recorded nothing yet; call it once")
        return self._last.paths.last

    def lower(self) -> str:
        """The optimised program of the path last used, as text: what is fused with what."""
        from tapejit.replay.show import lowered_text

        program = self._shown()
        program.compile()
        return lowered_text(program)

    def dot(self) -> str:
        """The graph of the path last used in Graphviz's DOT language."""
        from tapejit.replay.show import dot_text

        return dot_text(self._shown())

    def __reduce__(self):
        import tapejit

        maker = getattr(tapejit, self.transform)
        options = {"compile": self.policy}
        if self.static:
            options["static_argnums"] = tuple(self.static)
        return _rebuild, (maker, self._build, options)


class _Text(str):
    """Text that shows itself as it is."""

    __slots__ = ()

    def __repr__(self):
        return str(self)


def _rebuild(maker, build, options):
    return maker(*build, **options)
