"""Derivatives of solutions of initial value problems by the adjoint equation, solved back from the end.

With ``dy/dt = f(y, t, p)`` and the gradient a of a result in y(t), ``da/dt = -a df/dy``, and the gradient in p is the integral
of ``a df/dp`` (Chen and others, Neural Ordinary Differential Equations, NeurIPS 2018, appendix B). Going back, y starts anew
from what is known at every time.
"""

import functools

from tapejit.control.recompute import beyond, is_tensor, stand_ins, trial
from tapejit.eager.autograd import grad
from tapejit.eager.creation import zeros
from tapejit.eager.grad_mode import is_grad_enabled, no_grad
from tapejit.eager.indexing import cat, stack
from tapejit.eager.tensor import Tensor
from tapejit.eager.userfunction import Function
from tapejit.replay.trees import flatten


def by_adjoint_equation(solution, slope, y0, times, args):
    """y at the times, (times, *y0.shape), which leave nothing of the way there on the tape.

    Args:
        solution: ``solution(slope, y0, times, args)`` solves an equation.
        slope: ``slope(y, t, args)``, the right hand side; tensors that it closes over get their gradients too.
    """
    leaves, boundary = [], zeros(())
    structure = flatten(((y0, *args), {}), is_tensor, leaves)

    def right_hand_side(t, y, *args):
        return slope(y, t, args)

    inputs, outputs, _ = trial(functools.partial(right_hand_side, times[0].detach()), structure, leaves, Tensor.detach)
    outside = beyond(outputs, inputs, boundary)
    with no_grad():
        values = solution(slope, y0, times, args)
    wanted = [x for x in leaves[1:] if x.requires_grad]
    problem = solution, right_hand_side, structure, leaves[1:], outside
    return _Solution.apply(problem, values, y0, times, *wanted, *outside)


class _Solution(Function):
    """Values that are known, and what goes back from them to the start, the times and the parameters."""

    @staticmethod
    def forward(ctx, problem, values, y0, times, *wanted):
        ctx.problem = problem
        ctx.save_for_backward(values, times)
        return values

    @staticmethod
    def backward(ctx, arrived):
        solution, right_hand_side, structure, leaves, outside = ctx.problem
        values, times = ctx.saved_tensors
        with stand_ins(outside) as outside:
            pullback = functools.partial(_pullback, right_hand_side, structure, leaves, outside)
            return None, None, *_back(solution, pullback, values, times, arrived)


def _pullback(right_hand_side, structure, leaves, outside, y, t, a):
    """(f, and the gradients of ``a f`` in y and in everything wanted), vectors."""
    again = is_grad_enabled()
    y = y if again and y.requires_grad else y.detach().requires_grad_()
    copied = Tensor.clone if again else Tensor.detach
    inputs, (value,), _ = trial(functools.partial(right_hand_side, t), structure, [y, *leaves], copied)
    inputs += outside
    if value.requires_grad:
        found = grad([value], inputs, [a.reshape(value.shape)], create_graph=again, allow_unused=True)
    else:
        found = [None] * len(inputs)
    value = value if again else value.detach()
    return value.reshape(-1), [(x * 0.0 if g is None else g).reshape(-1) for x, g in zip(inputs, found, strict=True)], inputs


def _back(solution, pullback, values, times, arrived):
    """The gradients of the start, of the times, and of everything wanted."""
    n = values[0].numel()

    def slope(state, t, args):
        value, (of_y, *rest), _ = pullback(state[:n].reshape(values.shape[1:]), t, state[n : 2 * n])
        return cat([value, -of_y, *(-g for g in rest)])

    last = values.shape[0] - 1
    a = arrived[last].reshape(-1)
    speed, (_, *rest), (_, *wanted) = pullback(values[last], times[last], a)
    sums, of_times = cat([a[:0], *(g * 0.0 for g in rest)]), []
    for i in range(last, 0, -1):
        of_times.append((arrived[i].reshape(-1) * speed).sum())
        state = cat([values[i].reshape(-1), a, sums])
        state = solution(slope, state, stack([times[i], times[i - 1]]), ())[1]
        before, sums = state[n : 2 * n], state[2 * n :]
        speed = pullback(values[i - 1], times[i - 1], before)[0]
        a = before + arrived[i - 1].reshape(-1)
    of_times.append(-(before * speed).sum() if last else times[0] * 0.0)
    parts, begin = [], 0
    for x in wanted:
        parts.append(sums[begin : begin + x.numel()].reshape(x.shape))
        begin += x.numel()
    return a.reshape(values.shape[1:]), stack(of_times[::-1]), *parts
