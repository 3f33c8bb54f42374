"""Helpers around parameters and gradients: ``tapejit.nn.utils`` has the names of ``torch.nn.utils``."""

from tapejit.nn.clipping import (
    clip_grad_norm_,
    clip_grad_value_,
    get_total_norm,
    parameters_to_vector,
    vector_to_parameters,
)
from tapejit.nn.utils import rnn

__all__ = ["clip_grad_norm_", "clip_grad_value_", "get_total_norm", "parameters_to_vector", "rnn", "vector_to_parameters"]
