"""Optimisers that find the size of their steps by themselves: Adadelta, Rprop, and averaged gradient descent."""

import tapejit as tj
from tapejit.optim.optimizer import Optimizer, check, decayed


class Adadelta(Optimizer):
    """Adadelta (Zeiler 2012): the gradient times the root of the mean square of past steps over that of past gradients.

    Args:
        params: see ``Optimizer``.
        lr: what the step is multiplied by.
        rho: the rate of the averages.
        eps: added under the roots.
        weight_decay: adds ``weight_decay * p`` to the gradient.
        maximize: climbs instead.
    """

    def __init__(self, params, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0, *, maximize=False):
        check(lr=lr, eps=eps, weight_decay=weight_decay)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"rho must be in [0, 1], got {rho}")
        super().__init__(params, {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize})

    def update(self, p, g, state, group):
        if not state:
            state.update(step=0, square_avg=tj.zeros_like(p), acc_delta=tj.zeros_like(p))
        state["step"] += 1
        g = decayed(p, g, group)
        rho, eps, v, u = group["rho"], group["eps"], state["square_avg"], state["acc_delta"]
        v *= rho
        v += (1 - rho) * (g * g)
        d = (u + eps).sqrt() / (v + eps).sqrt() * g
        u *= rho
        u += (1 - rho) * (d * d)
        p -= group["lr"] * d


class Rprop(Optimizer):
    """Resilient backpropagation (Riedmiller and Braun 1993): steps by the gradient's sign, of a size that grows as long as the
    sign stays, and shrinks (without a step) where it has changed.

    Args:
        params: see ``Optimizer``.
        lr: the first size.
        etas: the factors by which sizes shrink and grow.
        step_sizes: the smallest and the largest size.
        maximize: climbs instead.
    """

    def __init__(self, params, lr=1e-2, etas=(0.5, 1.2), step_sizes=(1e-6, 50), *, maximize=False):
        check(lr=lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"etas must be a factor below 1 and one above, got {etas}")
        super().__init__(params, {"lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize})

    def update(self, p, g, state, group):
        if not state:
            state.update(step=0, prev=tj.zeros_like(p), step_size=tj.full_like(p, group["lr"]))
        state["step"] += 1
        less, more = group["etas"]
        turn = g * state["prev"]
        factor = tj.where(turn > 0, more, tj.where(turn < 0, less, 1.0))
        size = state["step_size"]
        size.copy_(tj.clamp(size * factor, *group["step_sizes"]))
        g = tj.where(turn < 0, 0.0, g)
        p -= g.sign() * size
        state["prev"].copy_(g)


class ASGD(Optimizer):
    """Averaged gradient descent (Polyak and Juditsky 1992): the rate falls, and ``state[p]["ax"]`` is the mean of the points.

    Args:
        params: see ``Optimizer``.
        lr: the first rate; after t steps it is ``lr / (1 + lambd * lr * t) ** alpha``.
        lambd: parameters shrink by ``lambd`` times the rate in each step.
        alpha: see above.
        t0: the mean is that of the points after ``t0 + 1`` steps; before, it is the last point.
        weight_decay: adds ``weight_decay * p`` to the gradient.
        maximize: climbs instead.
    """

    def __init__(self, params, lr=1e-2, lambd=1e-4, alpha=0.75, t0=1e6, weight_decay=0, *, maximize=False):
        check(lr=lr, weight_decay=weight_decay)
        options = {"lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay}
        super().__init__(params, {**options, "maximize": maximize})

    def update(self, p, g, state, group):
        if not state:
            state.update(step=0, eta=group["lr"], mu=1.0, ax=tj.zeros_like(p))
        state["step"] += 1
        g = decayed(p, g, group)
        lambd, lr, ax = group["lambd"], group["lr"], state["ax"]
        p *= 1 - lambd * state["eta"]
        p -= state["eta"] * g
        if state["mu"] == 1.0:
            ax.copy_(p)
        else:
            ax += state["mu"] * (p - ax)
        state["eta"] = lr / (1 + lambd * lr * state["step"]) ** group["alpha"]
        state["mu"] = 1 / max(1, state["step"] - group["t0"])
