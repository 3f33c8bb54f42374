"""Gradients of tensors already computed: ``tapejit.autograd`` has the names of ``torch.autograd``."""

from tapejit.eager.anomaly import (
    detect_anomaly,
    is_anomaly_check_nan_enabled,
    is_anomaly_enabled,
    set_detect_anomaly,
)
from tapejit.eager.autograd import backward, grad
from tapejit.eager.userfunction import Function, once_differentiable

__all__ = [
    "Function",
    "backward",
    "detect_anomaly",
    "grad",
    "is_anomaly_check_nan_enabled",
    "is_anomaly_enabled",
    "once_differentiable",
    "set_detect_anomaly",
]
