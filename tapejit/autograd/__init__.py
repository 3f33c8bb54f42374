"""Gradients of tensors already computed: ``tapejit.autograd`` has the names of ``torch.autograd``."""

from tapejit.autograd import forward_ad, function, functional, graph
from tapejit.eager.anomaly import (
    detect_anomaly,
    is_anomaly_check_nan_enabled,
    is_anomaly_enabled,
    set_detect_anomaly,
)
from tapejit.eager.complexes.complexgrad import backward, grad
from tapejit.eager.grad_mode import enable_grad, inference_mode, no_grad, set_grad_enabled
from tapejit.eager.gradcheck import GradcheckError, gradcheck, gradgradcheck
from tapejit.eager.tensor import Tensor
from tapejit.eager.userfunction import Function, once_differentiable


def Variable(data, requires_grad=False) -> Tensor:
    """A tensor of the same memory: what programs from before tensors had gradients wrap them in."""
    return data.detach().requires_grad_(requires_grad)


__all__ = [
    "Function",
    "GradcheckError",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "forward_ad",
    "function",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "graph",
    "inference_mode",
    "is_anomaly_check_nan_enabled",
    "is_anomaly_enabled",
    "no_grad",
    "once_differentiable",
    "set_detect_anomaly",
    "set_grad_enabled",
]
