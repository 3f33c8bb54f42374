"""What dtypes are, and which of them stand for others."""

import types

import numpy as np

from tapejit.core import dtypes
from tapejit.core.dtypes import ALL, ComplexDType, DType, complex64, complex128
from tapejit.eager import conversions
from tapejit.eager.complexes.pair import ComplexTensor
from tapejit.eager.tensor import Tensor

_KINDS = {
    "bool": "b", "signed integer": "i", "unsigned integer": "u", "integral": "iu", "real floating": "f",
    "complex floating": "c", "numeric": "iufc",
}  # fmt: skip


def _dtype(x):
    if isinstance(x, (Tensor, ComplexTensor)):
        return x.dtype
    return x if isinstance(x, (DType, ComplexDType)) else dtypes.as_complex_dtype(x) or dtypes.as_dtype(x)


def isdtype(dtype, kind) -> bool:
    """Whether a dtype is another one, or of a kind of the standard ("real floating", "integral" ...), or of one of several.

    Raises:
        ValueError: for a kind that the standard does not have.
    """
    if isinstance(kind, tuple):
        return any(isdtype(dtype, k) for k in kind)
    if not isinstance(kind, str):
        return _dtype(dtype) is _dtype(kind)
    if kind not in _KINDS:
        raise ValueError(f"isdtype() knows the kinds {', '.join(_KINDS)}; got {kind!r}")
    return _dtype(dtype).numpy.kind in _KINDS[kind]


def can_cast(from_, to, /) -> bool:
    """Whether values of a dtype (or a tensor's) keep their kind and range in another."""
    return bool(np.can_cast(_dtype(from_).numpy, _dtype(to).numpy))


def result_type(*arrays_and_dtypes):
    """The dtype of an operation of tensors, dtypes and numbers, which follow the tensors where their kind allows it.

    Raises:
        TypeError: if there is none.
    """
    given = [x if isinstance(x, (bool, int, float, complex)) else _dtype(x).numpy for x in arrays_and_dtypes]
    found = np.result_type(*given)
    for dtype in (*ALL, complex64, complex128):
        if dtype.numpy == found:
            return dtype
    raise TypeError(f"result_type(): there is no dtype {found} here")


def _real(x):
    found = _dtype(x)
    return found.real if isinstance(found, ComplexDType) else found


def finfo(type, /):
    """The limits of a float dtype (of a complex one's parts), as Python's floats."""
    found = conversions.finfo(_real(type))
    names = ("bits", "eps", "max", "min", "smallest_normal")
    return types.SimpleNamespace(**{name: getattr(found, name) for name in names}, dtype=_real(type))


def iinfo(type, /):
    """The limits of an integer dtype, as Python's integers."""
    found = conversions.iinfo(_dtype(type))
    return types.SimpleNamespace(bits=found.bits, max=found.max, min=found.min, dtype=_dtype(type))
