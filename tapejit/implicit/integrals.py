"""Solutions of initial value problems as functions of the start, the times and the parameters.

The derivative is that of the steps taken (discretise, then differentiate), exact for the numbers that come out and to any
order, the choice of the steps held constant; or that of the equation, by ``adjoint.py``. Dormand and Prince's pair of orders 5
and 4 (J. Comput. Appl. Math. 6, 1980), the step control of Hairer, Norsett and Wanner, Solving Ordinary Differential Equations
I, section II.4.
"""

from tapejit.control.recompute import checkpoint as recomputed
from tapejit.eager.creation import as_tensor
from tapejit.eager.functional import where
from tapejit.eager.grad_mode import no_grad
from tapejit.eager.indexing import stack
from tapejit.eager.tensor import Tensor
from tapejit.implicit.adjoint import by_adjoint_equation

NODES = (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0)
STAGES = (
    (),
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
)
RESULT = (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84)
ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)  # fifth order less fourth


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
        raise ValueError(
            f"odeint(): adjoint={adjoint!r}, checkpoint={checkpoint}; 'discrete', or 'continuous', which keeps nothing between "
            "the times and has no use for a checkpoint"
        )
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
    """y at the times, one interval after the other."""
    rtol, atol, steps, maxsteps = choice

    def interval(y, k, size, begin, end, *args):
        if steps is not None:
            return _equal_steps(slope, y, begin, end, args, steps)
        return _controlled(slope, (y, k, size), begin, end, args, rtol, atol, maxsteps)

    found, k, size = [y], slope(y, times[0], args), None
    for i in range(1, times.shape[0]):
        given = (y, k, size, times[i - 1], times[i], *args)
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


def _controlled(slope, state, begin, end, args, rtol, atol, most):
    """(y, its slope, the size for the next step) at the end of an interval."""
    y, k, size = state
    with no_grad():
        length = (end - begin).detach()
        size = _first_size(slope, y, k, begin, length, args, rtol, atol) if size is None else size
        gone = length * 0.0
    for _ in range(most):
        with no_grad():
            last = bool(gone.abs() + 1.01 * size >= length.abs())
            h = size * length.sign()
        t = begin + gone
        h = end - t if last else h  # the last one ends at the time, whatever that depends on
        after, slopes = _step(slope, y, k, t, h, args)
        with no_grad():
            step = h.detach()
            error = _size_of(step * _sum(ERROR, [s.detach() for s in slopes]), y.detach(), after.detach(), rtol, atol)
            accepted = bool(error <= 1.0)
            if not accepted and not bool(error.isfinite() | (step.abs() > 1e-10 * length.abs())):
                raise ArithmeticError("odeint(): the solution is not finite there; look at f, or end earlier")
            shrink = (0.9 * (error + 1e-10) ** -0.2).clamp(0.2, 10.0)
            new = step.abs() * where(error.isfinite(), shrink, 0.1)
            size = where((size > new) | (size > step.abs() * 1.01), size, new) if last and accepted else new
        if accepted:
            y, k, gone = after, slopes[-1], gone + step
            if last:
                return y, k, size
    raise ArithmeticError(f"odeint(): {most} steps do not reach the next time; raise maxsteps, or the tolerances")


def _size_of(error, before, after, rtol, atol):
    """The error as a multiple of what is allowed."""
    larger = where(before.abs() > after.abs(), before.abs(), after.abs())
    return ((error / (atol + rtol * larger)) ** 2).mean().sqrt()


def _first_size(slope, y, k, t, length, args, rtol, atol):
    """The size of the first step (Hairer, Norsett and Wanner, section II.4, the starting step size)."""
    y, k, t = y.detach(), k.detach(), t.detach()
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
