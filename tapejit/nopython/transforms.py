"""value_and_grad, grad, jvp, jacobian, hvp and hessian: each writes a short driver and hands it to a dispatcher.

A driver has the signature of the user's function and is plain Numba code over the vocabulary of ``sweep``: it is
compiled with the user's function inlined, cached with it, and may itself be differentiated.
"""

import dis
import functools
import hashlib
import inspect
import re

from numba.core import types
from numba.core.dispatcher import Dispatcher

from tapejit.nopython import inputs, lanes, like, results, statements, sweep, tape
from tapejit.nopython.dispatch import Transform, fingerprint, generated_function
from tapejit.nopython.errors import DifferentiationError
from tapejit.nopython.twins import twin
from tapejit.nopython.types import Active

# The driver's own names end or begin with two underscores, so that any name is free for a user's parameter.
_VOCABULARY = {
    f"tj__{name}": getattr(module, name)
    for module in (statements, like, inputs, sweep, lanes, results, tape)
    for name in dir(module)
    if not name.startswith("__") and name not in ("sweep", "ir", "types")
}
_CALLED = re.compile(r"\b(" + "|".join(name[4:] for name in _VOCABULARY) + r")\b(?=[(.])")
HESSIAN_LANES = 4  # columns of a Hessian per recording
DUAL_INPUTS = 8  # the most lanes; mode "auto" takes dual numbers for up to so many differentiated numbers


def _signature(f):
    function = f.py_func if isinstance(f, Dispatcher) else f
    if not callable(function):
        raise TypeError(f"expected a function or an @njit function; got {type(f).__name__}")
    parameters = list(inspect.signature(function).parameters.values())
    for parameter in parameters:
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise TypeError(
                f"{function.__name__} takes {parameter}; a function to differentiate in nopython mode takes "
                "ordinary arguments only: name each of them"
            )
    return function, parameters


def _argnums(argnums, count, name):
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    if not numbers or len(set(numbers)) != len(numbers) or not all(-count <= k < count for k in numbers):
        raise ValueError(f"argnums={argnums!r} does not fit {name}, which takes {count} arguments")
    return tuple(k % count for k in numbers)


class Driver:
    """The pieces from which the drivers of one function are written."""

    def __init__(self, f, argnums, transform, mode=""):
        self.f = f
        self.mode = mode
        self.function, self.parameters = _signature(f)
        self.names = [p.name for p in self.parameters]
        self.single = isinstance(argnums, int)
        self.argnums = _argnums(argnums, len(self.names), self.function.__name__)
        self.transform = transform
        self.cache = isinstance(f, Dispatcher) and type(f._cache).__name__ != "NullCache"

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

    def check(self, args):
        """Refuse differentiated arguments that are not made of floats."""
        for k in self.argnums:
            ty = args[k] if k < len(args) else None
            if not _is_differentiable(ty):
                raise DifferentiationError(
                    f"[tapejit] cannot differentiate {self.function.__name__} in {self.names[k]}: it is {ty}, and only "
                    "floats, float arrays of one to three dimensions and tuples of them are differentiated\n"
                    "  instead: pass a float (3.0, x.astype(float)), or leave the argument out of argnums\n[/tapejit]"
                )

    def only(self, body):
        """The choice among one body."""

        def choose(args):
            self.check(args)
            return body

        return choose

    def define(self, name, lines, extra=()):
        lines = [_CALLED.sub(r"tj__\1", line) for line in lines]
        source = (
            "\n    ".join([self.header(name, extra), *lines]) + f"\n# {self.mode}\n"
        )  # the mode is part of the key
        digest = hashlib.blake2b(source.encode(), digest_size=8).hexdigest() + (
            fingerprint(self.f) if self.cache else ""
        )
        namespace = dict(_VOCABULARY, f__=twin(self.f))
        for parameter in self.parameters:
            if parameter.default is not parameter.empty:
                namespace[f"default_{parameter.name}"] = parameter.default
        function = generated_function(name, source, namespace, digest)
        function.__doc__ = f"{self.transform} of {self.function.__name__}."
        return function

    def record(self, like="tape_like(({args}))"):
        """Lines that put the inputs on the tape and call the function; ``y__`` is the result."""
        args = "".join(f"{name}, " for name in self.names)
        lines = [
            f"like__ = {like.format(args=args)}",
            "tape__ = acquire(slot_of(like__))",
            "terms__ = get_counter(tape__, 0)",
            "first__ = get_counter(tape__, 1)",
            # Whatever can fail fails before the first input is on the tape, or inside guarded_call.
            "check_room(tape__, "
            + " + ".join(f"count_numbers({name})" for name in self.differentiated)
            + ")",
        ]
        active = {name: f"active__{name}" for name in self.differentiated}
        lines += [f"{new} = lift(tape__, like__, {name})" for name, new in active.items()]
        lines += [
            "low__ = get_counter(tape__, 1)",
            f"result__ = guarded_call(f__, tape__, terms__, first__, ({self.call(active)}))",
        ]
        return lines

    CHECK = (
        "if is_full(tape__):",
        "    rewind(tape__, terms__, first__)",
        "    raise MemoryError('the tape passes the memory limit: raise it with "
        "tapejit.nopython.set_memory_limit, or use tapejit.nopython.checkpoint')",
    )

    def collected(self):
        lines, start = [], "first__"
        for k, name in enumerate(self.differentiated):
            lines.append(f"gradient__{k}, after__{k} = collect(tape__, {start}, {name}, zero__)")
            start = f"after__{k}"
        return lines, [f"gradient__{k}" for k in range(len(self.argnums))]


def _count(args, argnums):
    """How many numbers are differentiated, if all of them are plain numbers; None with an array among them."""
    count = 0
    for k in argnums:
        if k >= len(args):
            return None
        items = list(args[k]) if isinstance(args[k], types.BaseTuple) else [args[k]]
        if not all(isinstance(item, (types.Float, Active)) for item in items):
            return None
        count += len(items)
    return count


def _is_differentiable(ty):
    if isinstance(ty, types.BaseTuple):
        return all(map(_is_differentiable, ty))
    if isinstance(ty, types.Array):
        return isinstance(ty.dtype, (types.Float, Active)) and 1 <= ty.ndim <= 3
    return isinstance(ty, (types.Float, Active))


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


def _check_mode(mode):
    if mode not in ("auto", "tape", "dual"):
        raise ValueError(f'mode is "auto", "tape" or "dual"; got {mode!r}')


def _gradient(f, argnums, mode, with_value):
    _check_mode(mode)
    driver = Driver(f, argnums, "value_and_grad" if with_value else "grad", mode)
    base = driver.name

    def finish(items):
        return f"return inner(y__), {driver.pack(items)}" if with_value else f"return {driver.pack(items)}"

    collect, gradients = driver.collected()
    sweep_lines = [
        "y__ = as_active(like__, result__)",
        *driver.CHECK,
        "zero__ = zero_coefficient(like__)",
        "seed_and_sweep(tape__, low__, y__, like__)",
    ]
    lines = [*driver.record(), *sweep_lines, *collect, "rewind(tape__, terms__, first__)", finish(gradients)]
    by_tape = driver.define(base, lines)

    out = driver.extra("out")
    outputs = [out] if driver.single else [f"{out}[{k}]" for k in range(len(driver.argnums))]
    into = []
    start = "first__"
    for k, (name, place) in enumerate(zip(driver.differentiated, outputs, strict=True)):
        into.append(f"after__{k} = collect_into(tape__, {start}, {name}, zero__, {place})")
        start = f"after__{k}"
    checks = [f"check_place({n}, {place})" for n, place in zip(driver.differentiated, outputs, strict=True)]
    lines = [
        *checks,
        *driver.record(),
        *sweep_lines,
        *into,
        "rewind(tape__, terms__, first__)",
        "return inner(y__)",
    ]
    into_by_tape = driver.define(base + "_into", lines, [out])

    loops = mode == "auto" and has_loop(f)
    dual = functools.cache(lambda width: _dual_gradient(driver, base, finish, outputs, out, width))

    def choose(which, by_tape):
        def body(args):
            driver.check(args)
            count = _count(args, driver.argnums)
            few = count is not None and count <= DUAL_INPUTS
            if mode == "dual" or (mode == "auto" and few and loops):
                width = next((w for w in (1, 2, 4) if count is not None and count <= w), DUAL_INPUTS)
                return dual(width)[which]
            return by_tape

        return body

    form = Transform(into_by_tape, choose(1, into_by_tape), cache=driver.cache)
    return Transform(by_tape, choose(0, by_tape), {"into": form}, cache=driver.cache)


def _dual_gradient(driver, base, finish, outputs, out, width):
    """The forward form: as many calls of the function as there are groups of lanes among the inputs."""
    args = "".join(f"{name}, " for name in driver.names)
    head = [f"like__ = dual_like(({args}), {width})", "zero__ = zero_coefficient(like__)", "total__ = 0"]
    starts, seeds = [], []
    for k, name in enumerate(driver.differentiated):
        head += [f"start__{k} = total__", f"total__ += count_numbers({name})"]
        seeds.append(f"    active__{name} = seed_lanes(like__, {name}, start__{k} - lane__)")
        starts.append(f"start__{k} - lane__")
    active = {name: f"active__{name}" for name in driver.differentiated}
    call = [
        "value__ = inner(like__)",
        f"for lane__ in range(0, max(total__, 1), {width}):",
        *seeds,
        f"    y__ = as_active(like__, f__({driver.call(active)}))",
        "    value__ = inner(y__)",
    ]
    fresh = [f"out__{k} = empty_gradient(zero__, {name})" for k, name in enumerate(driver.differentiated)]
    written = [
        f"    write_lanes(y__, {name}, {start}, out__{k})"
        for k, (name, start) in enumerate(zip(driver.differentiated, starts, strict=True))
    ]
    results = [f"gradient_of(out__{k}, {name})" for k, name in enumerate(driver.differentiated)]
    tail = finish(results).replace("inner(y__)", "value__")
    by_dual = driver.define(base, [*head, *fresh, *call, *written, tail])
    checks = [f"check_place({n}, {place})" for n, place in zip(driver.differentiated, outputs, strict=True)]
    into = [
        f"    write_lanes(y__, {name}, {start}, {place})"
        for name, start, place in zip(driver.differentiated, starts, outputs, strict=True)
    ]
    return by_dual, driver.define(base + "_into", [*checks, *head, *call, *into, "return value__"], [out])


def value_and_grad(f, argnums=0, mode="auto"):
    """The value and the gradient of a scalar function, as a Numba dispatcher.

    Args:
        f: a function of numbers, arrays and tuples of them that Numba can compile, or an ``@njit`` function. It
            returns one number.
        argnums: which arguments to differentiate, an int or a tuple: floats, 1-D to 3-D float arrays, tuples of them.
        mode: "tape" (reverse), "dual" (forward, for few inputs) or "auto": dual for up to 8 plain numbers and a function
            with loops, where it is faster and needs no memory.

    Returns:
        ``g`` with ``g(*args) -> (value, gradient)``: the gradient has the shape and dtype of the argument, and is a
        tuple if ``argnums`` is one. ``g.into(*args, out) -> value`` writes it into ``out`` instead. Both can be called
        from Python and from ``@njit`` code, in ``prange`` too.

    Raises:
        DifferentiationError: on the first call, when ``f`` contains what cannot be differentiated.
        MemoryError: when the tape passes the memory limit.
    """
    return _gradient(f, argnums, mode, with_value=True)


def grad(f, argnums=0, mode="auto"):
    """The gradient alone: see ``value_and_grad``."""
    return _gradient(f, argnums, mode, with_value=False)


def jvp(f, argnums=0):
    """The value and the directional derivative, forward mode.

    Args:
        f: as in ``value_and_grad``, but it may return a number, an array, or a tuple of them.
        argnums: which arguments have a tangent.

    Returns:
        ``d`` with ``d(*args, v) -> (value, tangent)``; ``v`` has the shape of the argument, and is a tuple if
        ``argnums`` is one.
    """
    driver = Driver(f, argnums, "jvp")
    args = "".join(f"{name}, " for name in driver.names)
    v = driver.extra("v")
    tangents = [v] if driver.single else [f"{v}[{k}]" for k in range(len(driver.argnums))]
    lines = [f"like__ = dual_like(({args}{v},), 1)"]
    active = {}
    for name, direction in zip(driver.differentiated, tangents, strict=True):
        active[name] = f"active__{name}"
        lines.append(f"active__{name} = direct(like__, {name}, {direction})")
    lines.append(f"return tangents_of(dual_result(like__, f__({driver.call(active)})))")
    body = driver.define(driver.name, lines, [v])
    return Transform(body, driver.only(body), cache=driver.cache)


def jacobian(f, argnums=0):
    """The Jacobian of a function that returns an array: one recording, one sweep per element of the result.

    Returns:
        ``j`` with ``j(*args) -> (value, jacobian)``; the Jacobian has the shape ``value.shape + argument.shape``, and is
        a tuple of arrays if ``argnums`` is a tuple.
    """
    driver = Driver(f, argnums, "jacobian")
    fresh, written = [], []
    start = "first__"
    for k, name in enumerate(driver.differentiated):
        fresh.append(f"jacobian__{k} = empty_jacobian(result__, {name}, zero__)")
        written.append(f"    after__{k} = collect_row(tape__, {start}, {name}, zero__, jacobian__{k}, row__)")
        start = f"after__{k}"
    lines = [
        *driver.record(),
        "check_array_result(result__)",
        *driver.CHECK,
        "zero__ = zero_coefficient(like__)",
        *fresh,
        "row__ = 0",
        "for index__ in np.ndindex(result__.shape):",
        "    seed_and_sweep(tape__, low__, as_active(like__, result__[index__]), like__)",
        *written,
        "    row__ += 1",
        "value__ = inner_values(result__)",
        "rewind(tape__, terms__, first__)",
        f"return value__, {driver.pack([f'jacobian__{k}' for k in range(len(driver.argnums))])}",
    ]
    body = driver.define(driver.name, lines)
    return Transform(body, driver.only(body), cache=driver.cache)


def hvp(f, argnums=0):
    """The product of the Hessian and a vector, by dual numbers over the tape: one recording, one sweep.

    Returns:
        ``h`` with ``h(*args, v) -> product``, in the shape of the argument; a tuple if ``argnums`` is one.
    """
    driver = Driver(f, argnums, "hvp")
    args = "".join(f"{name}, " for name in driver.names)
    v = driver.extra("v")
    tangents = [v] if driver.single else [f"{v}[{k}]" for k in range(len(driver.argnums))]
    lines = [f"check_tangent({n}, {t})" for n, t in zip(driver.differentiated, tangents, strict=True)]
    lines += driver.record(f"tape_dual_like(({args}{v},), 1)")
    for name, direction in zip(driver.differentiated, tangents, strict=True):
        lines = [
            f"active__{name} = lift_directed(tape__, like__, {name}, {direction})"
            if line == f"active__{name} = lift(tape__, like__, {name})"
            else line
            for line in lines
        ]
    fresh, written = [], []
    start = "first__"
    for k, name in enumerate(driver.differentiated):
        fresh.append(f"out__{k} = empty_gradient(tangent(zero__, 0), {name})")
        written.append(f"after__{k} = collect_lane(tape__, {start}, {name}, zero__, out__{k})")
        start = f"after__{k}"
    results = [f"gradient_of(out__{k}, {name})" for k, name in enumerate(driver.differentiated)]
    lines += [
        "y__ = as_active(like__, result__)",
        *driver.CHECK,
        "zero__ = zero_coefficient(like__)",
        "seed_and_sweep(tape__, low__, y__, like__)",
        *fresh,
        *written,
        "rewind(tape__, terms__, first__)",
        f"return {driver.pack(results)}",
    ]
    body = driver.define(driver.name, lines, [v])
    return Transform(body, driver.only(body), cache=driver.cache)


def hessian(f, argnums=0):
    """The dense Hessian in one array argument: dual numbers over the tape, four columns to a recording.

    Returns:
        ``h`` with ``h(*args) -> (value, gradient, hessian)``; the Hessian has the shape ``x.shape + x.shape``.
    """
    if not isinstance(argnums, int):
        raise ValueError("hessian takes one argument number; gather the inputs in one array")
    driver = Driver(f, argnums, "hessian")
    name = driver.differentiated[0]
    args = "".join(f"{n}, " for n in driver.names)
    record = driver.record(f"tape_dual_like(({args}), {HESSIAN_LANES})")
    lifted = f"active__{name} = lift_lanes(tape__, like__, {name}, -lane__)"
    record = [lifted if line == f"active__{name} = lift(tape__, like__, {name})" else line for line in record]
    lines = [
        f"like__ = tape_dual_like(({args}), {HESSIAN_LANES})",
        "zero__ = zero_coefficient(like__)",
        "value__ = inner(inner(like__))",
        f"gradient__ = empty_gradient(tangent(zero__, 0), {name})",
        f"hessian__ = empty_square(tangent(zero__, 0), {name})",
        f"for lane__ in range(0, max(count_numbers({name}), 1), {HESSIAN_LANES}):",
        *("    " + line for line in record),
        "    y__ = as_active(like__, result__)",
        *("    " + line for line in driver.CHECK),
        "    seed_and_sweep(tape__, low__, y__, like__)",
        f"    collect_columns(tape__, first__, {name}, zero__, gradient__, hessian__, lane__)",
        "    value__ = inner(inner(y__))",
        "    rewind(tape__, terms__, first__)",
        f"return value__, gradient_of(gradient__, {name}), square_of(hessian__, {name})",
    ]
    body = driver.define(driver.name, lines)
    return Transform(body, driver.only(body), cache=driver.cache)
