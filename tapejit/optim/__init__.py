"""Optimisers under ``torch.optim``'s names, with its defaults and formulas."""

from tapejit.optim import lr_scheduler, swa_utils
from tapejit.optim.adamkin import Adamax, NAdam, RAdam
from tapejit.optim.adaptive import Adagrad, Adam, AdamW, RMSprop
from tapejit.optim.descent import SGD
from tapejit.optim.lbfgs import LBFGS
from tapejit.optim.optimizer import Optimizer
from tapejit.optim.stepsizes import ASGD, Adadelta, Rprop

__all__ = [
    "ASGD", "LBFGS", "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "Optimizer", "RAdam", "RMSprop",
    "Rprop", "lr_scheduler", "swa_utils",
]  # fmt: skip
