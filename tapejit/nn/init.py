"""Filling tensors before training, in place, with PyTorch's formulas; each gives the tensor back.

Sources: Glorot and Bengio 2010 (xavier), He and others 2015 (kaiming), Saxe and others 2013 (orthogonal).
"""

import math

import numpy as np
from scipy.special import ndtr, ndtri

import tapejit as tj


def calculate_gain(nonlinearity, param=None) -> float:
    """The factor by which a nonlinearity shrinks what it is given."""
    if nonlinearity in ("linear", "sigmoid") or nonlinearity.startswith("conv"):
        return 1.0
    if nonlinearity == "leaky_relu":
        return math.sqrt(2.0 / (1 + (0.01 if param is None else param) ** 2))
    known = {"tanh": 5.0 / 3, "relu": math.sqrt(2.0), "selu": 0.75}
    if nonlinearity not in known:
        raise ValueError(f"unsupported nonlinearity {nonlinearity!r}")
    return known[nonlinearity]


def fans(tensor) -> tuple:
    """(inputs of one output, outputs of one input) of a weight: its first two sizes times the size of the kernel."""
    if tensor.ndim < 2:
        raise ValueError(f"fan in and fan out need at least 2 dimensions, this tensor has shape {tuple(tensor.shape)}")
    kernel = math.prod(tensor.shape[2:])
    return tensor.shape[1] * kernel, tensor.shape[0] * kernel


def _filled(tensor, values):
    with tj.no_grad():
        return tensor.copy_(values)


def uniform_(tensor, a=0.0, b=1.0, generator=None):
    """Uniform numbers in [a, b)."""
    return _filled(tensor, a + (b - a) * tj.rand(*tensor.shape, dtype=tensor.dtype, **_from(generator)))


def normal_(tensor, mean=0.0, std=1.0, generator=None):
    """Normal numbers."""
    return _filled(tensor, mean + std * tj.randn(*tensor.shape, dtype=tensor.dtype, **_from(generator)))


def _from(generator):
    return {} if generator is None else {"generator": generator}


def trunc_normal_(tensor, mean=0.0, std=1.0, a=-2.0, b=2.0, generator=None):
    """Normal numbers, drawn again until they lie in [a, b]."""
    low, high = ndtr((a - mean) / std), ndtr((b - mean) / std)
    u = tj.rand(*tensor.shape, dtype=tensor.dtype, **_from(generator)).numpy()
    return _filled(tensor, np.clip(mean + std * ndtri(low + (high - low) * u), a, b))


def constant_(tensor, val):
    """One number everywhere."""
    with tj.no_grad():
        return tensor.fill_(val)


def ones_(tensor):
    """Ones."""
    return constant_(tensor, 1.0)


def zeros_(tensor):
    """Zeros."""
    return constant_(tensor, 0.0)


def eye_(tensor):
    """The identity matrix, as far as it fits."""
    return _filled(tensor, np.eye(*tensor.shape))


def xavier_uniform_(tensor, gain=1.0, generator=None):
    """Uniform numbers with the standard deviation ``gain * sqrt(2 / (fan_in + fan_out))``."""
    a = gain * math.sqrt(2.0 / sum(fans(tensor))) * math.sqrt(3.0)
    return uniform_(tensor, -a, a, generator)


def xavier_normal_(tensor, gain=1.0, generator=None):
    """Normal numbers with the standard deviation ``gain * sqrt(2 / (fan_in + fan_out))``."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(fans(tensor))), generator)


def _kaiming(tensor, a, mode, nonlinearity):
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f'mode is "fan_in" or "fan_out", got {mode!r}')
    return calculate_gain(nonlinearity, a) / math.sqrt(fans(tensor)[mode == "fan_out"])


def kaiming_uniform_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Uniform numbers with the standard deviation ``gain / sqrt(fan)``."""
    bound = math.sqrt(3.0) * _kaiming(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Normal numbers with the standard deviation ``gain / sqrt(fan)``."""
    return normal_(tensor, 0.0, _kaiming(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor, gain=1, generator=None):
    """A matrix with orthogonal rows or columns, times ``gain``; further dimensions count as columns."""
    if tensor.ndim < 2:
        raise ValueError("only tensors with 2 or more dimensions can be orthogonal")
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    flat = tj.randn(rows, columns, dtype=tensor.dtype, **_from(generator)).numpy()
    q, r = np.linalg.qr(flat.T if rows < columns else flat)
    q = q * np.sign(np.diag(r))
    return _filled(tensor, (gain * (q.T if rows < columns else q)).reshape(tensor.shape))


def sparse_(tensor, sparsity, std=0.01, generator=None):
    """A matrix of normal numbers with a share ``sparsity`` of zeros in each column."""
    rows, columns = tensor.shape
    values = std * tj.randn(rows, columns, dtype=tensor.dtype, **_from(generator)).numpy().copy()
    for j in range(columns):
        values[tj.randperm(rows, **_from(generator)).numpy()[: math.ceil(sparsity * rows)], j] = 0
    return _filled(tensor, values)
