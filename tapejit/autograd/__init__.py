"""Gradients of tensors already computed: ``tapejit.autograd`` has the names of ``torch.autograd``."""

from tapejit.autograd import functional
from tapejit.eager.anomaly import (
    detect_anomaly,
    is_anomaly_check_nan_enabled,
    is_anomaly_enabled,
    set_detect_anomaly,
)
from tapejit.eager.autograd import backward, grad
from tapejit.eager.grad_mode import enable_grad, inference_mode, no_grad, set_grad_enabled
from tapejit.eager.gradcheck import GradcheckError, gradcheck, gradgradcheck
from tapejit.eager.userfunction import Function, once_differentiable

__all__ = [
    "Function",
    "GradcheckError",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "is_anomaly_check_nan_enabled",
    "is_anomaly_enabled",
    "no_grad",
    "once_differentiable",
    "set_detect_anomaly",
    "set_grad_enabled",
]
