"""Optimisers that scale each element's step by running averages of its gradient: Adam, AdamW, RMSprop, Adagrad."""

import math

import tapejit as tj
from tapejit.optim.optimizer import Optimizer, check, check_betas, decayed


def averaged(p, g, state, group):
    """The gradient with its weight decay, once Adam's averages of it and of its square have taken it in."""
    if not state:
        state.update(step=0, exp_avg=tj.zeros_like(p), exp_avg_sq=tj.zeros_like(p))
    state["step"] += 1
    g = decayed(p, g, group)
    (beta1, beta2), m, v = group["betas"], state["exp_avg"], state["exp_avg_sq"]
    m += (1 - beta1) * (g - m)
    v *= beta2
    v += (1 - beta2) * (g * g)
    return g


class Adam(Optimizer):
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
    """

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, amsgrad=False, *, maximize=False,
        decoupled_weight_decay=False,
    ):  # fmt: skip
        check(lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas(betas)
        options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad}
        super().__init__(params, {**options, "maximize": maximize, "decoupled_weight_decay": decoupled_weight_decay})

    def update(self, p, g, state, group):
        averaged(p, g, state, group)
        if group["amsgrad"] and "max_exp_avg_sq" not in state:
            state["max_exp_avg_sq"] = tj.zeros_like(p)
        lr, (beta1, beta2), m, v = group["lr"], group["betas"], state["exp_avg"], state["exp_avg_sq"]
        if group["amsgrad"]:
            largest = state["max_exp_avg_sq"]
            largest.copy_(tj.maximum(largest, v))
            v = largest
        t = state["step"]
        scale = v.sqrt() / math.sqrt(1 - beta2**t) + group["eps"]
        p -= (lr / (1 - beta1**t)) * (m / scale)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2017): the parameters shrink by ``lr * weight_decay``."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, amsgrad=False, *, maximize=False):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True)


class RMSprop(Optimizer):
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
    """

    def __init__(
        self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False, *, maximize=False
    ):  # fmt: skip
        check(lr=lr, eps=eps, momentum=momentum, weight_decay=weight_decay, alpha=alpha)
        options = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay, "momentum": momentum}
        super().__init__(params, {**options, "centered": centered, "maximize": maximize})

    def update(self, p, g, state, group):
        if not state:
            state.update(step=0, square_avg=tj.zeros_like(p))
            if group["momentum"] > 0:
                state["momentum_buffer"] = tj.zeros_like(p)
            if group["centered"]:
                state["grad_avg"] = tj.zeros_like(p)
        state["step"] += 1
        g = decayed(p, g, group)
        alpha, v = group["alpha"], state["square_avg"]
        v *= alpha
        v += (1 - alpha) * (g * g)
        if group["centered"]:
            m = state["grad_avg"]
            m += (1 - alpha) * (g - m)
            v = v - m * m
        d = g / (v.sqrt() + group["eps"])
        if group["momentum"] > 0:
            b = state["momentum_buffer"]
            b *= group["momentum"]
            b += d
            d = b
        p -= group["lr"] * d


class Adagrad(Optimizer):
    """Adagrad (Duchi and others 2011): the gradient over the root of the sum of its squares.

    Args:
        params: see ``Optimizer``.
        lr: the learning rate.
        lr_decay: the rate falls as ``lr / (1 + (step - 1) * lr_decay)``.
        weight_decay: adds ``weight_decay * p`` to the gradient.
        initial_accumulator_value: where the sum begins.
        eps: added to the root.
        maximize: climbs instead.
    """

    def __init__(
        self, params, lr=1e-2, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1e-10, *, maximize=False
    ):  # fmt: skip
        check(lr=lr, lr_decay=lr_decay, weight_decay=weight_decay, eps=eps)
        check(initial_accumulator_value=initial_accumulator_value)
        options = {"lr": lr, "lr_decay": lr_decay, "weight_decay": weight_decay, "eps": eps}
        super().__init__(params, {**options, "initial_accumulator_value": initial_accumulator_value, "maximize": maximize})

    def update(self, p, g, state, group):
        if not state:
            state.update(step=0, sum=tj.full_like(p, group["initial_accumulator_value"]))
        state["step"] += 1
        g = decayed(p, g, group)
        total = state["sum"]
        total += g * g
        p -= (group["lr"] / (1 + (state["step"] - 1) * group["lr_decay"])) * (g / (total.sqrt() + group["eps"]))
