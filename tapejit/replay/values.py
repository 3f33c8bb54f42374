"""Arguments and results: what a program reads of an argument, and what a caller gets."""

from numbers import Number

import numpy as np

from tapejit.core.dtypes import as_array
from tapejit.core.layout import scalar_layout
from tapejit.eager.creation import tensor
from tapejit.eager.dispatch import from_array
from tapejit.eager.foreign import packed
from tapejit.eager.tensor import Tensor
from tapejit.replay.trees import LEAF, unflatten


def statics(key):
    """The static values among the arguments."""
    found, stack = [], [*key[0], *(s for _, s in key[1])]
    while stack:
        part = stack.pop()
        if part == LEAF:
            continue
        if part[0] == "static":
            found.append(unflatten(part, ()))
        else:
            stack += part[-1]
    return found


def kind(x):
    """What must be the same for a program to serve again: the kind, dtype and shape of an argument."""
    if x.__class__ is float or x.__class__ is np.float64:
        return "f"
    if x.__class__ is Tensor:
        return "T", x._layout.shape, x._layout.dtype
    if isinstance(x, np.floating):
        return (x.dtype,)
    if x.__class__ is not np.ndarray:
        as_array(x)  # refuses masked arrays
    dtype = x.dtype
    return dtype if dtype.isnative else dtype.newbyteorder("="), x.shape


def memory(x):
    """What a program reads: a float, or a contiguous array of a native dtype."""
    if x.__class__ is float:
        return x
    if isinstance(x, np.float64):
        return float(x)
    return packed(x._memory() if x.__class__ is Tensor else x)


def as_tensor(x) -> Tensor:
    """A tensor as it is, a copy of anything else; of a number a number."""
    if x.__class__ is Tensor:
        return x
    t = tensor(x)
    if isinstance(x, (Number, np.generic)):
        t._layout = scalar_layout(t._layout.dtype)
    return t


def as_numpy(x):
    """A result for callers who passed NumPy arrays and numbers."""
    if x.__class__ is Tensor:
        x = np.array(x.detach()._memory(), order="C")
    return x.item() if x.ndim == 0 and x.dtype == np.float64 else x


def assemble(structure, results, tensors):
    """Results in their structure, as tensors or as they are."""
    if structure == LEAF:
        return tensor_of(results[0]) if tensors else results[0]
    if tensors:
        results = [tensor_of(x) for x in results]
    return unflatten(structure, iter(results))


def tensor_of(x) -> Tensor:
    """A tensor over the memory of a result."""
    return from_array(np.asarray(x), copy=False)
