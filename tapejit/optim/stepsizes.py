"""Optimisers that find the size of their steps by themselves: Adadelta, Rprop, and averaged gradient descent."""

from tapejit.optim.grouped import Grouped
from tapejit.optim.optimizer import check
from tapejit.spec.elementwise import clamp_max, clamp_min, sign, sqrt, where


class Adadelta(Grouped):
    """Adadelta (Zeiler 2012): the gradient times the root of the mean square of past steps over that of past gradients.

    Args:
        params: see ``Optimizer``.
        lr: what the step is multiplied by.
        rho: the rate of the averages.
        eps: added under the roots.
        weight_decay: adds ``weight_decay * p`` to the gradient.
        maximize: climbs instead.
        ways: ``foreach``, ``fused``, ``capturable``: taken and of no effect, a group is one compiled call anyway.
    """

    def __init__(self, params, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0, *, maximize=False, **ways):
        check(lr=lr, eps=eps, weight_decay=weight_decay)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"rho must be in [0, 1], got {rho}")
        options = {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**options, "maximize": maximize}, **ways)

    def arrays(self, group):
        return {"square_avg": 0.0, "acc_delta": 0.0}

    def numbers(self, group, counters, fresh):
        rho = group["rho"]
        return (counters[0] + 1,), [group["lr"], rho, 1 - rho, group["eps"]]

    @staticmethod
    def rule():
        def rule(p, g, v, u, lr, rho, share, eps):
            v = rho * v + share * (g * g)
            d = sqrt(u + eps) / sqrt(v + eps) * g
            return p - lr * d, v, rho * u + share * (d * d)

        return rule


class Rprop(Grouped):
    """Resilient backpropagation (Riedmiller and Braun 1993): steps by the gradient's sign, of a size that grows as long as the
    sign stays, and shrinks (without a step) where it has changed.

    Args:
        params: see ``Optimizer``.
        lr: the first size.
        etas: the factors by which sizes shrink and grow.
        step_sizes: the smallest and the largest size.
        maximize: climbs instead.
        ways: ``foreach``, ``fused``, ``capturable``: taken and of no effect, a group is one compiled call anyway.
    """

    def __init__(self, params, lr=1e-2, etas=(0.5, 1.2), step_sizes=(1e-6, 50), *, maximize=False, **ways):
        check(lr=lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"etas must be a factor below 1 and one above, got {etas}")
        super().__init__(params, {"lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize}, **ways)

    def arrays(self, group):
        return {"prev": 0.0, "step_size": group["lr"]}

    def numbers(self, group, counters, fresh):
        return (counters[0] + 1,), [*group["etas"], *group["step_sizes"]]

    @staticmethod
    def rule():
        def rule(p, g, before, size, less, more, least, most):
            turn = g * before
            grown = where(turn > 0.0, size * more, where(turn < 0.0, size * less, size))
            size = clamp_max(clamp_min(grown, least), most)
            g = where(turn < 0.0, 0.0, g)
            return p - sign(g) * size, g, size

        return rule


class ASGD(Grouped):
    """Averaged gradient descent (Polyak and Juditsky 1992): the rate falls, and ``state[p]["ax"]`` is the mean of the points.

    Args:
        params: see ``Optimizer``.
        lr: the first rate; after t steps it is ``lr / (1 + lambd * lr * t) ** alpha``.
        lambd: parameters shrink by ``lambd`` times the rate in each step.
        alpha: see above.
        t0: the mean is that of the points after ``t0 + 1`` steps; before, it is the last point.
        weight_decay: adds ``weight_decay * p`` to the gradient.
        maximize: climbs instead.
        ways: ``foreach``, ``fused``, ``capturable``: taken and of no effect, a group is one compiled call anyway.
    """

    counters = {"step": 0, "eta": None, "mu": 1.0}  # noqa: RUF012  (read only)

    def __init__(self, params, lr=1e-2, lambd=1e-4, alpha=0.75, t0=1e6, weight_decay=0, *, maximize=False, **ways):
        check(lr=lr, weight_decay=weight_decay)
        options = {"lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay}
        super().__init__(params, {**options, "maximize": maximize}, **ways)

    def arrays(self, group):
        return {"ax": 0.0}

    def numbers(self, group, counters, fresh):
        (t, eta, mu), lr, lambd = counters, group["lr"], group["lambd"]
        t, eta = t + 1, lr if eta is None else eta
        after = t, lr / (1 + lambd * lr * t) ** group["alpha"], 1 / max(1, t - group["t0"])
        return after, [1 - lambd * eta, eta, mu]

    @staticmethod
    def rule():
        def rule(p, g, mean, kept, eta, mu):
            p = kept * p - eta * g
            return p, where(mu == 1.0, p, mean + mu * (p - mean))

        return rule
