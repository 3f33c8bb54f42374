"""value_and_grad, grad, jvp, hvp and hessian: each writes a short driver and hands it to a dispatcher."""

import functools

from tapejit.nopython.dispatcher import Transform, pickled
from tapejit.nopython.driver import REWIND, Driver, check_mode, count_of, has_loop, only_numbers, width_for
from tapejit.nopython.statementtape import SCRATCH

HESSIAN_LANES = 4  # columns of a Hessian per recording
DUAL_INPUTS = 8  # mode "auto" takes dual numbers for up to so many differentiated numbers


def _gradient(f, argnums, mode, with_value, has_aux=False):
    check_mode(mode)
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
        def body(args, given):
            count = count_of(args, driver.argnums)
            few = count is not None and count <= DUAL_INPUTS
            forward = loops or only_numbers(args)  # what arrays go through at once is faster backwards
            if mode == "dual" or (mode == "auto" and few and forward and not has_aux):
                return dual(width_for(count, DUAL_INPUTS), few)[which]
            return by_tape

        return driver.choice(body)

    form = Transform(into_by_tape, choose(1, into_by_tape), users=driver.f)
    return Transform(by_tape, choose(0, by_tape), {"into": form}, users=driver.f)


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


@pickled
def value_and_grad(f, argnums=0, mode="auto", has_aux=False):
    """The value and the gradient of a scalar function, as a Numba dispatcher.

    Args:
        f: a function of numbers, arrays and tuples of them that Numba can compile, or an ``@njit`` function. It
            returns one number.
        argnums: which arguments to differentiate, a number or a name, or a tuple of them: floats, 1-D to 3-D float arrays,
            tuples of these; an integer counts as a float, a list of numbers as an array.
        mode: "tape" (reverse), "dual" (forward, for few inputs) or "auto": dual for up to 8 plain numbers, of a function
            with loops or without arrays among its arguments, where it is faster and needs no memory.
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


@pickled
def grad(f, argnums=0, mode="auto", has_aux=False):
    """The gradient alone: see ``value_and_grad``."""
    return _gradient(f, argnums, mode, False, has_aux)


@pickled
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
    return Transform(body, driver.only(body), users=driver.f)


@pickled
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
    return Transform(body, driver.only(body), users=driver.f)


@pickled
def hessian(f, argnums=0):
    """The dense Hessian: dual numbers over the tape, four columns to a recording.

    Args:
        f: as in ``value_and_grad``.
        argnums: which arguments to differentiate: floats, and float arrays of one to three dimensions.

    Returns:
        ``h`` with ``h(*args) -> (value, gradient, hessian)``; the Hessian has the shape ``x.shape + x.shape``. For a tuple of
        arguments the gradient is a tuple, and the Hessian a tuple of tuples: its item ``[i][j]`` has the shape
        ``args[i].shape + args[j].shape``.
    """
    driver = Driver(f, argnums, "hessian")
    names, count = driver.differentiated, range(len(driver.argnums))
    like = f"tape_dual_like(({driver.args}), {HESSIAN_LANES})"
    record = driver.record(like, [f"start__{k} - lane__" for k in count])
    collect = "collect_columns(tape__, first__ + start__{0}, {1}, zero__, gradient__{0}, hessian__, start__{0}, lane__)"
    lines = [
        f"like__ = {like}",
        "zero__ = zero_coefficient(like__)",
        "value__ = inner(inner(like__))",
        "start__0 = 0",
        *(f"start__{k + 1} = start__{k} + count_numbers({names[k]})" for k in count),
        *(f"gradient__{k} = empty_gradient(tangent(zero__, 0), {name})" for k, name in enumerate(names)),
        f"hessian__ = empty_square(tangent(zero__, 0), {names[0]}, start__{len(names)})",
        f"for lane__ in range(0, max(start__{len(names)}, 1), {HESSIAN_LANES}):",
        *("    " + line for line in record),
        "    y__ = as_active(like__, result__)",
        *("    " + line for line in driver.CHECK),
        *("    " + line for line in driver.SWEEP),
        *("    " + collect.format(k, name) for k, name in enumerate(names)),
        "    value__ = inner(inner(y__))",
        f"    {REWIND}",
    ]
    gradient = driver.pack([f"gradient_of(gradient__{k}, {name})" for k, name in enumerate(names)])
    if driver.single:
        blocks = f"square_of(hessian__, {names[0]})"
    else:
        pairs = [
            [f"block_of(hessian__, start__{i}, {names[i]}, start__{j}, {names[j]})" for j in count]
            for i in count
        ]
        blocks = driver.pack([driver.pack(row) for row in pairs])
    body = driver.define(driver.name, [*lines, f"return value__, {gradient}, {blocks}"])
    return Transform(body, driver.only(body), users=driver.f)
