"""Stochastic gradient descent."""

from tapejit.optim.optimizer import Optimizer, check, decayed


class SGD(Optimizer):
    """Gradient descent with momentum b:  b = momentum * b + (1 - dampening) * g,  p -= lr * b.

    Args:
        params: see ``Optimizer``.
        lr: the learning rate.
        momentum: the share of the last step that is kept.
        dampening: what is taken from the gradient's share, but in the first step.
        weight_decay: adds ``weight_decay * p`` to the gradient.
        nesterov: steps along ``g + momentum * b``.
        maximize: climbs instead.
    """

    def __init__(self, params, lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False, *, maximize=False):
        check(lr=lr, momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        options = {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay}
        super().__init__(params, {**options, "nesterov": nesterov, "maximize": maximize})

    def update(self, p, g, state, group):
        g = decayed(p, g, group)
        momentum = group["momentum"]
        if momentum:
            b = state.get("momentum_buffer")
            if b is None:
                b = state["momentum_buffer"] = g.detach().clone()
            else:
                b *= momentum
                b += (1 - group["dampening"]) * g
            g = g + momentum * b if group["nesterov"] else b
        p -= group["lr"] * g
