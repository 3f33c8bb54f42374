"""Optimisers that scale each element's step by running averages of its gradient: Adam, AdamW, RMSprop, Adagrad."""

import math

from tapejit.optim.grouped import Grouped
from tapejit.optim.optimizer import check, check_betas
from tapejit.spec.elementwise import maximum, sqrt


def averages(g, m, v, share1, beta2, share2):
    """Adam's averages of the gradient and of its square, with one more gradient in them."""
    return m + share1 * (g - m), beta2 * v + share2 * (g * g)


def shares(betas):
    """The numbers that ``averages`` takes."""
    beta1, beta2 = betas
    return [1 - beta1, beta2, 1 - beta2]


class Adam(Grouped):
    """Adam (Kingma and Ba 2014): averages m of the gradient and v of its square, both corrected for their start at zero.

    Args:
        params: see ``Optimizer``.
        lr: the learning rate.
        betas: the rates of the averages.
        eps: added to the square root of v.
        weight_decay: adds ``weight_decay * p`` to the gradient.
        amsgrad: divides by the largest v so far.
        maximize: climbs instead.
        decoupled_weight_decay: shrinks p by ``lr * weight_decay`` instead of changing the gradient, as AdamW.
        ways: ``foreach``, ``fused``, ``capturable``: taken and of no effect, a group is one compiled call anyway.
    """

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, amsgrad=False, *, maximize=False,
        decoupled_weight_decay=False, **ways,
    ):  # fmt: skip
        check(lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas(betas)
        options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad}
        super().__init__(params, {**options, "maximize": maximize, "decoupled_weight_decay": decoupled_weight_decay}, **ways)

    def arrays(self, group):
        return dict.fromkeys(("exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if group["amsgrad"] else ())), 0.0)

    def numbers(self, group, counters, fresh):
        t = counters[0] + 1
        beta1, beta2 = group["betas"]
        return (t,), [group["lr"] / (1 - beta1**t), *shares((beta1, beta2)), math.sqrt(1 - beta2**t), group["eps"]]

    def kind(self, group):
        return (group["amsgrad"],)

    @staticmethod
    def rule(amsgrad):
        def rule(p, g, m, v, *rest):
            largest, (rate, share1, beta2, share2, unbias, eps) = rest[:-6], rest[-6:]
            m, v = averages(g, m, v, share1, beta2, share2)
            largest = [maximum(x, v) for x in largest]
            return p - rate * (m / (sqrt(largest[0] if amsgrad else v) / unbias + eps)), m, v, *largest

        return rule


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2017): the parameters shrink by ``lr * weight_decay``."""

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, amsgrad=False, *, maximize=False, **ways
    ):  # fmt: skip
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True, **ways)


class RMSprop(Grouped):
    """RMSprop: the gradient over the root of the running average of its square.

    Args:
        params: see ``Optimizer``.
        lr: the learning rate.
        alpha: the rate of the average.
        eps: added to the root.
        weight_decay: adds ``weight_decay * p`` to the gradient.
        momentum: the share of the last step that is kept.
        centered: takes the variance instead of the mean square.
        maximize: climbs instead.
        ways: ``foreach``, ``fused``, ``capturable``: taken and of no effect, a group is one compiled call anyway.
    """

    def __init__(
        self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False, *, maximize=False,
        **ways,
    ):  # fmt: skip
        check(lr=lr, eps=eps, momentum=momentum, weight_decay=weight_decay, alpha=alpha)
        options = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay, "momentum": momentum}
        super().__init__(params, {**options, "centered": centered, "maximize": maximize}, **ways)

    def arrays(self, group):
        momentum, centered = self.kind(group)
        names = "square_avg", *(("momentum_buffer",) if momentum else ()), *(("grad_avg",) if centered else ())
        return dict.fromkeys(names, 0.0)

    def numbers(self, group, counters, fresh):
        alpha = group["alpha"]
        return (counters[0] + 1,), [group["lr"], alpha, 1 - alpha, group["eps"], group["momentum"]]

    def kind(self, group):
        return group["momentum"] > 0, group["centered"]

    @staticmethod
    def rule(with_momentum, centered):
        def rule(p, g, v, *rest):
            others, (lr, alpha, share, eps, momentum) = list(rest[:-5]), rest[-5:]
            v = alpha * v + share * (g * g)
            spread = v
            if centered:
                m = others[-1] = others[-1] + share * (g - others[-1])
                spread = v - m * m
            d = g / (sqrt(spread) + eps)
            if with_momentum:
                d = others[0] = momentum * others[0] + d
            return p - lr * d, v, *others

        return rule


class Adagrad(Grouped):
    """Adagrad (Duchi and others 2011): the gradient over the root of the sum of its squares.

    Args:
        params: see ``Optimizer``.
        lr: the learning rate.
        lr_decay: the rate falls as ``lr / (1 + (step - 1) * lr_decay)``.
        weight_decay: adds ``weight_decay * p`` to the gradient.
        initial_accumulator_value: where the sum begins.
        eps: added to the root.
        maximize: climbs instead.
        ways: ``foreach``, ``fused``, ``capturable``: taken and of no effect, a group is one compiled call anyway.
    """

    def __init__(
        self, params, lr=1e-2, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1e-10, *, maximize=False,
        **ways,
    ):  # fmt: skip
        check(lr=lr, lr_decay=lr_decay, weight_decay=weight_decay, eps=eps)
        check(initial_accumulator_value=initial_accumulator_value)
        options = {"lr": lr, "lr_decay": lr_decay, "weight_decay": weight_decay, "eps": eps}
        options["initial_accumulator_value"] = initial_accumulator_value
        super().__init__(params, {**options, "maximize": maximize}, **ways)

    def arrays(self, group):
        return {"sum": group["initial_accumulator_value"]}

    def numbers(self, group, counters, fresh):
        t = counters[0]
        return (t + 1,), [group["lr"] / (1 + t * group["lr_decay"]), group["eps"]]

    @staticmethod
    def rule():
        def rule(p, g, total, rate, eps):
            total = total + g * g
            return p - rate * (g / (sqrt(total) + eps)), total

        return rule
