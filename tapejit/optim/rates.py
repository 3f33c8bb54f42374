"""Schedules of the learning rate that are a formula of the epoch; call ``step()`` after each epoch (or batch).

A schedule works on the current rates, group by group, so that several can be used on one optimizer.
"""

import bisect
import math


class LRScheduler:
    """Base of the schedules. A subclass gives ``get_lr()``, the rates of the groups at ``last_epoch``.

    Where the rates are a formula of the epoch alone a subclass gives it as ``_at_epoch()``: ``step(epoch)`` takes it.

    Args:
        optimizer: its groups' ``"lr"`` is set; where it begins is kept there as ``"initial_lr"``.
        last_epoch: the epoch to go on after, -1 at the beginning.
    """

    def __init__(self, optimizer, last_epoch=-1):
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(f"'initial_lr' is not in param_groups[{i}]: it is needed to resume at epoch {last_epoch}")
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._begin()

    def _begin(self):
        """The step to where the schedule starts, or goes on: what only multiplies leaves the rates as they are."""
        self._initial, self._step_count = True, 0
        self.step()
        self._initial = False

    def get_lr(self):
        raise NotImplementedError("a schedule needs get_lr()")

    def get_last_lr(self) -> list:
        """The rates that were set last."""
        return self._last_lr

    def step(self, epoch=None) -> None:
        """Go on to the next epoch, or to a given one."""
        self._step_count += 1
        self._set_rates(epoch)

    def _set_rates(self, epoch=None):
        formula = self.get_lr if epoch is None else getattr(self, "_at_epoch", self.get_lr)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        for group, lr in zip(self.optimizer.param_groups, formula(), strict=True):
            group["lr"] = lr
        self._last_lr = self._rates()

    def state_dict(self) -> dict:
        """All but the optimizer and functions."""
        return {name: value for name, value in vars(self).items() if name != "optimizer" and not _has_functions(value)}

    def load_state_dict(self, state_dict) -> None:
        """Take over what ``state_dict`` gave."""
        vars(self).update(state_dict)

    def _rates(self):
        return [group["lr"] for group in self.optimizer.param_groups]

    def _times(self, factor):
        return [lr * factor for lr in self._rates()]

    def _first_times(self, factor):
        return [lr * factor for lr in self.base_lrs]


def _has_functions(value):
    return callable(value) or (isinstance(value, list) and any(map(callable, value)))


def per_group(value, optimizer) -> list:
    """One value for each group of an optimizer, from a list of as many or one for all.

    Raises:
        ValueError: for a list of another length.
    """
    count = len(optimizer.param_groups)
    values = list(value) if isinstance(value, (list, tuple)) else [value] * count
    if len(values) != count:
        raise ValueError(f"expected {count} values, one per group, got {len(values)}")
    return values


class LambdaLR(LRScheduler):
    """The first rate times ``lr_lambda(epoch)``; a list of functions for several groups."""

    def __init__(self, optimizer, lr_lambda, last_epoch=-1):
        self.lr_lambdas = per_group(lr_lambda, optimizer)
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        return [lr * f(self.last_epoch) for lr, f in zip(self.base_lrs, self.lr_lambdas, strict=True)]


class MultiplicativeLR(LambdaLR):
    """Times ``lr_lambda(epoch)`` in each epoch but the first."""

    def get_lr(self):
        if self._initial:
            return self._rates()
        return [lr * f(self.last_epoch) for lr, f in zip(self._rates(), self.lr_lambdas, strict=True)]


class StepLR(LRScheduler):
    """Times ``gamma`` every ``step_size`` epochs."""

    def __init__(self, optimizer, step_size, gamma=0.1, last_epoch=-1):
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        due = self.last_epoch > 0 and self.last_epoch % self.step_size == 0
        return self._times(self.gamma) if due else self._rates()

    def _at_epoch(self):
        return self._first_times(self.gamma ** (self.last_epoch // self.step_size))


class MultiStepLR(LRScheduler):
    """Times ``gamma`` at each of the epochs in ``milestones``."""

    def __init__(self, optimizer, milestones, gamma=0.1, last_epoch=-1):
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        return self._times(self.gamma ** self.milestones.count(self.last_epoch))

    def _at_epoch(self):
        return self._first_times(self.gamma ** bisect.bisect_right(self.milestones, self.last_epoch))


class ConstantLR(LRScheduler):
    """Times ``factor`` for the first ``total_iters`` epochs."""

    def __init__(self, optimizer, factor=1.0 / 3, total_iters=5, last_epoch=-1):
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        if self.last_epoch == 0:
            return self._times(self.factor)
        return self._times(1.0 / self.factor) if self.last_epoch == self.total_iters else self._rates()

    def _at_epoch(self):
        return self._first_times(1.0 if self.last_epoch >= self.total_iters else self.factor)


class LinearLR(LRScheduler):
    """Times a factor that goes linearly from ``start_factor`` to ``end_factor`` in ``total_iters`` epochs."""

    def __init__(self, optimizer, start_factor=1.0 / 3, end_factor=1.0, total_iters=5, last_epoch=-1):
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        if self.last_epoch == 0:
            return self._times(self.start_factor)
        if self._initial or self.last_epoch > self.total_iters:
            return self._rates()
        rise = self.end_factor - self.start_factor
        return self._times(1.0 + rise / (self.total_iters * self.start_factor + (self.last_epoch - 1) * rise))

    def _at_epoch(self):
        share = min(self.total_iters, self.last_epoch) / self.total_iters
        return self._first_times(self.start_factor + (self.end_factor - self.start_factor) * share)


class ExponentialLR(LRScheduler):
    """Times ``gamma`` every epoch."""

    def __init__(self, optimizer, gamma, last_epoch=-1):
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        return self._rates() if self._initial else self._times(self.gamma)

    def _at_epoch(self):
        return self._first_times(self.gamma**self.last_epoch)


class PolynomialLR(LRScheduler):
    """The first rate times ``(1 - epoch / total_iters) ** power``, zero from ``total_iters`` on."""

    def __init__(self, optimizer, total_iters=5, power=1.0, last_epoch=-1):
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        if self._initial or self.last_epoch > self.total_iters:
            return self._rates()
        left = self.total_iters - self.last_epoch
        return self._times((left / (left + 1)) ** self.power)

    def _at_epoch(self):
        return self._first_times((1.0 - min(self.total_iters, self.last_epoch) / self.total_iters) ** self.power)


class CosineAnnealingLR(LRScheduler):
    """Half a cosine from the first rate to ``eta_min`` in ``T_max`` epochs (Loshchilov and Hutter 2016), and back."""

    def __init__(self, optimizer, T_max, eta_min=0.0, last_epoch=-1):
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        t, period, low = self.last_epoch, self.T_max, self.eta_min
        if self._initial:
            return self._rates()
        if self._step_count == 1 and t > 0:
            return self._at_epoch()
        if (t - 1 - period) % (2 * period) == 0:  # the last rate is the lowest: nothing to be multiplied
            rise = (1 - math.cos(math.pi / period)) / 2
            return [lr + (base - low) * rise for lr, base in zip(self._rates(), self.base_lrs, strict=True)]
        ratio = (1 + math.cos(math.pi * t / period)) / (1 + math.cos(math.pi * (t - 1) / period))
        return [ratio * (lr - low) + low for lr in self._rates()]

    def _at_epoch(self):
        share = (1 + math.cos(math.pi * self.last_epoch / self.T_max)) / 2
        return [self.eta_min + (base - self.eta_min) * share for base in self.base_lrs]
