"""Random tensors, from one generator seeded by ``manual_seed``. The numbers are NumPy's, not PyTorch's."""

import numpy as np

from tapejit.core import dtypes
from tapejit.core import tape as tapes
from tapejit.core.layout import checked
from tapejit.eager.creation import as_sizes, finish
from tapejit.eager.dispatch import from_array
from tapejit.eager.tensor import Tensor
from tapejit.eager.views import shape_argument

_generator = np.random.default_rng()


def manual_seed(seed: int) -> None:
    """Start the generator anew, so that the same numbers come again."""
    global _generator
    _generator = np.random.default_rng(seed)


def _drawing():
    """The generator.

    Raises:
        RuntimeError: inside a function that is being recorded: it would replay the same numbers for ever.
    """
    recorder = tapes.current().recorder
    if recorder is not None:
        recorder.no_random()
    return _generator


def _make(array, dtype, requires_grad):
    dtype = dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)
    return finish(from_array(array, dtype), requires_grad)


def rand(*args, size=None, dtype=None, requires_grad=False) -> Tensor:
    """Numbers drawn evenly from [0, 1)."""
    return _make(_drawing().random(checked(as_sizes(args, size), dtypes.float64)), dtype, requires_grad)


def randn(*args, size=None, dtype=None, requires_grad=False) -> Tensor:
    """Numbers drawn from the standard normal distribution."""
    return _make(_drawing().standard_normal(checked(as_sizes(args, size), dtypes.float64)), dtype, requires_grad)


def randint(low=0, high=None, size=None, *, dtype=None) -> Tensor:
    """Integers drawn evenly from [low, high); ``randint(high, size)`` starts at 0."""
    if isinstance(high, (tuple, list)):
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    dtype = dtypes.int64 if dtype is None else dtypes.as_dtype(dtype)
    if size is not None:
        size = checked(shape_argument((size,)), dtypes.int64)
    return from_array(_drawing().integers(low, high, size), dtype)


def randperm(n: int) -> Tensor:
    """The integers from 0 to n - 1 in random order."""
    return from_array(_drawing().permutation(*checked((int(n),), dtypes.int64)))


def rand_like(x: Tensor, *, dtype=None, requires_grad=False) -> Tensor:
    """``rand`` with the shape and dtype of a tensor."""
    return rand(x.shape, dtype=dtype or x.dtype, requires_grad=requires_grad)


def randn_like(x: Tensor, *, dtype=None, requires_grad=False) -> Tensor:
    """``randn`` with the shape and dtype of a tensor."""
    return randn(x.shape, dtype=dtype or x.dtype, requires_grad=requires_grad)
