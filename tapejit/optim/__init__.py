"""Optimisers under ``torch.optim``'s names, with its defaults and formulas."""

from tapejit.optim import lr_scheduler
from tapejit.optim.adaptive import Adagrad, Adam, AdamW, RMSprop
from tapejit.optim.descent import SGD
from tapejit.optim.lbfgs import LBFGS
from tapejit.optim.optimizer import Optimizer

__all__ = ["LBFGS", "SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "lr_scheduler"]
