"""Drivers: the short functions that transforms write around a user's function.

A driver has the signature of the user's function and is plain Numba code over the vocabulary of ``inputs``, ``sweep``,
``lanes`` and ``results``: it is compiled with the user's function inlined, cached with it, and may be differentiated.
"""

import dis
import hashlib
import inspect
import re

from numba.core import types

from tapejit.eager.foreign import named_array
from tapejit.edge.compiler import Dispatcher
from tapejit.nopython import inputs, lanes, like, results, reverse, sharing, statements, statementtape
from tapejit.nopython.cache import generated_function
from tapejit.nopython.explain import DifferentiationError
from tapejit.nopython.twins import twin
from tapejit.nopython.types import Active

# The driver's own names end or begin with two underscores, so that any name is free for a user's parameter.
_VOCABULARY = {
    f"tj__{name}": getattr(module, name)
    for module in (statements, like, inputs, reverse, lanes, results, sharing, statementtape)
    for name in dir(module)
    if not name.startswith("__") and name not in ("sweep", "ir", "types")
}
WIDTH = 8  # lanes where the number of inputs is not known
REWIND = "rewind(tape__, terms__, first__)"
FULL = (
    f"    {REWIND}",
    "    raise MemoryError('the tape passes the memory limit: raise it with "
    "tapejit.nopython.set_memory_limit, or use tapejit.nopython.checkpoint')",
)
OVERLAP = (
    f"    {REWIND}",
    "    raise ValueError('arguments share memory and the function writes into them: pass copies, as a derivative in one of "
    "them alone has no meaning then')",
)
_CALLED = re.compile(r"\b(" + "|".join(name[4:] for name in _VOCABULARY) + r")\b(?=[(.])")


def signature_of(f):
    function = f.py_func if isinstance(f, Dispatcher) else f
    if not inspect.isfunction(function):
        hint = ""
        if inspect.ismethod(function):
            name = function.__name__
            hint = f": Numba does not see the object of the method {name!r}; write a function of its numbers and arrays"
        elif callable(function):
            hint = ": put the call into a function of its own"
        raise TypeError(f"expected a function or an @njit function; got {type(f).__name__}{hint}")
    parameters = list(inspect.signature(function).parameters.values())
    for parameter in parameters:
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise TypeError(
                f"{function.__name__} takes {parameter}; a function to differentiate in nopython mode takes "
                "ordinary arguments only: name each of them"
            )
    return function, parameters


def argument_numbers(argnums, names, function):
    """The numbers of the arguments given by number or by name."""
    given = (argnums,) if isinstance(argnums, (int, str)) else tuple(argnums)
    numbers = [names.index(k) if isinstance(k, str) and k in names else k for k in given]
    count = len(names)
    fits = all(isinstance(k, int) and not isinstance(k, bool) and -count <= k < count for k in numbers)
    if not numbers or not fits or len({k % count for k in numbers}) != len(numbers):
        raise ValueError(
            f"argnums={argnums!r} does not fit {function}({', '.join(names)}): give the numbers, from 0 to {count - 1}, or "
            "the names of different arguments"
        )
    return tuple(k % count for k in numbers)


class Driver:
    """The pieces from which the drivers of one function are written."""

    def __init__(self, f, argnums, transform, mode=""):
        self.f = f
        self.mode = mode
        self.function, self.parameters = signature_of(f)
        self.names = [p.name for p in self.parameters]
        self.single = isinstance(argnums, (int, str))
        self.argnums = argument_numbers(argnums, self.names, self.function.__name__)
        self.written = {}  # a body -> (its lines, its further parameters)
        self.transform = transform

    @property
    def name(self):
        """A name for the driver; a lambda's own is no identifier."""
        own = self.function.__name__
        return f"{own if own.isidentifier() else 'function'}_{self.transform}"

    @property
    def differentiated(self):
        return [self.names[k] for k in self.argnums]

    def header(self, name, extra=()):
        """``def name(...)``: the function's parameters, and its defaults where nothing follows them."""
        parts = []
        for parameter in self.parameters:
            default = parameter.default is not parameter.empty and not extra
            parts.append(f"{parameter.name}=default_{parameter.name}" if default else parameter.name)
        return f"def {name}({', '.join([*parts, *extra])}):"

    def call(self, active):
        """The argument tuple of the call, with active names in place of the differentiated ones."""
        return "".join(f"{active.get(name, name)}, " for name in self.names)

    def extra(self, name):
        """A name for a parameter of the driver that the function itself does not use."""
        while name in self.names:
            name += "_"
        return name

    def pack(self, items):
        return items[0] if self.single else "(" + "".join(f"{item}, " for item in items) + ")"

    def check(self, args, given=()):
        """Refuse differentiated arguments that are not made of floats."""
        for k in self.argnums:
            ty = args[k] if k < len(args) else None
            if not _is_differentiable(ty) and not inputs.needs_floats(ty):
                what, instead = _in_words(ty, given[k] if k < len(given) else None)
                raise DifferentiationError(
                    f"[tapejit] cannot differentiate {self.function.__name__} in {self.names[k]}: it is {what}, and only "
                    "floats, float arrays of one to three dimensions, lists of numbers and tuples are differentiated\n"
                    f"  instead: {instead}, or leave the argument out of argnums\n[/tapejit]"
                )

    def only(self, body):
        """The choice among one body."""
        return self.choice(lambda args, given: body)

    def choice(self, choose):
        """A choice among bodies by the argument types: checked, and with integers and lists made into floats.

        ``choose`` gets the types, and the arguments where they are known (see ``dispatcher``).
        """

        def body(args, given):
            self.check(args, given)
            found = choose(args, given)
            if any(inputs.needs_floats(args[k]) for k in self.argnums):
                name, lines, extra = self.written[found]
                found = self.define(
                    name, [*(f"{n} = given({n})" for n in self.differentiated), *lines], extra
                )
            return found

        return body

    def define(self, name, lines, extra=()):
        given_lines = lines
        lines = [_CALLED.sub(r"tj__\1", line) for line in lines]
        source = (
            "\n    ".join([self.header(name, extra), *lines]) + f"\n# {self.mode}\n"
        )  # the mode is part of the key
        digest = hashlib.blake2b(source.encode(), digest_size=8).hexdigest()
        namespace = dict(_VOCABULARY, f__=twin(self.f))
        for parameter in self.parameters:
            if parameter.default is not parameter.empty:
                namespace[f"default_{parameter.name}"] = parameter.default
        function = generated_function(name, source, namespace, digest)
        function.__doc__ = f"{self.transform} of {self.function.__name__}."
        self.written[function] = name, given_lines, extra
        return function

    @property
    def args(self):
        return "".join(f"{name}, " for name in self.names)

    def places(self, out):
        """Where a caller wants each argument's derivative: ``out`` itself, or its items."""
        return [out] if self.single else [f"{out}[{k}]" for k in range(len(self.argnums))]

    def total(self):
        return " + ".join(f"count_numbers({name})" for name in self.differentiated)

    def call_lifted(self, like, slot, seeds):
        """Lines that set the inputs up, with one seed for each (see ``inputs``), and call the function: ``result__``."""
        lines = [
            f"like__ = {like}",
            f"tape__ = acquire({slot})",
            "terms__ = get_counter(tape__, 0)",
            "first__ = get_counter(tape__, 1)",
            # Whatever can fail fails before the first input is on the tape, or inside guarded_call.
            f"check_room(tape__, {self.total()})",
        ]
        active = {name: f"active__{name}" for name in self.differentiated}
        lines += [
            f"{new} = lift(tape__, like__, {name}, {seed})"
            for (name, new), seed in zip(active.items(), seeds, strict=True)
        ]
        lines += [
            "low__ = get_counter(tape__, 1)",
            f"result__ = guarded_call(f__, tape__, terms__, first__, ({self.call(active)}))",
            f"if disturbed(({self.args}), ({self.call(active)}), low__):",
            *OVERLAP,
        ]
        return lines

    def record(self, like=None, seeds=None):
        """The same for a recording."""
        like = like or f"tape_like(({self.args}))"
        return self.call_lifted(like, "slot_of(like__)", seeds or ["None"] * len(self.argnums))

    def lanes(self, width, body, once=False):
        """Lines that call the function with dual numbers, ``width`` inputs at a time, and do ``body`` after each.

        ``start__k - lane__`` is the lane of the first number of differentiated argument k. ``once``: all fit at once.
        """
        lines, seeds = ["total__ = 0"], []
        for k, name in enumerate(self.differentiated):
            lines += [f"start__{k} = total__", f"total__ += count_numbers({name})"]
            seeds.append(f"start__{k} - lane__")
        call = self.call_lifted(f"dual_like(({self.args}), {width})", str(statementtape.SCRATCH), seeds)
        if once:
            return [*lines, "lane__ = 0", *call, *body, REWIND]
        return [
            *lines,
            f"for lane__ in range(0, max(total__, 1), {width}):",
            *("    " + line for line in [*call, *body, REWIND]),
        ]

    CHECK = ("if is_full(tape__):", *FULL)
    SWEEP = ("if not seed_and_sweep(tape__, low__, y__, like__):", *FULL)

    def collected(self):
        lines, start = [], "first__"
        for k, name in enumerate(self.differentiated):
            lines.append(f"gradient__{k}, after__{k} = collect(tape__, {start}, {name}, zero__)")
            start = f"after__{k}"
        return lines, [f"gradient__{k}" for k in range(len(self.argnums))]

    def collected_into(self, outputs, lane="None"):
        """The same, written into arrays; with a lane, its tangents instead of the adjoints."""
        lines, start = [], "first__"
        for k, (name, place) in enumerate(zip(self.differentiated, outputs, strict=True)):
            lines.append(f"after__{k} = collect_into(tape__, {start}, {name}, zero__, {place}, {lane})")
            start = f"after__{k}"
        return lines


def count_of(args, argnums):
    """How many numbers are differentiated, if all of them are plain numbers; None with an array among them."""
    count = 0
    for k in argnums:
        if k >= len(args):
            return None
        items = list(args[k]) if isinstance(args[k], types.BaseTuple) else [args[k]]
        if not all(isinstance(item, (types.Float, types.Integer, Active)) for item in items):
            return None
        count += len(items)
    return count


def check_mode(mode):
    if mode not in ("auto", "tape", "dual"):
        raise ValueError(f'mode is "auto", "tape" or "dual"; got {mode!r}')


def width_for(count, most):
    """Lanes for so many numbers; for arrays, whose size is not known, as many as a vector register holds."""
    return next((w for w in (1, 2, 4, 8, 16) if count is not None and count <= min(w, most)), WIDTH)


def _is_differentiable(ty):
    if isinstance(ty, types.BaseTuple):
        return all(map(_is_differentiable, ty))
    if isinstance(ty, types.Array):
        return isinstance(ty.dtype, (types.Float, Active)) and 1 <= ty.ndim <= 3
    return isinstance(ty, (types.Float, Active))


def _in_words(ty, x):
    """What an argument is that cannot be differentiated, and what to pass in its place."""
    found = named_array(x)
    if found is not None:
        return found[0], f"pass {found[1]}"
    if hasattr(x, "to_numpy"):
        return f"a {type(x).__name__}", "pass x.to_numpy()"
    if isinstance(x, dict):
        return "a dict", "pass its values as arguments of their own, or as a namedtuple"
    if isinstance(ty, types.PyObject):
        return f"of type {type(x).__name__}", "pass a float, a float array, or a namedtuple of them"
    if "complex" in str(ty):
        return f"{ty}", "pass its real and its imaginary part as two arguments"
    return f"{ty}", "pass a float (3.0, x.astype(float))"


def only_numbers(types_) -> bool:
    """Whether there are numbers, and tuples of them, alone."""
    kinds = (types.Number, types.Boolean, types.Omitted, Active)
    return all(only_numbers(ty) if isinstance(ty, types.BaseTuple) else isinstance(ty, kinds) for ty in types_)


def has_loop(f, seen=None):
    """Whether a function, or a jitted function that it calls by name, jumps backwards."""
    seen = set() if seen is None else seen
    function = f.py_func if isinstance(f, Dispatcher) else f
    if function in seen:
        return False
    seen.add(function)
    if any("JUMP_BACKWARD" in i.opname or i.opname == "FOR_ITER" for i in dis.get_instructions(function)):
        return True
    callees = (function.__globals__.get(name) for name in function.__code__.co_names)
    return any(has_loop(callee, seen) for callee in callees if isinstance(callee, Dispatcher))
