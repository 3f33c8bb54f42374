"""Solutions of initial value problems inside compiled code, as functions of the start, the times and the parameters.

The steps are chosen on plain numbers, then taken on differentiated ones: derivatives are those of the steps, the choice held
constant, as those of ``tj.implicit.odeint``, with which the numbers agree.
"""

import numpy as np
from numba import njit
from numba.core import types
from numba.extending import overload

from tapejit.nopython.cache import generated_function, helper
from tapejit.nopython.checkpoint import checkpoint as checkpointed
from tapejit.nopython.twins import active_function
from tapejit.nopython.userlevel import generated, jitted, names_of
from tapejit.spec.rungekutta import ERROR, NODES, RESULT, STABLE, STAGES, STIFF, WILD

CHUNK = 16  # steps of which one record is kept
WEIGHTS = np.array([b - a for a, b in zip((*STAGES[5], 0.0), RESULT, strict=True)])  # the seventh stage less the sixth
ERRORS = np.array(ERROR)


def discrete(f, rtol, atol, steps, maxsteps, checkpoint):
    """A jitted solver whose derivatives are those of the steps; see ``implicit.odeint``."""
    names = names_of(f, 2)
    step = _step(jitted(f), names)
    plan = _chosen(*step, rtol, atol, maxsteps) if steps is None else _equal(*step, steps)
    given = "".join(f"{n}, " for n in names)
    solve = generated("solve", ["y0", "t", *names], [f"return plan(y0 + 0.0, t + 0.0, ({given}))[0]"], {"plan": plan})
    solve._tapejit_twin = _differentiable(*step, plan, names, steps, checkpoint, solve)
    return solve


def _step(f, names):
    """(jitted ``slopes_at(K, row, y, t, *params)``, ``step(K, z, y, t, h, *params)``, which leaves y after the step in z)."""
    given = "".join(f", {n}" for n in names)
    space = {"f": f, "entries": entries}
    slopes_at = generated("slopes_at", ["K", "row", "y", "t", *names], [f"entries(K, row, f(y, t{given}))"], space)
    lines = ["row = 0"]  # a variable: Numba would compile a form for each literal
    for node, weights in zip((*NODES[1:], 1.0), (*STAGES[1:], RESULT), strict=True):
        terms = " + ".join(f"{w!r} * K[{k}, j]" for k, w in enumerate(weights) if w)
        lines += ["for j in range(len(y)):", f"    z[j] = y[j] + h * ({terms})"]
        lines += ["row += 1", f"slopes_at(K, row, z, t + {'' if node == 1 else f'{node!r} * '}h{given})"]
    step = generated("step", ["K", "z", "y", "t", "h", *names], lines, {"slopes_at": slopes_at})
    return slopes_at, step


def entries(K, row, value):
    """Put the numbers of an array or a tuple into a row."""
    raise NotImplementedError


@overload(entries)
def _entries(K, row, value):
    if isinstance(value, types.BaseTuple):
        lines = [f"if K.shape[1] != {len(value)}:", "    raise ValueError(wrong)"]
        lines += [f"K[row, {j}] = value[{j}]" for j in range(len(value))]
        source = "def of_tuple(K, row, value):\n    " + "\n    ".join(lines) + "\n"
        return generated_function("of_tuple", source, {"wrong": WRONG}, f"odeint{len(value)}")

    def of_array(K, row, value):
        if len(value) != K.shape[1]:
            raise ValueError(WRONG)
        for j in range(len(value)):
            K[row, j] = value[j]

    return of_array


WRONG = "odeint(): f must give as many numbers as y has"
ORDER = "odeint(): t is a vector of times, at least one, that increase or decrease throughout"
ASTRAY = "odeint(): the solution is not finite there; look at f, or end earlier"


# On plain numbers


@helper
def check_times(t):
    for i in range(2, len(t)):
        if not (t[i] - t[i - 1]) * (t[1] - t[0]) > 0.0:
            raise ValueError(ORDER)
    if len(t) == 0 or (len(t) > 1 and not abs(t[1] - t[0]) > 0.0):
        raise ValueError(ORDER)


@helper
def copied(x, out):
    """A loop: assignments to slices take Numba seconds to compile, for their error messages."""
    for j in range(len(x)):
        out[j] = x[j]


@helper
def longer(x):
    out = np.empty(2 * len(x))
    copied(x, out)
    return out


@helper
def size_of(error, before, after, rtol, atol):
    """The error as a multiple of what is allowed."""
    total = 0.0
    for j in range(len(error)):
        allowed = atol + rtol * max(abs(before[j]), abs(after[j]))
        total += (error[j] / allowed) ** 2
    return np.sqrt(total / len(error))


@helper
def size_of_error(K, h, before, after, work, rtol, atol):
    for j in range(len(work)):
        work[j] = h * (
            ERRORS[0] * K[0, j] + ERRORS[2] * K[2, j] + ERRORS[3] * K[3, j]
            + ERRORS[4] * K[4, j] + ERRORS[5] * K[5, j] + ERRORS[6] * K[6, j]
        )  # fmt: skip
    return size_of(work, before, after, rtol, atol)


@helper
def is_stiff(K):
    """Whether stability, not the errors, keeps the steps short, see ``implicit.integrals``."""
    change, apart = 0.0, 0.0
    for j in range(K.shape[1]):
        change += (K[6, j] - K[5, j]) ** 2
        away = 0.0
        for k in range(6):
            away += WEIGHTS[k] * K[k, j]
        apart += away**2
    return change > (0.6 * STABLE) ** 2 * apart


@helper
def guessed(small, speed, bend, length):
    """The size of the first step from one small trial."""
    steepest = max(bend, speed)
    guess = (0.01 / (steepest + 1e-300)) ** 0.2 if steepest > 1e-15 else max(small * 1e-3, 1e-6)
    return min(min(100 * small, guess), length)


@helper
def next_size(size, step, error, there):
    new = step * min(max(0.9 * (error + 1e-10) ** -0.2, 0.2), 10.0)
    return size if there and (size > new or size > step * 1.01) else new


def _first_size(slopes_at, rtol, atol):
    """Compiled code for the size of the first step (Hairer, Norsett and Wanner, as below)."""

    @njit(nogil=True, error_model="numpy")
    def first_size(K, z, work, y, t, params):
        length = abs(t[1] - t[0])
        value, speed = size_of(y, y, y, rtol, atol), size_of(K[0], y, y, rtol, atol)
        small = min(0.01 * value / (speed + 1e-300) if value > 1e-5 and speed > 1e-5 else 1e-6, length)
        h = small * np.sign(t[1] - t[0])
        for j in range(len(y)):
            z[j] = y[j] + h * K[0, j]
        slopes_at(K, 1, z, t[0] + h, *params)
        for j in range(len(y)):
            work[j] = K[1, j] - K[0, j]
        return guessed(small, speed, size_of(work, y, y, rtol, atol) / small, length)

    return first_size


def _chosen(slopes_at, step, rtol, atol, most):
    """Compiled ``plan(y0, t, params)``: y at the times, and of all steps when they begin and their sizes, 0 for what is left.

    The steps of interval i are those from ``ends[i - 1]`` to ``ends[i]``. The step control of Hairer, Norsett and Wanner,
    Solving Ordinary Differential Equations I, section II.4, as in ``implicit.integrals``.
    """
    stiff, used_up = STIFF.format(most), f"odeint(): {most} steps do not reach the next time; raise maxsteps, or the tolerances"
    first_size = _first_size(slopes_at, rtol, atol)

    @njit(nogil=True, error_model="numpy")
    def chosen(y0, t, params):
        check_times(t)
        n = len(y0)
        found, ends = np.empty((len(t), n)), np.zeros(len(t), np.int64)
        K, y, z, work = np.empty((7, n)), y0.copy(), np.empty(n), np.empty(n)
        gone, sizes, count = np.empty(64), np.empty(64), 0
        copied(y, found[0])
        slopes_at(K, 0, y, t[0], *params)
        size = first_size(K, z, work, y, t, params) if len(t) > 1 else 0.0
        for i in range(1, len(t)):
            length, sign, so_far, taken = abs(t[i] - t[i - 1]), np.sign(t[i] - t[i - 1]), 0.0, 0
            while True:
                last = so_far + 1.01 * size >= length
                begin = t[i - 1] + sign * so_far
                h = t[i] - begin if last else sign * size
                step(K, z, y, begin, h, *params)
                taken += 1
                error = size_of_error(K, abs(h), y, z, work, rtol, atol)
                accepted = error <= 1.0
                if not error < WILD or taken > most:
                    if taken > most:
                        if is_stiff(K):
                            raise ArithmeticError(stiff)
                        raise ArithmeticError(used_up)
                    if not abs(h) > 1e-10 * length:
                        raise ArithmeticError(ASTRAY)
                    size = 0.1 * abs(h)
                    continue
                size = next_size(size, abs(h), error, accepted and last)
                if not accepted:
                    continue
                if count == len(sizes):
                    gone, sizes = longer(gone), longer(sizes)
                gone[count], sizes[count] = sign * so_far, 0.0 if last else h
                count += 1
                so_far += abs(h)
                copied(z, y)
                copied(K[6], K[0])
                if last:
                    break
            copied(y, found[i])
            ends[i] = count
        return found, gone, sizes, ends

    return chosen


def _equal(slopes_at, step, steps):
    """The same for equal steps, of which there is nothing to say but y at the times."""

    @njit(nogil=True, error_model="numpy")
    def equal(y0, t, params):
        check_times(t)
        n = len(y0)
        found, K, y, z = np.empty((len(t), n)), np.empty((7, n)), y0.copy(), np.empty(n)
        copied(y, found[0])
        for i in range(1, len(t)):
            h = (t[i] - t[i - 1]) / steps
            slopes_at(K, 0, y, t[i - 1], *params)
            for k in range(steps):
                step(K, z, y, t[i - 1] + k * h, h, *params)
                copied(z, y)
                copied(K[6], K[0])
            copied(y, found[i])
            for j in range(n):
                if not np.isfinite(y[j]):
                    raise ArithmeticError(ASTRAY)
        return found, t, t, np.zeros(0, np.int64)

    return equal


# On differentiated numbers


def _differentiable(slopes_at, step, plan, names, steps, checkpoint, original):
    """The twin of a solver: the steps of its plan, some at a time."""
    given, plains = "".join(f", {n}" for n in names), "".join(f"plain({n}), " for n in names)
    size = "sizes[i]" if steps is None else ""
    moves = (
        ["at = begin + gone[i]", "h = end - at if sizes[i] == 0.0 else sizes[i]"]
        if steps is None
        else [f"h = (end - begin) / {steps}", "at = begin + (first + i) * h"]
    )
    chunk = generated(
        "chunk",
        ["y", "slope", "begin", "end", "first", *(["gone", "sizes"] if size else ["count"]), *names],
        [
            "n = len(y)",
            "K, x, z = np.empty((7, n)), np.empty(n), np.empty(n)",
            "for j in range(n):",
            "    x[j] = y[j]",
            "    K[0, j] = slope[j]",
            f"for i in range({'len(sizes)' if size else 'count'}):",
            *("    " + line for line in moves),
            f"    step(K, z, x, at, h{given})",
            "    for j in range(n):",
            "        x[j] = z[j]",
            "        K[0, j] = K[6, j]",
            "return x, K[0].copy()",
        ],
        {"step": step},
    )
    if checkpoint:
        chunk = checkpointed(chunk)
    part = "gone[k : min(k + CHUNK, b)], sizes[k : min(k + CHUNK, b)]" if size else "min(CHUNK, b - k)"
    solve = generated(
        "solve",
        ["y0", "t", *names],
        [
            f"_, gone, sizes, ends = plan(plain(y0) + 0.0, plain(t) + 0.0, ({plains}))",
            "n = len(y0)",
            "out, K, x = np.empty((len(t), n)), np.empty((1, n)), np.empty(n)",
            "for j in range(n):",
            "    x[j] = y0[j]",
            "    out[0, j] = y0[j]",
            f"slopes_at(K, 0, x, t[0]{given})",
            "y, slope = x, K[0].copy()",
            "for i in range(1, len(t)):",
            *([] if size else [f"    slopes_at(K, 0, y, t[i - 1]{given})", "    slope = K[0].copy()"]),
            f"    a, b = {'ends[i - 1], ends[i]' if size else f'0, {steps}'}",
            "    for k in range(a, b, CHUNK):",
            f"        y, slope = chunk(y, slope, t[i - 1], t[i], k - a, {part}{given})",
            "    for j in range(n):",
            "        out[i, j] = y[j]",
            "return out",
        ],
        {"plan": plan, "slopes_at": slopes_at, "chunk": chunk, "CHUNK": CHUNK},
    )
    found = active_function(solve.py_func)
    found.original = original
    return found
