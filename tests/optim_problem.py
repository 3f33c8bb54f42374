"""A small problem for optimisers, the same for any library with PyTorch's names: ``run(library, make)``."""

import math

import numpy as np

ROWS = np.array([[math.sin(3 * i + j) for j in range(3)] for i in range(6)])
SEEN = np.array([math.cos(2 * i) for i in range(6)])

OPTIMISERS = {
    "SGD": lambda o, w, c: o.SGD(groups(w, c), lr=0.02),
    "SGD momentum": lambda o, w, c: o.SGD(groups(w, c), lr=0.01, momentum=0.9, dampening=0.1, weight_decay=0.01),
    "SGD Nesterov": lambda o, w, c: o.SGD([w, c], lr=0.01, momentum=0.9, nesterov=True, weight_decay=0.02),
    "SGD maximize": lambda o, w, c: o.SGD([w], lr=0.001, maximize=True),
    "Adam": lambda o, w, c: o.Adam(groups(w, c), lr=0.01),
    "Adam amsgrad": lambda o, w, c: o.Adam(groups(w, c), lr=0.02, betas=(0.8, 0.99), weight_decay=0.1, amsgrad=True),
    "AdamW": lambda o, w, c: o.AdamW(groups(w, c), lr=0.01, weight_decay=0.1),
    "RMSprop": lambda o, w, c: o.RMSprop(groups(w, c)),
    "RMSprop centered": lambda o, w, c: o.RMSprop(groups(w, c), lr=0.001, momentum=0.9, centered=True, weight_decay=0.01),
    "Adagrad": lambda o, w, c: o.Adagrad([w, c], lr=0.1, lr_decay=0.01, weight_decay=0.01, initial_accumulator_value=0.1),
    "Adadelta": lambda o, w, c: o.Adadelta(groups(w, c), lr=0.5, rho=0.8, weight_decay=0.01),
    "Adamax": lambda o, w, c: o.Adamax(groups(w, c), lr=0.02, weight_decay=0.05),
    "NAdam": lambda o, w, c: o.NAdam(groups(w, c), lr=0.01, weight_decay=0.02),
    "NAdam decoupled": lambda o, w, c: o.NAdam([w, c], momentum_decay=0.01, weight_decay=0.1, decoupled_weight_decay=True),
    "RAdam": lambda o, w, c: o.RAdam(groups(w, c), lr=0.01, weight_decay=0.02),
    "RAdam decoupled": lambda o, w, c: o.RAdam([w, c], lr=0.02, weight_decay=0.1, decoupled_weight_decay=True),
    "Rprop": lambda o, w, c: o.Rprop(groups(w, c), lr=0.01, etas=(0.4, 1.3), step_sizes=(1e-5, 0.2)),
    "ASGD": lambda o, w, c: o.ASGD(groups(w, c), lr=0.02, lambd=0.01, t0=50, weight_decay=0.01),
    "LBFGS": lambda o, w, c: o.LBFGS([w, c], lr=0.05, max_iter=2),
    "LBFGS strong_wolfe": lambda o, w, c: o.LBFGS([w, c], line_search_fn="strong_wolfe", max_iter=3, history_size=4),
}


def _times(epoch):
    return 0.8


SCHEDULES = {
    "LambdaLR": lambda s, o: s.LambdaLR(o, lambda epoch: 0.95**epoch),
    "StepLR": lambda s, o: s.StepLR(o, 7, 0.5),
    "MultiStepLR": lambda s, o: s.MultiStepLR(o, [5, 12, 12, 30]),
    "ConstantLR": lambda s, o: s.ConstantLR(o),
    "LinearLR": lambda s, o: s.LinearLR(o, total_iters=11),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.9),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 10, 1e-4),
    "CosineAnnealingWarmRestarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 6, 2, 1e-5),
    "OneCycleLR": lambda s, o: s.OneCycleLR(o, 0.05, total_steps=41),
    "OneCycleLR three phases": lambda s, o: s.OneCycleLR(
        o, [0.05, 0.01], epochs=7, steps_per_epoch=6, anneal_strategy="linear", three_phase=True
    ),
    "MultiplicativeLR": lambda s, o: s.MultiplicativeLR(o, lambda epoch: 0.9 + 0.01 * (epoch % 3)),
    "PolynomialLR": lambda s, o: s.PolynomialLR(o, 30, 2.0),
    "CyclicLR": lambda s, o: s.CyclicLR(o, 0.01, [0.1, 0.05], step_size_up=4, step_size_down=7, mode="triangular2"),
    "CyclicLR exp_range": lambda s, o: s.CyclicLR(o, [0.01, 0.02], 0.1, step_size_up=6, mode="exp_range", gamma=0.97),
    "CyclicLR function": lambda s, o: s.CyclicLR(
        o, 0.01, 0.1, 5, scale_fn=lambda k: 1 / (1 + 0.1 * k), scale_mode="iterations", cycle_momentum=False
    ),
    "SequentialLR": lambda s, o: s.SequentialLR(
        o,
        [s.LinearLR(o, total_iters=5), s.ExponentialLR(o, 0.9), s.CosineAnnealingLR(o, 12), s.MultiplicativeLR(o, _times)],
        [6, 13, 27],
    ),
    "ChainedScheduler": lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 12), s.StepLR(o, 6, 0.8), s.PolynomialLR(o, 33)]),
    "SequentialLR of chained": lambda s, o: s.SequentialLR(
        o, [s.ChainedScheduler([s.ConstantLR(o, 0.5, 3), s.ExponentialLR(o, 0.9)]), s.MultiStepLR(o, [3, 8], 0.3)], [12]
    ),
    "ReduceLROnPlateau": lambda s, o: s.ReduceLROnPlateau(o, factor=0.5, patience=2, cooldown=1),
    "ReduceLROnPlateau max": lambda s, o: s.ReduceLROnPlateau(o, "max", patience=3, threshold_mode="abs", min_lr=1e-3),
}


def groups(w, c):
    return [{"params": [w]}, {"params": [c], "lr": 0.003}]


def run(library, name, steps=200, resume=None):
    """The parameters after some steps, and the optimiser; ``resume(optimiser, w, c)`` gives another one half way."""
    w = library.tensor(np.array([1.0, -2.0, 0.5]), requires_grad=True)
    c = library.tensor(np.array([[0.3, -0.7], [1.1, 0.2]]), requires_grad=True)
    optimiser = OPTIMISERS[name](library.optim, w, c)
    rows, seen = library.tensor(ROWS), library.tensor(SEEN)

    def closure():
        optimiser.zero_grad()
        loss = ((rows @ w - seen) ** 2).mean() + (c**4).sum() + (w[0] - c[0, 0]) ** 2 + 0.1 * (1 - c.sin()).sum()
        loss.backward()
        return loss

    for k in range(steps):
        if resume is not None and k == steps // 2:
            optimiser = resume(optimiser, w, c)
        if name.startswith("LBFGS"):
            optimiser.step(closure)
        else:
            closure()
            optimiser.step()
    return np.concatenate([w.detach().numpy(), c.detach().numpy().reshape(-1)]), optimiser


def rates(library, name, epochs=40):
    """The rates of two groups, and the momentum, epoch by epoch."""
    w = library.tensor(np.zeros(1), requires_grad=True)
    c = library.tensor(np.zeros(1), requires_grad=True)
    optimiser = library.optim.SGD(groups(w, c), lr=0.1, momentum=0.9)
    schedule = SCHEDULES[name](library.optim.lr_scheduler, optimiser)
    found = []
    for epoch in range(epochs):
        found.append([*(g["lr"] for g in optimiser.param_groups), optimiser.param_groups[0]["momentum"]])
        optimiser.step()
        schedule.step(*((math.exp(-epoch) + 0.1 * (epoch % 5),) if "Plateau" in name else ()))
    return np.array(found)
