"""The schedule of the learning rate that looks at how the training goes."""

import math

from tapejit.optim.rates import LRScheduler, per_group


class ReduceLROnPlateau(LRScheduler):
    """Times ``factor`` when a quantity has not become better for more than ``patience`` epochs: ``step(quantity)``.

    Args:
        optimizer, mode: ``"min"`` or ``"max"``: what is better.
        factor, patience: see above.
        threshold, threshold_mode: how much better counts, ``"rel"`` or ``"abs"``.
        cooldown: epochs after a reduction that are not counted.
        min_lr: the lowest rate, one for all groups or a list.
        eps: a smaller change of the rate is left.
    """

    def __init__(
        self, optimizer, mode="min", factor=0.1, patience=10, threshold=1e-4, threshold_mode="rel", cooldown=0, min_lr=0,
        eps=1e-8,
    ):  # fmt: skip
        if factor >= 1.0:
            raise ValueError(f"factor should be below 1, got {factor}")
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise ValueError('mode is "min" or "max", threshold_mode is "rel" or "abs"')
        self.optimizer = optimizer
        self.mode, self.factor, self.patience, self.cooldown = mode, factor, patience, cooldown
        self.threshold, self.threshold_mode, self.eps = threshold, threshold_mode, eps
        self.min_lrs = per_group(min_lr, optimizer)
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = 0
        self.last_epoch = 0
        self._last_lr = self._rates()

    def _is_better(self, value):
        sign = 1.0 if self.mode == "min" else -1.0
        if self.threshold_mode == "rel":
            return sign * value < sign * self.best * (1.0 - sign * self.threshold)
        return sign * value < sign * self.best - self.threshold

    def step(self, metrics, epoch=None) -> None:
        """Look at the quantity of another epoch."""
        value = float(metrics)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._is_better(value):
            self.best, self.num_bad_epochs = value, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            for group, low in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
                lr = max(group["lr"] * self.factor, low)
                if group["lr"] - lr > self.eps:
                    group["lr"] = lr
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = self._rates()
