"""Gradients kept small, and parameters as one vector: ``nn.utils``."""

import math

import tapejit as tj


def _with_gradients(parameters):
    parameters = [parameters] if isinstance(parameters, tj.Tensor) else parameters
    return [p for p in parameters if p.grad is not None]


def get_total_norm(tensors, norm_type=2.0, error_if_nonfinite=False):
    """The norm of all elements of some tensors together."""
    tensors = list(tensors)
    if not tensors:
        return tj.tensor(0.0)
    with tj.no_grad():
        if norm_type == math.inf:
            total = tj.stack([x.abs().max() for x in tensors]).max()
        elif norm_type == 2:
            total = tj.stack([(x * x).sum() for x in tensors]).sum().sqrt()
        else:
            total = tj.stack([(x.abs() ** norm_type).sum() for x in tensors]).sum() ** (1.0 / norm_type)
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise RuntimeError(f"the total norm of order {norm_type} of the gradients is non-finite, so it cannot be clipped")
    return total


def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False):
    """Scale all gradients so that their norm together is at most ``max_norm``; the norm that they had is given back."""
    parameters = _with_gradients(parameters)
    total = get_total_norm([p.grad for p in parameters], norm_type, error_if_nonfinite)
    with tj.no_grad():
        factor = min(float(max_norm) / (total.item() + 1e-6), 1.0)
        for p in parameters:
            p.grad.mul_(factor)
    return total


def clip_grad_value_(parameters, clip_value) -> None:
    """Keep all elements of the gradients between ``-clip_value`` and ``clip_value``."""
    with tj.no_grad():
        for p in _with_gradients(parameters):
            p.grad.clamp_(-float(clip_value), float(clip_value))


def parameters_to_vector(parameters):
    """All parameters, one after the other."""
    return tj.cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec, parameters) -> None:
    """Copy a vector into parameters."""
    place = 0
    with tj.no_grad():
        for p in parameters:
            p.copy_(vec[place : place + p.numel()].reshape(p.shape))
            place += p.numel()
