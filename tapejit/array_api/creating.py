"""Tensors of other libraries' arrays."""

import numpy as np

from tapejit.core import dtypes
from tapejit.eager.complexes.pair import ComplexTensor
from tapejit.eager.creation import tensor
from tapejit.eager.devices import check_device
from tapejit.eager.dispatch import from_array
from tapejit.eager.otherkinds import other_kind
from tapejit.eager.tensor import Tensor
from tapejit.eager.ufuncs import tensor_of
from tapejit.eager.views import clone


def asarray(obj, /, *, dtype=None, device=None, copy=None):
    """A tensor of a number, nested lists, an array or a tensor, which is itself unless ``copy``.

    Raises:
        ValueError: if a copy must not be made and is needed.
    """
    check_device(device)
    if isinstance(obj, ComplexTensor):
        found = obj if dtype is None else obj.to(dtype)
        return found.clone() if copy and found is obj else found
    if other_kind((obj,)) is not None or dtypes.as_complex_dtype(dtype) is not None:
        return tensor(obj, dtype=dtype)
    shared = isinstance(obj, Tensor) and (dtype is None or dtypes.as_dtype(dtype) is obj.dtype)
    if copy is False and not shared and not isinstance(obj, np.ndarray):
        raise ValueError(f"asarray(copy=False) cannot make a tensor of a {type(obj).__name__} without a copy")
    found = tensor_of(obj)
    found = found if dtype is None else found.to(dtypes.as_dtype(dtype))
    return clone(found) if copy and (found is obj or isinstance(obj, np.ndarray)) else found


def from_dlpack(x, /, *, device=None, copy=None):
    """A tensor over the memory of another library's array on the processor, by its ``__dlpack__``."""
    check_device(device)
    return from_array(np.from_dlpack(x), copy=bool(copy))
