"""Relatives of Adam: with the largest gradient (Adamax), Nesterov's momentum (NAdam), a rectified start (RAdam)."""

import math

import tapejit as tj
from tapejit.optim.adaptive import averaged
from tapejit.optim.optimizer import Optimizer, check, check_betas, decayed


class Adamax(Optimizer):
    """Adamax (Kingma and Ba 2014): Adam with the decaying maximum of the gradient's size in place of its mean square.

    Args:
        params: see ``Optimizer``.
        lr: the learning rate.
        betas: the rates of the average and of the maximum.
        eps: added to the gradient's size.
        weight_decay: adds ``weight_decay * p`` to the gradient.
        maximize: climbs instead.
    """

    def __init__(self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, *, maximize=False):
        check(lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas(betas)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize})

    def update(self, p, g, state, group):
        if not state:
            state.update(step=0, exp_avg=tj.zeros_like(p), exp_inf=tj.zeros_like(p))
        state["step"] += 1
        g = decayed(p, g, group)
        (beta1, beta2), m, u = group["betas"], state["exp_avg"], state["exp_inf"]
        m += (1 - beta1) * (g - m)
        u.copy_(tj.maximum(beta2 * u, g.abs() + group["eps"]))
        p -= (group["lr"] / (1 - beta1 ** state["step"])) * (m / u)


class _Decaying(Optimizer):
    """What NAdam and RAdam have in common: the options of Adam's averages and of its two ways of weight decay."""

    def __init__(self, params, lr, betas, eps, weight_decay, decoupled_weight_decay, maximize, **options):
        check(lr=lr, eps=eps, weight_decay=weight_decay, **options)
        check_betas(betas)
        options.update(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize)
        super().__init__(params, {**options, "decoupled_weight_decay": decoupled_weight_decay})


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
    """

    def __init__(
        self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, momentum_decay=4e-3,
        decoupled_weight_decay=False, *, maximize=False,
    ):  # fmt: skip
        super().__init__(
            params, lr, betas, eps, weight_decay, decoupled_weight_decay, maximize, momentum_decay=momentum_decay
        )

    def update(self, p, g, state, group):
        g = averaged(p, g, state, group)
        (beta1, beta2), lr, t = group["betas"], group["lr"], state["step"]
        mu, mu_next = (beta1 * (1.0 - 0.5 * 0.96 ** (k * group["momentum_decay"])) for k in (t, t + 1))
        product = state["mu_product"] = state.get("mu_product", 1.0) * mu
        scale = (state["exp_avg_sq"] / (1 - beta2**t)).sqrt() + group["eps"]
        p -= (lr * (1.0 - mu) / (1.0 - product)) * (g / scale)
        p -= (lr * mu_next / (1.0 - product * mu_next)) * (state["exp_avg"] / scale)


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
    """

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, decoupled_weight_decay=False, *, maximize=False
    ):  # fmt: skip
        super().__init__(params, lr, betas, eps, weight_decay, decoupled_weight_decay, maximize)

    def update(self, p, g, state, group):
        averaged(p, g, state, group)
        (beta1, beta2), t = group["betas"], state["step"]
        unbias = 1 - beta2**t
        longest = 2 / (1 - beta2) - 1
        rho = longest - 2 * t * beta2**t / unbias
        d = (group["lr"] / (1 - beta1**t)) * state["exp_avg"]
        if rho > 5.0:
            rectified = math.sqrt((rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho))
            d = d * (rectified * math.sqrt(unbias)) / (state["exp_avg_sq"].sqrt() + group["eps"])
        p -= d
