"""Solutions of initial value problems as functions of the start, the times and the parameters.

The derivative is that of the steps taken (discretise, then differentiate), exact for the numbers that come out and to any
order, the choice of the steps held constant; or that of the equation, by ``adjoint.py``. Dormand and Prince's pair of orders 5
and 4 (J. Comput. Appl. Math. 6, 1980), the step control of Hairer, Norsett and Wanner, Solving Ordinary Differential Equations
I, section II.4.
"""

from tapejit.control.recompute import checkpoint as recomputed
from tapejit.eager.creation import arange, as_tensor
from tapejit.eager.functional import where
from tapejit.eager.grad_mode import no_grad
from tapejit.eager.indexing import stack
from tapejit.eager.tensor import Tensor
from tapejit.implicit.adjoint import by_adjoint_equation
from tapejit.spec.rungekutta import CHOICE, ERROR, NODES, RESULT, STABLE, STAGES, STIFF, WILD


def odeint(f, y0, t, *args, rtol=1e-8, atol=1e-8, steps=None, maxsteps=10_000, checkpoint=False, adjoint="discrete"):
    """Solve ``dy/dt = f(y, t, *args)`` from ``y(t[0]) = y0``, as a differentiable function of ``y0``, ``t`` and ``args``.

    Args:
        f: the right hand side, of tensors: gives as many numbers as ``y`` has.
        y0: the start, an array or a tensor of any shape.
        t: times, (times,), at least one, in increasing or decreasing order.
        args: tensors, arrays, numbers and trees of them; tensors that ``f`` closes over count too.
        rtol, atol: the error allowed in a step, relative to y and absolute (root mean square over the entries).
        steps: None for steps of the size that the errors allow; or a number of equal steps between neighbouring times, with
            which a recording has one path and nothing is decided.
        maxsteps: the most steps between neighbouring times.
        checkpoint: keep only the values at the times, and take the steps again in reverse, one interval after the other:
            less memory for about a third more time. First derivatives only.
        adjoint: "discrete" for the derivatives of the steps, kept until they are asked for; "continuous" for those of the
            equation: its adjoint equation is solved back from the end, to the same tolerances, and only the values at the
            times are kept, whatever the number of steps. They agree up to the error of the solution.

    Returns:
        y at the times, a tensor (times, *y0.shape).

    Raises:
        ArithmeticError: if f is not finite, or the steps are used up.
        ValueError: if shapes do not fit, or the times are not in order.
    """
    y, times = as_tensor(y0), as_tensor(t)
    if times.ndim != 1 or not times.numel():
        raise ValueError(f"odeint(): t has shape {tuple(times.shape)}; it is a vector of times, the first that of y0")
    if steps is not None and steps < 1:
        raise ValueError(f"odeint(): steps={steps}; at least one")
    if adjoint not in ("discrete", "continuous") or (checkpoint and adjoint == "continuous"):
        raise ValueError(CHOICE.format(adjoint, checkpoint))
    with no_grad():
        gaps = times[1:] - times[:-1]
        if times.numel() > 1 and not ((gaps > 0).all() or (gaps < 0).all()):
            raise ValueError("odeint(): the times neither increase nor decrease throughout")

    def slope(y, t, args):
        value = as_tensor(f(y, t, *args))
        if value.shape != y.shape:
            raise ValueError(f"odeint(): f gives shape {tuple(value.shape)}, y has {tuple(y.shape)}; both are the same")
        return value

    def solution(slope, y, times, args, checkpoint=False):
        return _solution(slope, y, times, args, (rtol, atol, steps, maxsteps), checkpoint)

    if adjoint == "continuous":
        return by_adjoint_equation(solution, slope, y, times, args)
    return solution(slope, y, times, args, checkpoint)


def _solution(slope, y, times, args, choice, checkpoint):
    """y at the times, one interval after the other where they are taken again in reverse or in equal steps."""
    rtol, atol, steps, maxsteps = choice

    def interval(y, k, size, times, *args):
        if steps is not None:
            return _equal_steps(slope, y, times[0], times[1], args, steps)
        found, k, size = _controlled(slope, y, k, size, times, args, rtol, atol, maxsteps)
        return found[1], k, size

    if steps is None and times.shape[0] > 1:
        size = _first_size(slope, y, k := slope(y, times[0], args), times, args, rtol, atol)
        if not checkpoint:
            return _controlled(slope, y, k, size, times, args, rtol, atol, maxsteps)[0]
    else:
        k = size = None
    found = [y]
    for i in range(1, times.shape[0]):
        given = (found[-1], k, size, times[i - 1 : i + 1], *args)
        y, k, size = recomputed(interval, *given) if checkpoint else interval(*given)
        found.append(y)
    return stack(found)


def _step(slope, y, k, t, h, args):
    """(y after a step of size h, the slopes on the way, the last of them there)."""
    slopes = [k]
    for node, row in zip(NODES[1:], STAGES[1:], strict=True):
        slopes.append(slope(y + h * _sum(row, slopes), t + node * h, args))
    y = y + h * _sum(RESULT, slopes)
    return y, [*slopes, slope(y, t + h, args)]


def _sum(weights, slopes):
    weighted = [w * k for w, k in zip(weights, slopes, strict=True) if w]
    total = weighted[0]
    for term in weighted[1:]:
        total = total + term
    return total


def _equal_steps(slope, y, begin, end, args, steps):
    h, k = (end - begin) / steps, slope(y, begin, args)
    for i in range(steps):
        y, slopes = _step(slope, y, k, begin + i * h, h, args)
        k = slopes[-1]
    return y, k, None


def _controlled(slope, y, k, size, times, args, rtol, atol, most):
    """(y at the times, its slope at the last, the size for the next step).

    One loop over the steps of all intervals, in which a step that is refused, or the last before a time, is a matter of
    numbers and no branch: in a recording all numbers of steps are one program.
    """
    last, places = times.shape[0] - 1, arange(times.shape[0], dtype=times.dtype)
    found = where(places == 0, y.unsqueeze(-1), y.detach().unsqueeze(-1) * 0.0)
    with no_grad():
        way = (times[1] - times[0]).sign().detach()
        gone = taken = way * 0.0
        i = gone + 1.0
    while True:
        begin, end = where(places == i - 1, times, 0.0).sum(), where(places == i, times, 0.0).sum()
        with no_grad():
            length = (end - begin).detach().abs()
            ends = gone + 1.01 * size >= length
        t = begin + way * gone
        h = where(ends, end - t, way * size)  # the last one ends at the time, whatever that depends on
        after, slopes = _step(slope, y, k, t, h, args)
        with no_grad():
            step, taken = h.detach().abs(), taken + 1
            error = _size_of(step * _sum(ERROR, [s.detach() for s in slopes]), y.detach(), after.detach(), rtol, atol)
            accepted = error <= 1.0
            there = accepted & ends
            stop = (there & (i == last)) | ~(error < WILD) | (taken > most)
        if bool(stop):
            if bool(there & (i == last)):
                found = where(places == i, after.unsqueeze(-1), found)
                return found.movedim(-1, 0), slopes[-1], _next_size(size, step, error, there)
            _give_up_if(taken > most, most, slopes)
            size = _shorter(step, length)
            continue
        with no_grad():
            size = _next_size(size, step, error, there)
            gone = where(there, 0.0, where(accepted, gone + step, gone))
            taken = where(there, 0.0, taken)
        y, k = where(accepted, after, y), where(accepted, slopes[-1], k)
        found = where(places == i, y.unsqueeze(-1), found)
        with no_grad():
            i = where(there, i + 1.0, i)


@no_grad()
def _next_size(size, step, error, there):
    """What comes after a step; one that was cut off at a time does not make them small."""
    new = step * (0.9 * (error + 1e-10) ** -0.2).clamp(0.2, 10.0)
    return where(there & ((size > new) | (size > step * 1.01)), size, new)


@no_grad()
def _shorter(step, length):
    """What comes after a step that led astray: a branch, since nothing of it may stand in the gradient, not even 0 times it."""
    if not bool(step > 1e-10 * length):
        raise ArithmeticError("odeint(): the solution is not finite there; look at f, or end earlier")
    return 0.1 * step


@no_grad()
def _give_up_if(used_up, most, slopes):
    """Raise if the steps are used up, and say so if it was not the errors that kept them short.

    By the sixth and the seventh stage, which stand at one time (Hairer and Wanner, Solving Ordinary Differential Equations II,
    section IV.2): the step times the steepest part of f, beyond STABLE of which errors grow whatever the tolerance.
    """
    if not bool(used_up):
        return
    apart = _sum([b - a for a, b in zip((*STAGES[5], 0.0), RESULT, strict=True)], slopes[:6])
    change = slopes[6] - slopes[5]
    if float((change * change).sum()) > (0.6 * STABLE) ** 2 * float((apart * apart).sum()):
        raise ArithmeticError(STIFF.format(most))
    raise ArithmeticError(f"odeint(): {most} steps do not reach the next time; raise maxsteps, or the tolerances")


def _size_of(error, before, after, rtol, atol):
    """The error as a multiple of what is allowed."""
    larger = where(before.abs() > after.abs(), before.abs(), after.abs())
    return ((error / (atol + rtol * larger)) ** 2).mean().sqrt()


@no_grad()
def _first_size(slope, y, k, times, args, rtol, atol):
    """The size of the first step (Hairer, Norsett and Wanner, section II.4, the starting step size)."""
    y, k, t, length = y.detach(), k.detach(), times[0].detach(), (times[1] - times[0]).detach()
    args = tuple(a.detach() if isinstance(a, Tensor) else a for a in args)
    value, speed = _size_of(y, y, y, rtol, atol), _size_of(k, y, y, rtol, atol)
    small = where((value > 1e-5) & (speed > 1e-5), 0.01 * value / (speed + 1e-300), 1e-6)
    small = where(small < length.abs(), small, length.abs())
    step = small * length.sign()
    bend = _size_of(slope(y + step * k, t + step, args) - k, y, y, rtol, atol) / small
    steepest = where(bend > speed, bend, speed)
    guess = where(steepest > 1e-15, (0.01 / (steepest + 1e-300)) ** 0.2, where(small * 1e-3 > 1e-6, small * 1e-3, 1e-6))
    size = where(100 * small < guess, 100 * small, guess)
    return where(size < length.abs(), size, length.abs())
