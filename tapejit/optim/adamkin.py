"""Relatives of Adam: with the largest gradient (Adamax), Nesterov's momentum (NAdam), a rectified start (RAdam)."""

import math

from tapejit.optim.adaptive import averages, shares
from tapejit.optim.grouped import Grouped
from tapejit.optim.optimizer import check, check_betas
from tapejit.spec.elementwise import abs, maximum, sqrt, where


class Adamax(Grouped):
    """Adamax (Kingma and Ba 2014): Adam with the decaying maximum of the gradient's size in place of its mean square.

    Args:
        params: see ``Optimizer``.
        lr: the learning rate.
        betas: the rates of the average and of the maximum.
        eps: added to the gradient's size.
        weight_decay: adds ``weight_decay * p`` to the gradient.
        maximize: climbs instead.
        ways: ``foreach``, ``fused``, ``capturable``: taken and of no effect, a group is one compiled call anyway.
    """

    def __init__(self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, *, maximize=False, **ways):
        check(lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas(betas)
        options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, options, **ways)

    def arrays(self, group):
        return {"exp_avg": 0.0, "exp_inf": 0.0}

    def numbers(self, group, counters, fresh):
        t = counters[0] + 1
        beta1, beta2 = group["betas"]
        return (t,), [group["lr"] / (1 - beta1**t), 1 - beta1, beta2, group["eps"]]

    @staticmethod
    def rule():
        def rule(p, g, m, u, rate, share, beta2, eps):
            m, u = m + share * (g - m), maximum(beta2 * u, abs(g) + eps)
            return p - rate * (m / u), m, u

        return rule


class _Decaying(Grouped):
    """What NAdam and RAdam have in common: the options of Adam's averages and of its two ways of weight decay."""

    def __init__(self, params, lr, betas, eps, weight_decay, decoupled_weight_decay, maximize, ways, **options):
        check(lr=lr, eps=eps, weight_decay=weight_decay, **options)
        check_betas(betas)
        options.update(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize)
        super().__init__(params, {**options, "decoupled_weight_decay": decoupled_weight_decay}, **ways)

    def arrays(self, group):
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0}


class NAdam(_Decaying):
    """NAdam (Dozat 2016): Adam with Nesterov's momentum, whose rate grows towards beta 1.

    Args:
        params: see ``Optimizer``.
        lr: the learning rate.
        betas: the rates of the averages.
        eps: added to the square root.
        weight_decay: adds ``weight_decay * p`` to the gradient.
        momentum_decay: how fast the momentum grows.
        decoupled_weight_decay: shrinks p by ``lr * weight_decay`` instead of changing the gradient.
        maximize: climbs instead.
        ways: ``foreach``, ``fused``, ``capturable``: taken and of no effect, a group is one compiled call anyway.
    """

    def __init__(
        self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, momentum_decay=4e-3,
        decoupled_weight_decay=False, *, maximize=False, **ways,
    ):  # fmt: skip
        shared = params, lr, betas, eps, weight_decay, decoupled_weight_decay, maximize, ways
        super().__init__(*shared, momentum_decay=momentum_decay)

    counters = {"step": 0, "mu_product": 1.0}  # noqa: RUF012  (read only)

    def numbers(self, group, counters, fresh):
        t, product = counters[0] + 1, counters[1]
        (beta1, beta2), lr = group["betas"], group["lr"]
        mu, mu_next = (beta1 * (1.0 - 0.5 * 0.96 ** (k * group["momentum_decay"])) for k in (t, t + 1))
        product *= mu
        rates = lr * (1.0 - mu) / (1.0 - product), lr * mu_next / (1.0 - product * mu_next)
        return (t, product), [*rates, *shares((beta1, beta2)), 1 - beta2**t, group["eps"]]

    @staticmethod
    def rule():
        def rule(p, g, m, v, rate, rate_next, share1, beta2, share2, unbias, eps):
            m, v = averages(g, m, v, share1, beta2, share2)
            scale = sqrt(v / unbias) + eps
            return p - rate * (g / scale) - rate_next * (m / scale), m, v

        return rule


class RAdam(_Decaying):
    """RAdam (Liu and others 2019): Adam that steps along the mean gradient as long as the variance of its scale is too large.

    Args:
        params: see ``Optimizer``.
        lr: the learning rate.
        betas: the rates of the averages.
        eps: added to the square root.
        weight_decay: adds ``weight_decay * p`` to the gradient.
        decoupled_weight_decay: shrinks p by ``lr * weight_decay`` instead of changing the gradient.
        maximize: climbs instead.
        ways: ``foreach``, ``fused``, ``capturable``: taken and of no effect, a group is one compiled call anyway.
    """

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, decoupled_weight_decay=False, *, maximize=False,
        **ways,
    ):  # fmt: skip
        super().__init__(params, lr, betas, eps, weight_decay, decoupled_weight_decay, maximize, ways)

    def numbers(self, group, counters, fresh):
        t = counters[0] + 1
        beta1, beta2 = group["betas"]
        unbias = 1 - beta2**t
        longest = 2 / (1 - beta2) - 1
        rho = longest - 2 * t * beta2**t / unbias
        rectified = 0.0
        if rho > 5.0:
            rectified = math.sqrt(unbias * (rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho))
        return (t,), [group["lr"] / (1 - beta1**t), *shares((beta1, beta2)), rectified, group["eps"]]

    @staticmethod
    def rule():
        def rule(p, g, m, v, rate, share1, beta2, share2, rectified, eps):
            m, v = averages(g, m, v, share1, beta2, share2)
            d = rate * m
            return p - where(rectified > 0.0, d * rectified / (sqrt(v) + eps), d), m, v

        return rule
