"""Schedules of the learning rate under ``torch.optim.lr_scheduler``'s names, with its formulas."""

from tapejit.optim.cycles import CosineAnnealingWarmRestarts, CyclicLR, OneCycleLR
from tapejit.optim.plateaus import ReduceLROnPlateau
from tapejit.optim.rates import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from tapejit.optim.sequences import ChainedScheduler, SequentialLR

__all__ = [
    "ChainedScheduler", "ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "CyclicLR", "ExponentialLR",
    "LRScheduler", "LambdaLR", "LinearLR", "MultiStepLR", "MultiplicativeLR", "OneCycleLR", "PolynomialLR",
    "ReduceLROnPlateau", "SequentialLR", "StepLR",
]  # fmt: skip

_LRScheduler = LRScheduler  # its older name
