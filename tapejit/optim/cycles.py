"""Schedules of the learning rate that go up and down."""

import math

from tapejit.optim.rates import LRScheduler, per_group


def set_momentum(group, momentum) -> None:
    """Give a group of parameters another momentum, or first beta."""
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    else:
        group["momentum"] = momentum


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half a cosine from the first rate to ``eta_min``, again and again, each ``T_mult`` times as long as the one before."""

    def __init__(self, optimizer, T_0, T_mult=1, eta_min=0.0, last_epoch=-1):
        if T_0 <= 0 or T_mult < 1:
            raise ValueError(f"T_0 must be positive and T_mult at least 1, got {T_0} and {T_mult}")
        self.T_0, self.T_mult, self.eta_min = T_0, T_mult, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        period, t = self.T_0, self.last_epoch
        while t >= period:
            t, period = t - period, period * self.T_mult
        share = (1 + math.cos(math.pi * t / period)) / 2
        return [self.eta_min + (base - self.eta_min) * share for base in self.base_lrs]


class OneCycleLR(LRScheduler):
    """Up to ``max_lr`` and down again within ``total_steps`` (or ``epochs * steps_per_epoch``) steps (Smith 2018).

    Args:
        optimizer, max_lr: the rate at the top, one for all groups or a list.
        pct_start: the share of steps spent going up.
        anneal_strategy: ``"cos"`` or ``"linear"``.
        cycle_momentum: momentum (or Adam's first beta) goes the other way, from ``max_momentum`` to ``base_momentum``.
        div_factor: the rate begins at ``max_lr / div_factor``.
        final_div_factor: it ends at its beginning over this.
        three_phase: a third phase, from the beginning's rate to the end's.
    """

    def __init__(
        self, optimizer, max_lr, total_steps=None, epochs=None, steps_per_epoch=None, pct_start=0.3, anneal_strategy="cos",
        cycle_momentum=True, base_momentum=0.85, max_momentum=0.95, div_factor=25.0, final_div_factor=1e4,
        three_phase=False, last_epoch=-1,
    ):  # fmt: skip
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("give total_steps, or epochs and steps_per_epoch")
            total_steps = epochs * steps_per_epoch
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f'anneal_strategy is "cos" or "linear", got {anneal_strategy!r}')
        self.total_steps, self.anneal_strategy, self.cycle_momentum = total_steps, anneal_strategy, cycle_momentum
        top = float(pct_start * total_steps) - 1
        if three_phase:
            self._phases = [(top, "initial_lr", "max_lr"), (2 * top, "max_lr", "initial_lr")]
            self._phases += [(total_steps - 1, "initial_lr", "min_lr")]
        else:
            self._phases = [(top, "initial_lr", "max_lr"), (total_steps - 1, "max_lr", "min_lr")]
        if last_epoch == -1:
            for group, peak in zip(optimizer.param_groups, per_group(max_lr, optimizer), strict=True):
                group["max_lr"], group["initial_lr"] = peak, peak / div_factor
                group["min_lr"] = group["initial_lr"] / final_div_factor
                group["max_momentum"], group["base_momentum"] = max_momentum, base_momentum
        if cycle_momentum and not {"momentum", "betas"} & set(optimizer.defaults):
            raise ValueError("the optimizer has neither momentum nor betas; pass cycle_momentum=False")
        super().__init__(optimizer, last_epoch)

    def _between(self, start, end, share):
        if self.anneal_strategy == "linear":
            return (end - start) * share + start
        return end + (start - end) / 2.0 * (math.cos(math.pi * share) + 1)

    def get_lr(self):
        if self.last_epoch > self.total_steps:
            raise ValueError(f"tried to step {self.last_epoch} times, of {self.total_steps} in total")
        rates = []
        for group in self.optimizer.param_groups:
            at = next((i for i, phase in enumerate(self._phases) if self.last_epoch <= phase[0]), len(self._phases) - 1)
            end, first, last = self._phases[at]
            begin = self._phases[at - 1][0] if at else 0.0
            share = (self.last_epoch - begin) / (end - begin)
            rates.append(self._between(group[first], group[last], share))
            if self.cycle_momentum:
                kinds = {"initial_lr": "max_momentum", "max_lr": "base_momentum", "min_lr": "max_momentum"}
                momentum = self._between(group[kinds[first]], group[kinds[last]], share)
                set_momentum(group, momentum)
        return rates


class CyclicLR(LRScheduler):
    """From ``base_lr`` to ``max_lr`` in ``step_size_up`` steps and back in ``step_size_down``, again and again (Smith 2015).

    Args:
        optimizer, base_lr, max_lr: the lowest and highest rates, one for all groups or a list.
        step_size_up, step_size_down: in steps; the second is the first by default.
        mode: ``"triangular"``, ``"triangular2"`` (each cycle half as high as the one before), or ``"exp_range"`` (the height
            falls by ``gamma`` in each step).
        gamma: see above.
        scale_fn, scale_mode: in place of a mode, a function of the cycle's number (``"cycle"``) or the step's
            (``"iterations"``) that the height is multiplied by.
        cycle_momentum: momentum (or Adam's first beta) goes the other way, from ``max_momentum`` to ``base_momentum``.
    """

    def __init__(
        self, optimizer, base_lr, max_lr, step_size_up=2000, step_size_down=None, mode="triangular", gamma=1.0,
        scale_fn=None, scale_mode="cycle", cycle_momentum=True, base_momentum=0.8, max_momentum=0.9, last_epoch=-1,
    ):  # fmt: skip
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError(f'mode is "triangular", "triangular2" or "exp_range" where there is no scale_fn, got {mode!r}')
        if cycle_momentum and not {"momentum", "betas"} & set(optimizer.defaults):
            raise ValueError("the optimizer has neither momentum nor betas; pass cycle_momentum=False")
        lows, self.max_lrs = per_group(base_lr, optimizer), per_group(max_lr, optimizer)
        down = step_size_up if step_size_down is None else step_size_down
        self.total_size = float(step_size_up) + float(down)
        self.step_ratio = step_size_up / self.total_size
        self.mode, self.gamma, self.scale_fn = mode, gamma, scale_fn
        self.scale_mode = scale_mode if scale_fn is not None else "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        self.base_momentums = per_group(base_momentum, optimizer)
        self.max_momentums = per_group(max_momentum, optimizer)
        if last_epoch == -1:
            for group, lr, momentum in zip(optimizer.param_groups, lows, self.max_momentums, strict=True):
                group["lr"] = lr
                if cycle_momentum:
                    set_momentum(group, momentum)
        super().__init__(optimizer, last_epoch)
        self.base_lrs = lows

    def _scale(self, x):
        if self.scale_fn is not None:
            return self.scale_fn(x)
        return {"triangular": 1.0, "triangular2": 2.0 ** (1 - x), "exp_range": self.gamma**x}[self.mode]

    def get_lr(self):
        passed = self.last_epoch / self.total_size
        cycle = math.floor(1 + passed)
        x = 1.0 + passed - cycle
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        height *= self._scale(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            for group, low, high in zip(
                self.optimizer.param_groups, self.base_momentums, self.max_momentums, strict=True
            ):
                set_momentum(group, high - (high - low) * height)
        return [low + (high - low) * height for low, high in zip(self.base_lrs, self.max_lrs, strict=True)]
