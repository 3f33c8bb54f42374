"""Averages of a module's parameters over the course of training, under ``torch.optim.swa_utils``' names."""

import copy
import math

import tapejit as tj
from tapejit.nn.module import Module
from tapejit.nn.normalizing import _BatchNorm
from tapejit.optim.rates import LRScheduler, per_group

__all__ = [
    "SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn", "get_swa_multi_avg_fn", "update_bn",
]  # fmt: skip


def get_ema_avg_fn(decay=0.999):
    """``f(averaged, current, count)``, an exponential moving average.

    Raises:
        ValueError: for a decay outside of [0, 1].
    """
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"decay must be in [0, 1], got {decay}")
    return lambda averaged, current, count: decay * averaged + (1 - decay) * current


def get_swa_avg_fn():
    """``f(averaged, current, count)``, the mean with equal weights."""
    return lambda averaged, current, count: averaged + (current - averaged) / (int(count) + 1)


def _of_lists(average):
    def of_lists(averaged, current, count):
        with tj.no_grad():
            for p, q in zip(averaged, current, strict=True):
                p.copy_(average(p, q, count))

    return of_lists


def get_ema_multi_avg_fn(decay=0.999):
    """As ``get_ema_avg_fn``, changing a list of tensors in place."""
    return _of_lists(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn():
    """As ``get_swa_avg_fn``, changing a list of tensors in place."""
    return _of_lists(get_swa_avg_fn())


class AveragedModel(Module):
    """A copy of a module whose parameters are averages: of the module's at each call of ``update_parameters(module)``.

    Args:
        model: the module.
        device: only the CPU there is.
        avg_fn: ``f(averaged, current, count)``, the next average of a parameter; the mean by default.
        multi_avg_fn: the same for lists of tensors, in place.
        use_buffers: averages buffers too; else they are copied.
    """

    def __init__(self, model, device=None, avg_fn=None, multi_avg_fn=None, use_buffers=False):
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise ValueError("give avg_fn or multi_avg_fn, not both")
        self.module = copy.deepcopy(model) if device is None else copy.deepcopy(model).to(device)
        self.register_buffer("n_averaged", tj.tensor(0))
        self.multi_avg_fn = _of_lists(avg_fn or get_swa_avg_fn()) if multi_avg_fn is None else multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)

    def update_parameters(self, model) -> None:
        """Take the module's present parameters into the average."""
        averaged, current = ([p.detach() for p in self._averaged(m)] for m in (self.module, model))
        with tj.no_grad():
            if int(self.n_averaged) == 0:
                for p, q in zip(averaged, current, strict=True):
                    p.copy_(q)
            else:
                self.multi_avg_fn(averaged, current, self.n_averaged)
            if not self.use_buffers:
                for p, q in zip(self.module.buffers(), model.buffers(), strict=True):
                    p.copy_(q)
            self.n_averaged += 1

    def _averaged(self, module):
        return [*module.parameters(), *(module.buffers() if self.use_buffers else ())]


def update_bn(loader, model, device=None) -> None:
    """Work out anew the running means and variances of a module's batch normalisations, from the inputs in a loader.

    Args:
        loader: gives inputs, or tuples that begin with them.
        model: the module, called with each.
        device: only the CPU there is.
    """
    layers = {layer: layer.momentum for layer in model.modules() if isinstance(layer, _BatchNorm)}
    if not layers:
        return
    was_training = model.training
    model.train()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # all batches count alike
    with tj.no_grad():
        for batch in loader:
            model(batch[0] if isinstance(batch, (list, tuple)) else batch)
    for layer, momentum in layers.items():
        layer.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """From the rates that there are to ``swa_lr`` within ``anneal_epochs`` epochs, and on at that.

    Args:
        optimizer, swa_lr: one rate for all groups or a list.
        anneal_epochs: see above.
        anneal_strategy: ``"cos"`` or ``"linear"``.
        last_epoch: the epoch to go on after.
    """

    def __init__(self, optimizer, swa_lr, anneal_epochs=10, anneal_strategy="cos", last_epoch=-1):
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f'anneal_strategy is "cos" or "linear", got {anneal_strategy!r}')
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be an integer of at least 0, got {anneal_epochs}")
        for group, lr in zip(optimizer.param_groups, per_group(swa_lr, optimizer), strict=True):
            group["swa_lr"] = lr
        self.anneal_epochs, self.anneal_strategy = anneal_epochs, anneal_strategy
        super().__init__(optimizer, last_epoch)

    def _share(self, step):
        t = max(0, min(1, step / max(1, self.anneal_epochs)))
        return t if self.anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2

    def get_lr(self):
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        rates = []
        for group in self.optimizer.param_groups:
            end = group["swa_lr"]
            start = end if before == 1 else (group["lr"] - before * end) / (1 - before)
            rates.append(end * now + start * (1 - now))
        return rates
