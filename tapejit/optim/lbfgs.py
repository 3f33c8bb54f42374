"""L-BFGS with PyTorch's stopping rules and its line search for the strong Wolfe conditions.

The search follows Nocedal and Wright, Numerical Optimization, section 3.5 (bracketing, then zooming by cubic interpolation).
"""

import math

import tapejit as tj
from tapejit.optim.optimizer import Optimizer


def _cubic(x1, f1, g1, x2, f2, g2, bounds=None):
    """The minimum of the cubic through two points with values and slopes, kept within bounds (formula 3.59 there)."""
    low, high = bounds or (min(x1, x2), max(x1, x2))
    d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2)
    square = d1 * d1 - g1 * g2
    if square < 0:
        return (low + high) / 2.0
    d2 = math.sqrt(square)
    if x1 <= x2:
        place = x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2))
    else:
        place = x1 - (x1 - x2) * ((g1 + d2 - d1) / (g1 - g2 + 2 * d2))
    return min(max(place, low), high)


class _Point:
    """A step length, with the loss, the gradient and the slope along the direction there."""

    __slots__ = ("f", "g", "slope", "t")

    def __init__(self, t, f, g, slope):
        self.t, self.f, self.g, self.slope = t, f, g, slope


def _bracket(evaluate, start, t, c1, c2, most):
    """Two points with an acceptable one between, or one that is acceptable: (points, evaluations)."""
    previous, point, calls = start, evaluate(t), 1
    for _ in range(most):
        if point.f > start.f + c1 * point.t * start.slope or (calls > 2 and point.f >= previous.f):
            return [previous, point], calls
        if abs(point.slope) <= -c2 * start.slope:
            return [point], calls
        if point.slope >= 0:
            return [previous, point], calls
        low, high = point.t + 0.01 * (point.t - previous.t), point.t * 10
        t = _cubic(previous.t, previous.f, previous.slope, point.t, point.f, point.slope, (low, high))
        previous, point, calls = point, evaluate(t), calls + 1
    return [start, point], calls


def _strong_wolfe(evaluate, start, t, norm, most, c1=1e-4, c2=0.9, change=1e-9):
    """A point that fulfils the strong Wolfe conditions, or the best that was found, and the number of evaluations.

    ``norm`` is the largest element of the direction: a bracket narrower than ``change / norm`` is not searched on.
    ``most``: evaluations after the first one.
    """
    points, calls = _bracket(evaluate, start, t, c1, c2, most)
    if len(points) == 1:
        return points[0], calls
    tried, stalled, ends = calls - 1, False, list(points)
    low = 0 if ends[0].f <= ends[1].f else 1
    while tried < most and abs(ends[1].t - ends[0].t) * norm >= change:
        t, stalled = _next_place(ends, stalled)
        point = evaluate(t)
        calls, tried = calls + 1, tried + 1
        if point.f > start.f + c1 * t * start.slope or point.f >= ends[low].f:
            ends[1 - low] = point
            low = 0 if ends[0].f <= ends[1].f else 1
            continue
        done = abs(point.slope) <= -c2 * start.slope
        if not done and point.slope * (ends[1 - low].t - ends[low].t) >= 0:
            ends[1 - low] = ends[low]
        ends[low] = point
        if done:
            break
    return ends[low], calls


def _next_place(ends, stalled):
    """Where to look next between two ends; away from an end if it would be too near to one twice, and whether it is once."""
    t = _cubic(ends[0].t, ends[0].f, ends[0].slope, ends[1].t, ends[1].f, ends[1].slope)
    left, right = sorted(p.t for p in ends)
    margin = 0.1 * (right - left)
    if min(right - t, t - left) >= margin:
        return t, False
    if not stalled and left < t < right:
        return t, True
    return (right - margin if abs(t - right) < abs(t - left) else left + margin), False


class LBFGS(Optimizer):
    """Limited-memory BFGS; ``step(closure)`` evaluates the loss several times.

    Args:
        params: one group of parameters.
        lr: the step length; with a line search where it begins.
        max_iter: iterations per step.
        max_eval: evaluations per step, by default ``max_iter * 5 // 4``.
        tolerance_grad: stops when no element of the gradient is larger.
        tolerance_change: stops when loss or parameters change less.
        history_size: how many steps the curvature is estimated from.
        line_search_fn: ``"strong_wolfe"`` or None.
    """

    def __init__(
        self, params, lr=1, max_iter=20, max_eval=None, tolerance_grad=1e-7, tolerance_change=1e-9, history_size=100,
        line_search_fn=None,
    ):  # fmt: skip
        if line_search_fn not in (None, "strong_wolfe"):
            raise ValueError(f'line_search_fn is "strong_wolfe" or None, got {line_search_fn!r}')
        options = {"lr": lr, "max_iter": max_iter, "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval}
        options.update(tolerance_grad=tolerance_grad, tolerance_change=tolerance_change, history_size=history_size)
        super().__init__(params, {**options, "line_search_fn": line_search_fn})
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS has one group of parameters for all")

    def _gradient(self):
        parts = [tj.zeros(p.numel(), dtype=p.dtype) if p.grad is None else p.grad.reshape(-1) for p in self._parameters()]
        return tj.cat(parts)

    def _set(self, start, t, direction):
        """Put the parameters at ``start + t * direction``."""
        place = 0
        for p, x in zip(self._parameters(), start, strict=True):
            p.copy_(x + t * direction[place : place + p.numel()].reshape(p.shape))
            place += p.numel()

    def step(self, closure):
        """Minimise for up to ``max_iter`` iterations; the loss at the beginning is given back."""
        with tj.no_grad():
            return self._step(closure)

    def _step(self, closure):
        group, state = self.param_groups[0], self.state.setdefault(self._parameters()[0], {})
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)

        def value():
            with tj.enable_grad():
                return float(closure().detach())

        with tj.enable_grad():
            first = closure()
        loss, calls, iterations = float(first.detach()), 1, 0
        state["func_evals"] += 1
        g = self._gradient()
        if _largest(g) <= group["tolerance_grad"]:
            return first
        while iterations < group["max_iter"]:
            iterations += 1
            state["n_iter"] += 1
            d = self._direction(g, state, group["history_size"])
            state["prev_flat_grad"], state["prev_loss"] = g.clone(), loss
            t = min(1.0, 1.0 / float(g.abs().sum())) * group["lr"] if state["n_iter"] == 1 else group["lr"]
            slope = float(g @ d)
            if slope > -group["tolerance_change"]:
                break
            start, made = [p.detach().clone() for p in self._parameters()], 0
            if group["line_search_fn"]:

                def at(t, start=start, d=d):
                    self._set(start, t, d)
                    f = value()
                    g = self._gradient()
                    return _Point(t, f, g, float(g @ d))

                point, made = _strong_wolfe(at, _Point(0.0, loss, g, slope), t, _largest(d), group["max_eval"] - calls)
                loss, g, t = point.f, point.g, point.t
                self._set(start, t, d)
            else:
                self._set(start, t, d)
                if iterations != group["max_iter"]:
                    loss, made = value(), 1
                    g = self._gradient()
            state["d"], state["t"] = d, t
            calls += made
            state["func_evals"] += made
            change = group["tolerance_change"]
            if iterations == group["max_iter"] or calls >= group["max_eval"] or _largest(g) <= group["tolerance_grad"]:
                break
            if _largest(d) * abs(t) <= change or abs(loss - state["prev_loss"]) < change:
                break
        return first

    def _direction(self, g, state, history):
        """The two-loop recursion over the steps and changes of the gradient that are remembered."""
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
            return -g
        y, s = g - state["prev_flat_grad"], state["d"] * state["t"]
        curvature = float(y @ s)
        if curvature > 1e-10:
            if len(state["old_dirs"]) == history:
                for name in ("old_dirs", "old_stps", "ro"):
                    state[name].pop(0)
            state["old_dirs"].append(y)
            state["old_stps"].append(s)
            state["ro"].append(1.0 / curvature)
            state["H_diag"] = curvature / float(y @ y)
        q, weights = -g, []
        rows = list(zip(state["old_dirs"], state["old_stps"], state["ro"], strict=True))
        for y, s, r in reversed(rows):
            weights.append(float(s @ q) * r)
            q = q - weights[-1] * y
        d = q * state["H_diag"]
        for y, s, r in rows:
            d = d + (weights.pop() - float(y @ d) * r) * s
        return d


def _largest(x) -> float:
    return float(x.abs().max())
