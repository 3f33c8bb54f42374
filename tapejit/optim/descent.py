"""Stochastic gradient descent."""

from tapejit.optim.grouped import Grouped
from tapejit.optim.optimizer import check


class SGD(Grouped):
    """Gradient descent with momentum b:  b = momentum * b + (1 - dampening) * g,  p -= lr * b.

    Args:
        params: see ``Optimizer``.
        lr: the learning rate.
        momentum: the share of the last step that is kept.
        dampening: what is taken from the gradient's share, but in the first step.
        weight_decay: adds ``weight_decay * p`` to the gradient.
        nesterov: steps along ``g + momentum * b``.
        maximize: climbs instead.
        ways: ``foreach``, ``fused``: taken and of no effect, a group is one compiled call anyway.
    """

    counters = {}  # noqa: RUF012  (read only)

    def __init__(self, params, lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False, *, maximize=False, **ways):
        check(lr=lr, momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        options = {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay}
        super().__init__(params, {**options, "nesterov": nesterov, "maximize": maximize}, **ways)

    def arrays(self, group):
        return {"momentum_buffer": 0.0} if group["momentum"] else {}

    def numbers(self, group, counters, fresh):
        momentum = group["momentum"]
        if not momentum:
            return (), [group["lr"]]
        kept, share = (0.0, 1.0) if fresh else (momentum, 1 - group["dampening"])
        return (), [group["lr"], momentum, kept, share]

    def kind(self, group):
        return bool(group["momentum"]), group["nesterov"]

    @staticmethod
    def rule(with_momentum, nesterov):
        if not with_momentum:
            return lambda p, g, lr: (p - lr * g,)

        def rule(p, g, b, lr, momentum, kept, share):
            b = kept * b + share * g
            return p - lr * (g + momentum * b if nesterov else b), b

        return rule
