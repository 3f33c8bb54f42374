"""Schedules made of schedules: one after the other, or all at once."""

import bisect

from tapejit.optim.plateaus import ReduceLROnPlateau
from tapejit.optim.rates import LRScheduler


class _Together(LRScheduler):
    """A schedule of several on one optimizer."""

    def __init__(self, schedulers, optimizer):
        if not schedulers:
            raise ValueError(f"{type(self).__name__} needs at least one schedule")
        optimizer = schedulers[0].optimizer if optimizer is None else optimizer
        for i, schedule in enumerate(schedulers):
            if isinstance(schedule, ReduceLROnPlateau):
                raise ValueError(f"{type(self).__name__} takes no ReduceLROnPlateau (schedule {i}): its step needs a quantity")
            if schedule.optimizer is not optimizer:
                raise ValueError(f"{type(self).__name__} takes schedules of one optimizer; that of schedule {i} is another")
        self._schedulers, self.optimizer = list(schedulers), optimizer

    def state_dict(self) -> dict:
        """All but the optimizer, and the states of the schedules."""
        own = {name: value for name, value in vars(self).items() if name not in ("optimizer", "_schedulers")}
        return {**own, "_schedulers": [schedule.state_dict() for schedule in self._schedulers]}

    def load_state_dict(self, state_dict) -> None:
        """Take over what ``state_dict`` gave."""
        vars(self).update({name: value for name, value in state_dict.items() if name != "_schedulers"})
        for schedule, state in zip(self._schedulers, state_dict["_schedulers"], strict=True):
            schedule.load_state_dict(state)


class ChainedScheduler(_Together):
    """Several schedules that all step at once."""

    def __init__(self, schedulers, optimizer=None):
        super().__init__(schedulers, optimizer)
        self._last_lr = self._rates()

    def step(self) -> None:
        """Let every schedule go on."""
        for schedule in self._schedulers:
            schedule.step()
        self._last_lr = self._rates()


class SequentialLR(_Together):
    """One schedule after the other: the next one begins, at its epoch 0, at each of the epochs in ``milestones``."""

    def __init__(self, optimizer, schedulers, milestones, last_epoch=-1):
        super().__init__(schedulers, optimizer)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(f"{len(schedulers)} schedules need {len(schedulers) - 1} milestones, got {len(milestones)}")
        self._milestones, self.last_epoch = list(milestones), last_epoch + 1
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        _take_back(self)
        first = self._schedulers[bisect.bisect_right(self._milestones, 0)]
        first._begin()
        self._last_lr = first.get_last_lr()

    def step(self) -> None:
        """Let the schedule whose turn it is go on."""
        self.last_epoch += 1
        at = bisect.bisect_right(self._milestones, self.last_epoch)
        schedule = self._schedulers[at]
        if at and self._milestones[at - 1] == self.last_epoch:
            schedule._set_rates(0)
        else:
            schedule.step()
        self._last_lr = schedule.get_last_lr()


def _take_back(schedule):
    """Undo the step that a schedule took when it was made."""
    if isinstance(schedule, _Together):
        for part in schedule._schedulers:
            _take_back(part)
    else:
        schedule.last_epoch -= 1
