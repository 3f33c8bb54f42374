"""Derivatives of solutions of initial value problems by the adjoint equation, solved back from the end, in compiled code.

The formulas are those of ``implicit.adjoint``. The call is one record, which keeps the values at the times; going back, the
equation of y, of its adjoint and of the integrals for the parameters is solved from each time to the one before. Derivatives
of that are those of its steps, so second ones are right, too.
"""

import functools

import numpy as np
from numba.core import types

from tapejit.nopython.cache import generated_function
from tapejit.nopython.derivatives import grad
from tapejit.nopython.exchange import enter_form
from tapejit.nopython.matrixops import matrix_op
from tapejit.nopython.odeint import entries
from tapejit.nopython.twins import active_function
from tapejit.nopython.types import Dual, is_active, structure_of
from tapejit.nopython.userlevel import generated, jitted, names_of


def by_adjoint_equation(f, solver):
    """A jitted solver for ``f``; ``solver(f)`` is one whose derivatives are those of the steps."""
    names = names_of(f, 2)
    given = ", ".join(["y0", "t", *names])
    forward = solver(f)

    @functools.cache
    def op(kinds):
        pull = _pullback(jitted(f), solver, names, kinds)
        return matrix_op("odeint", 2 + len(names), _forward(forward, names), pull, None, user=f"{id(forward)}")

    def solution(*args):
        raise NotImplementedError("only compiled code calls this")

    @functools.cache
    def form(*tys):
        whole = op(tuple(map(_rank, tys[2:])))
        return _active("solve", given, [f"return whole(y0, t + 0.0, {', '.join(names)})[0]"], {"whole": whole})

    def typer(*tys):
        like = structure_of(tys)
        if like is None:
            return None
        return forward._tapejit_twin if isinstance(like, Dual) else form(*tys)

    scope = {"typer": typer}
    exec(f"def typer_of({given}):\n    return typer({given})", scope)
    enter_form(solution, scope["typer_of"])
    solve = generated("solve", ["y0", "t", *names], [f"return forward({given})"], {"forward": forward})
    solve._tapejit_twin = _active("solve", given, [f"return solution({given})"], {"solution": solution})
    solve._tapejit_twin.original = solve
    return solve


def _active(name, arguments, body, namespace):
    """An active function of the engine's from the lines of its body, not kept on disk: it refers to the user's."""
    source = "\n    ".join([f"def {name}({arguments}):", *body]) + "\n"
    return active_function(generated_function(name, source, {"np": np, **namespace}, f"back{id(namespace)}"))


def _rank(ty):
    """The dimensions of a parameter of floats, 0 for a number; None for one that has no derivative."""
    item = getattr(ty, "dtype", types.unliteral(ty))
    if not (is_active(item) or isinstance(item, types.Float)):
        return None
    return getattr(ty, "ndim", 0)


def _forward(solve, names):
    given = ["y0", "t", *names]
    body = [f"y = solve({', '.join(given)})", f"return (y,), (y, {', '.join(given[1:])})"]
    return active_function(generated("forward", given, body, {"solve": solve}).py_func)


def _augmented(f, names, kinds):
    """The slopes of y, its adjoint and the integrals for the parameters, one after another; ``n``: how many numbers y has."""
    given = "".join(f", {n}" for n in names)
    weighted = generated(
        "weighted",
        ["y", "a", "t", *names],
        [
            "row, total = np.empty((1, len(y))), 0.0",
            f"entries(row, 0, f(y, t{given}))",
            "for j in range(len(y)):",
            "    total += row[0, j] * a[j]",
            "return total",
        ],
        {"f": f, "entries": entries},
    )
    wanted = [n for n, kind in zip(names, kinds, strict=True) if kind is not None]
    slopes = grad(weighted, argnums=(0, *(3 + names.index(n) for n in wanted)))
    found = "".join(f", g_{n}" for n in wanted)
    return generated(
        "augmented",
        ["s", "t", "n", *names],
        [
            "y, a, row, out = s[:n].copy(), s[n : 2 * n].copy(), np.empty((1, n)), np.empty(len(s))",
            f"entries(row, 0, f(y, t{given}))",
            f"(g_y{found},) = slopes(y, a, t{given})",
            "for j in range(n):",
            "    out[j] = row[0, j]",
            "    out[n + j] = -g_y[j]",
            "k = 2 * n",
            *_each(wanted, names, kinds, "out[k] = -g_{}", "out[k] = -g_{}[i]"),
            "return out",
        ],
        {"f": f, "entries": entries, "slopes": slopes},
    )


def _pullback(f, solver, names, kinds):
    """The gradients of the start, the times and the parameters, from those of the values at the times."""
    given = "".join(f", {n}" for n in names)
    wanted = [n for n, kind in zip(names, kinds, strict=True) if kind is not None]
    back = solver(_augmented(f, names, kinds))
    body = [
        f"values, t{given} = saved",
        "arrived, n, last, count = cotangents[0], values.shape[1], len(t) - 1, 0",
        *(f"count += {'1' if kinds[names.index(n)] == 0 else f'{n}.size'}" for n in wanted),
        "state, of_times, row = np.zeros(2 * n + count), np.zeros(len(t)), np.empty((1, n))",
        "for i in range(last, 0, -1):",
        f"    entries(row, 0, f(values[i], t[i]{given}))",
        "    for j in range(n):",
        "        state[j] = values[i, j]",
        "        state[n + j] += arrived[i, j]",
        "        of_times[i] += arrived[i, j] * row[0, j]",
        f"    state = back(state, t[i - 1 : i + 1][::-1].copy(), n{given})[1].copy()",
        "if last:",
        f"    entries(row, 0, f(values[0], t[0]{given}))",
        "    for j in range(n):",
        "        of_times[0] -= state[n + j] * row[0, j]",
        "of_start = state[n : 2 * n].copy()",
        "for j in range(n):",
        "    of_start[j] += arrived[0, j]",
        "k = 2 * n",
    ]
    for name, kind in zip(names, kinds, strict=True):
        if kind != 0:
            body.append(f"of_{name} = np.zeros({name}.shape)" if kind else f"of_{name} = 0.0")
    body += _each(wanted, names, kinds, "of_{} = state[k]", "of_{}[i] = state[k]")
    body.append(f"return of_start, of_times{''.join(f', of_{n}' for n in names)}")
    pull = generated("pull", ["saved", "cotangents"], body, {"f": f, "entries": entries, "back": back})
    return active_function(pull.py_func)


def _each(wanted, names, kinds, of_number, of_array):
    """Lines that go through the numbers of the parameters wanted, ``k`` being the place of each."""
    lines = []
    for name in wanted:
        if kinds[names.index(name)] == 0:
            lines += [of_number.format(name), "k += 1"]
        else:
            lines += [f"for i in np.ndindex({name}.shape):", f"    {of_array.format(name)}", "    k += 1"]
    return lines
