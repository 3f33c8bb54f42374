"""What ``tapejit.numpy`` is made of: NumPy's names, whose functions take arrays, lists and tensors and give tensors."""

import numpy as np

from tapejit.core import dtypes
from tapejit.eager.dispatch import from_array
from tapejit.eager.numpytable import TABLE
from tapejit.eager.tensor import Tensor
from tapejit.eager.ufuncs import UFUNCS, tensor_of
from tapejit.eager.views import clone

_MADE = """zeros ones empty full eye identity arange tri indices fromfunction fromiter frombuffer fromstring diag_indices
    tril_indices triu_indices hanning hamming blackman bartlett kaiser loadtxt genfromtxt load""".split()


def _maker(name):
    function = getattr(np, name)

    def make(*args, **kwargs):
        kwargs = {k: v.numpy if isinstance(v, dtypes.DType) else v for k, v in kwargs.items()}
        args = [v.numpy if isinstance(v, dtypes.DType) else v for v in args]
        return _tensors(function(*args, **kwargs))

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"np.{name}, as a tensor."
    return make


def _tensors(result):
    if isinstance(result, tuple):
        return tuple(map(_tensors, result))
    known = isinstance(result, np.ndarray) and result.dtype.kind in "fiub" and result.dtype.itemsize <= 8
    return from_array(result) if known else result


def array(object, dtype=None, *, copy=True, ndmin=0):
    """A tensor of a number, an array, a tensor, or nested lists of these; tensors inside keep their gradients."""
    result = tensor_of(object)
    result = result if dtype is None else result.to(dtypes.as_dtype(dtype))
    if ndmin > result.ndim:
        result = result.reshape((*(1,) * (ndmin - result.ndim), *result.shape))
    return clone(result) if copy and result is object else result


def asarray(a, dtype=None, **options):
    """``array`` without a copy of a tensor."""
    return array(a, dtype, copy=False)


def isscalar(element) -> bool:
    """Whether it is a number, or a tensor without dimensions."""
    return (isinstance(element, Tensor) and not element.ndim) or np.isscalar(element)


def names(prefix="") -> dict:
    """The functions of the namespace, or of ``linalg`` in it."""
    if prefix:
        return {name[len(prefix) :]: function for name, function in TABLE.items() if name.startswith(prefix)}
    made = {name: _maker(name) for name in _MADE if callable(getattr(np, name, None))}
    found = {name: function for name, function in TABLE.items() if "." not in name}
    constants = {name: getattr(np, name) for name in ("pi", "e", "inf", "nan", "newaxis", "euler_gamma")}
    own = {"array": array, "asarray": asarray, "asanyarray": asarray, "ascontiguousarray": asarray, "isscalar": isscalar}
    ufuncs = {name: ufunc for name, ufunc in UFUNCS.items() if hasattr(np, name)}
    return {**constants, **ufuncs, **found, **made, **own, "ndarray": Tensor}
