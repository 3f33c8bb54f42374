"""value_and_grad, grad, jvp, jacobian, hvp and hessian: each writes a short driver and hands it to a dispatcher."""

import functools
import inspect

from numba.core import types

from tapejit.nopython.dispatcher import Transform
from tapejit.nopython.driver import REWIND, Driver, count_of, has_loop
from tapejit.nopython.statementtape import SCRATCH

HESSIAN_LANES = 4  # columns of a Hessian per recording
DUAL_INPUTS = 8  # mode "auto" takes dual numbers for up to so many differentiated numbers
MOST_LANES = 16


def _pickled(transform):
    """Decorator: what the transform returns is pickled as its call, its forms as attributes of that."""

    @functools.wraps(transform)
    def make(*args, **options):
        result = transform(*args, **options)
        bound = inspect.signature(transform).bind(*args, **options)
        call = transform.__name__, tuple(bound.arguments.items())
        result.recipe = _made_again, call
        for name, form in result.forms.items():
            form.recipe = _made_again, (*call, name)
        return result

    return make


def _made_again(name, arguments, form=None):
    result = globals()[name](**dict(arguments))
    return result if form is None else result.forms[form]


def _check_mode(mode):
    if mode not in ("auto", "tape", "dual"):
        raise ValueError(f'mode is "auto", "tape" or "dual"; got {mode!r}')


def _gradient(f, argnums, mode, with_value, has_aux=False):
    _check_mode(mode)
    driver = Driver(f, argnums, "value_and_grad" if with_value else "grad", mode)
    base = driver.name

    result = "result__[0]" if has_aux else "result__"
    kept = ["aux__ = values(like__, result__[1])"] if has_aux else []

    def finish(items):
        if with_value:
            value = "(inner(y__), aux__)" if has_aux else "inner(y__)"
            return f"return {value}, {driver.pack(items)}"
        return f"return {driver.pack(items)}, aux__" if has_aux else f"return {driver.pack(items)}"

    recorded = [
        *driver.record(),
        *kept,
        f"y__ = as_active(like__, {result})",
        *driver.CHECK,
        "zero__ = zero_coefficient(like__)",
        *driver.SWEEP,
    ]
    collect, gradients = driver.collected()
    by_tape = driver.define(base, [*recorded, *collect, REWIND, finish(gradients)])

    out = driver.extra("out")
    outputs = driver.places(out)
    checks = [f"check_place({n}, {place})" for n, place in zip(driver.differentiated, outputs, strict=True)]
    into = driver.collected_into(outputs)
    answer = "return inner(y__), aux__" if has_aux else "return inner(y__)"
    lines = [*checks, *recorded, *into, REWIND, answer]
    into_by_tape = driver.define(base + "_into", lines, [out])

    if has_aux and mode == "dual":
        raise ValueError(
            'has_aux goes with mode "tape" or "auto": forward mode runs the function more than once'
        )
    loops = mode == "auto" and has_loop(f)
    dual = functools.cache(
        lambda width, once: _dual_gradient(driver, base, finish, outputs, out, width, once)
    )

    def choose(which, by_tape):
        def body(args):
            count = count_of(args, driver.argnums)
            few = count is not None and count <= DUAL_INPUTS
            if mode == "dual" or (mode == "auto" and few and loops and not has_aux):
                return dual(_width(count, DUAL_INPUTS), few)[which]
            return by_tape

        return driver.choice(body)

    form = Transform(into_by_tape, choose(1, into_by_tape), cache=driver.cache)
    return Transform(by_tape, choose(0, by_tape), {"into": form}, cache=driver.cache)


def _width(count, most):
    """Lanes for so many numbers; for arrays, whose size is not known, as many as a vector register holds."""
    return next((w for w in (1, 2, 4, 8, 16) if count is not None and count <= min(w, most)), DUAL_INPUTS)


def _dual_gradient(driver, base, finish, outputs, out, width, once):
    """The forward form: as many calls of the function as there are groups of lanes among the inputs.

    ``once``: the inputs are numbers that fit in one group, so that nothing needs memory.
    """
    checks = [f"check_place({n}, {place})" for n, place in zip(driver.differentiated, outputs, strict=True)]
    evaluated = ["y__ = as_active(like__, result__)", "value__ = inner(y__)"]
    starts = [f"start__{k} - lane__" for k in range(len(driver.argnums))]
    arguments = list(zip(driver.differentiated, starts, strict=True))
    into = [f"write_lanes(y__, {n}, {s}, {place})" for (n, s), place in zip(arguments, outputs, strict=True)]
    if once:
        taken = [f"out__{k} = take_lanes(y__, {n}, {s})" for k, (n, s) in enumerate(arguments)]
        fresh = []
        results = [f"out__{k}" for k in range(len(arguments))]
    else:
        taken = [f"write_lanes(y__, {n}, {s}, out__{k})" for k, (n, s) in enumerate(arguments)]
        fresh = [f"zero__ = zero_coefficient(dual_like(({driver.args}), {width}))"]
        fresh += [f"out__{k} = empty_gradient(zero__, {n})" for k, (n, _) in enumerate(arguments)]
        results = [f"gradient_of(out__{k}, {n})" for k, (n, _) in enumerate(arguments)]
    tail = finish(results).replace("inner(y__)", "value__")
    by_dual = driver.define(base, [*fresh, *driver.lanes(width, [*evaluated, *taken], once), tail])
    lines = [*checks, *driver.lanes(width, [*evaluated, *into], once), "return value__"]
    return by_dual, driver.define(base + "_into", lines, [out])


@_pickled
def value_and_grad(f, argnums=0, mode="auto", has_aux=False):
    """The value and the gradient of a scalar function, as a Numba dispatcher.

    Args:
        f: a function of numbers, arrays and tuples of them that Numba can compile, or an ``@njit`` function. It
            returns one number.
        argnums: which arguments to differentiate, a number or a name, or a tuple of them: floats, 1-D to 3-D float arrays,
            tuples of these; an integer counts as a float, a list of numbers as an array.
        mode: "tape" (reverse), "dual" (forward, for few inputs) or "auto": dual for up to 8 plain numbers and a function
            with loops, where it is faster and needs no memory.
        has_aux: the function returns ``(number, aux)``, and ``g`` gives ``((value, aux), gradient)``; ``aux`` is made of
            numbers, arrays and tuples of them, and is not differentiated.

    Returns:
        ``g`` with ``g(*args) -> (value, gradient)``: the gradient has the shape and dtype of the argument, and is a
        tuple if ``argnums`` is one. ``g.into(*args, out) -> value`` writes it into ``out`` instead. Both can be called
        from Python and from ``@njit`` code, in ``prange`` too.

    Raises:
        DifferentiationError: on the first call, when ``f`` contains what cannot be differentiated.
        MemoryError: when the tape passes the memory limit.
    """
    return _gradient(f, argnums, mode, True, has_aux)


@_pickled
def grad(f, argnums=0, mode="auto", has_aux=False):
    """The gradient alone: see ``value_and_grad``."""
    return _gradient(f, argnums, mode, False, has_aux)


@_pickled
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
    v = driver.extra("v")
    lines = [
        *driver.call_lifted(f"dual_like(({driver.args}{v},), 1)", SCRATCH, driver.places(v)),
        "both__ = tangents_of(dual_result(like__, result__))",
        REWIND,
        "return both__",
    ]
    checks = [
        f"check_tangent({n}, {t})" for n, t in zip(driver.differentiated, driver.places(v), strict=True)
    ]
    body = driver.define(driver.name, [*checks, *lines], [v])
    return Transform(body, driver.only(body), cache=driver.cache)


@_pickled
def jacobian(f, argnums=0, mode="auto", lanes=None):
    """The Jacobian of a function that returns an array or a tuple of numbers.

    Args:
        f: as in ``value_and_grad``, but for its result.
        argnums: which arguments to differentiate: floats, and float arrays of one to three dimensions.
        mode: "tape": one recording and a sweep for each number of the result; "dual": forward, a call for every ``lanes``
            numbers of the arguments, without memory of its own; "auto": dual for up to 16 plain numbers.
        lanes: 1 to 16, for "dual". The default is 8, two to sixteen for so many plain numbers.

    Returns:
        ``j`` with ``j(*args) -> (value, jacobian)``; the Jacobian has the shape ``value.shape + argument.shape``, where a
        tuple of m numbers has the shape ``(m,)``, and is a tuple of arrays if ``argnums`` is one. ``j.into(*args, out) ->
        value`` writes it into ``out``, an array of that shape in any order of memory; for several arguments a tuple of
        arrays, or one array of shape ``value.shape + (numbers,)`` with a column for each number of the arguments, in
        order. It allocates nothing if ``f`` returns a tuple.
    """
    _check_mode(mode)
    if lanes is not None and not (isinstance(lanes, int) and 1 <= lanes <= MOST_LANES):
        raise ValueError(f"lanes is an integer from 1 to {MOST_LANES}; got {lanes!r}")
    driver = Driver(f, argnums, "jacobian", f"{mode} {lanes}")
    out = driver.extra("out")
    count = range(len(driver.argnums))
    names = driver.differentiated
    rows = "rows__ = as_array(like__, result__)"
    value = "value__ = values(like__, result__)"
    starts = ["start__0 = 0", *(f"start__{k + 1} = start__{k} + count_numbers({names[k]})" for k in count)]

    def forms_of(body, block):
        """(the form that returns, the form that writes), from ``body(lines that prepare, columns)``."""
        own, columns = [f"out__{k}" for k in count], ["None" for _ in count]
        fresh = [
            f"{o} = empty_jacobian(rows__, {n}, zero_coefficient(like__))"
            for n, o in zip(names, own, strict=True)
        ]
        places = [out] * len(own) if block else driver.places(out)
        given = [f"{o} = {place}" for o, place in zip(own, places, strict=True)]
        if block:
            columns = [f"start__{k}" for k in count]
        numbers = f"start__{len(own)}" if block else "None"
        fit = " and ".join(
            f"jacobian_fits(rows__, {n}, {o}, {numbers})" for n, o in zip(names, own, strict=True)
        )
        check = [
            f"if not ({fit}):",
            f"    {REWIND}",
            "    raise ValueError('the array for a Jacobian must have the shape of the result and the argument together')",
        ]
        answer = f"return value__, {driver.pack(own)}"
        return (
            driver.define(driver.name, [*starts, *body(fresh, ["None" for _ in count]), answer]),
            driver.define(
                driver.name + "_into", [*starts, *given, *body(check, columns), "return value__"], [out]
            ),
        )

    def recorded(prepare, columns):
        collected, after = [], "first__"
        for k, (name, column) in enumerate(zip(names, columns, strict=True)):
            args = f"tape__, {after}, {name}, zero__, out__{k}, index__, {column}"
            collected.append(f"    after__{k} = collect_row({args})")
            after = f"after__{k}"
        return [
            *driver.record(),
            rows,
            *driver.CHECK,
            *prepare,
            "zero__ = zero_coefficient(like__)",
            "for index__ in np.ndindex(rows__.shape):",
            "    y__ = as_active(like__, rows__[index__])",
            *("    " + line for line in driver.SWEEP),
            *collected,
            value,
            REWIND,
        ]

    @functools.cache
    def forms(width, once, block=False):
        def by_lanes(prepare, columns):
            if not once and columns[0] == "None" and prepare[0].startswith("out__"):
                prepare = ["if lane__ == 0:", *("    " + line for line in prepare)]
            written = [
                f"    write_row(y__, {name}, start__{k} - lane__, out__{k}, index__, {column})"
                for k, (name, column) in enumerate(zip(names, columns, strict=True))
            ]
            loop = [
                "for index__ in np.ndindex(rows__.shape):",
                "    y__ = as_active(like__, rows__[index__])",
            ]
            return driver.lanes(width, [rows, *prepare, *loop, *written, value], once)

        return forms_of(recorded if width is None else by_lanes, block)

    def choose(which):
        def body(args):
            count = count_of(args, driver.argnums)
            few = count is not None and count <= MOST_LANES
            block = which == 1 and isinstance(args[-1], types.Array) and not driver.single
            if mode == "dual" or (mode == "auto" and few):
                width = lanes or _width(count, MOST_LANES)
                return forms(width, count is not None and count <= width, block)[which]
            return forms(None, False, block)[which]

        return driver.choice(body)

    by_tape = forms(None, False)
    form = Transform(by_tape[1], choose(1), cache=driver.cache)
    return Transform(by_tape[0], choose(0), {"into": form}, cache=driver.cache)


@_pickled
def hvp(f, argnums=0):
    """The product of the Hessian and a vector, by dual numbers over the tape: one recording, one sweep.

    Returns:
        ``h`` with ``h(*args, v) -> product``, in the shape of the argument; a tuple if ``argnums`` is one.
    """
    driver = Driver(f, argnums, "hvp")
    v = driver.extra("v")
    tangents = driver.places(v)
    outputs = [f"out__{k}" for k in range(len(driver.argnums))]
    arguments = list(zip(driver.differentiated, outputs, strict=True))
    lines = [
        *(f"check_tangent({n}, {t})" for n, t in zip(driver.differentiated, tangents, strict=True)),
        *driver.record(f"tape_dual_like(({driver.args}{v},), 1)", tangents),
        "y__ = as_active(like__, result__)",
        *driver.CHECK,
        "zero__ = zero_coefficient(like__)",
        *driver.SWEEP,
        *(f"{place} = empty_gradient(tangent(zero__, 0), {name})" for name, place in arguments),
        *driver.collected_into(outputs, "0"),
        REWIND,
        f"return {driver.pack([f'gradient_of({place}, {name})' for name, place in arguments])}",
    ]
    body = driver.define(driver.name, lines, [v])
    return Transform(body, driver.only(body), cache=driver.cache)


@_pickled
def hessian(f, argnums=0):
    """The dense Hessian in one array argument: dual numbers over the tape, four columns to a recording.

    Returns:
        ``h`` with ``h(*args) -> (value, gradient, hessian)``; the Hessian has the shape ``x.shape + x.shape``.
    """
    if not isinstance(argnums, int):
        raise ValueError("hessian takes one argument number; gather the inputs in one array")
    driver = Driver(f, argnums, "hessian")
    name = driver.differentiated[0]
    like = f"tape_dual_like(({driver.args}), {HESSIAN_LANES})"
    record = driver.record(like, ["-lane__"])
    lines = [
        f"like__ = {like}",
        "zero__ = zero_coefficient(like__)",
        "value__ = inner(inner(like__))",
        f"gradient__ = empty_gradient(tangent(zero__, 0), {name})",
        f"hessian__ = empty_square(tangent(zero__, 0), {name})",
        f"for lane__ in range(0, max(count_numbers({name}), 1), {HESSIAN_LANES}):",
        *("    " + line for line in record),
        "    y__ = as_active(like__, result__)",
        *("    " + line for line in driver.CHECK),
        *("    " + line for line in driver.SWEEP),
        f"    collect_columns(tape__, first__, {name}, zero__, gradient__, hessian__, lane__)",
        "    value__ = inner(inner(y__))",
        f"    {REWIND}",
        f"return value__, gradient_of(gradient__, {name}), square_of(hessian__, {name})",
    ]
    body = driver.define(driver.name, lines)
    return Transform(body, driver.only(body), cache=driver.cache)
