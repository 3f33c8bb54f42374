"""What ``tapejit.numpy`` is made of: NumPy's names, whose functions take arrays, lists and tensors and give tensors."""

import contextlib
import functools
import inspect

import numpy as np

from tapejit.core import dtypes
from tapejit.eager.complexes.pair import from_complex_array
from tapejit.eager.devices import check_device
from tapejit.eager.dispatch import from_array
from tapejit.eager.numpytable import TABLE
from tapejit.eager.tensor import Tensor
from tapejit.eager.ufuncs import UFUNCS, tensor_of
from tapejit.eager.views import broadcast_to, clone

_DTYPES = (dtypes.DType, dtypes.ComplexDType)
_MADE = """zeros ones empty full eye identity arange tri indices fromfunction fromiter frombuffer fromstring diag_indices
    tril_indices triu_indices hanning hamming blackman bartlett kaiser loadtxt genfromtxt load""".split()


def _maker(name):
    function = getattr(np, name)

    def make(*args, **kwargs):
        check_device(kwargs.pop("device", None))
        kwargs = {k: v.numpy if isinstance(v, _DTYPES) else v for k, v in kwargs.items()}
        args = [v.numpy if isinstance(v, _DTYPES) else v for v in args]
        return _tensors(function(*args, **kwargs))

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"np.{name}, as a tensor."
    with contextlib.suppress(ValueError):  # NumPy does not always tell
        make.__signature__ = inspect.signature(function)
    return make


def _tensors(result):
    if isinstance(result, tuple):
        return tuple(map(_tensors, result))
    if isinstance(result, np.ndarray) and result.dtype in (np.complex128, np.complex64):
        return from_complex_array(result)
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


def full(shape, fill_value, dtype=None, order="C", *, device=None):
    """A tensor of a shape filled with a number or a tensor that broadcasts to it, with its gradient."""
    check_device(device)
    if not isinstance(fill_value, Tensor):
        dtype = dtype.numpy if isinstance(dtype, _DTYPES) else dtype
        return _maker("full")(shape, fill_value, dtype, order)
    value = fill_value if dtype is None else fill_value.to(dtypes.as_dtype(dtype))
    return clone(broadcast_to(value, shape if isinstance(shape, (tuple, list)) else (shape,)))


def _of_each(function):
    """``np.atleast_2d`` and its like: a list is one array, not several."""
    return functools.wraps(function)(lambda *arrays: function(*map(tensor_of, arrays)))


def _of_sizes(name, function):
    """What is made of plain integers in a tuple or list, of a shape, is a number as NumPy gives it; all else is a tensor."""

    def reduced(a, *args, **kwargs):
        if isinstance(a, (tuple, list)) and all(isinstance(n, (int, np.integer)) for n in a):
            return getattr(np, name)(a, *args, **kwargs)
        return function(a, *args, **kwargs)

    reduced.__name__ = reduced.__qualname__ = name
    reduced.__doc__, reduced.__signature__ = function.__doc__, inspect.signature(function)
    return reduced


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
    own |= {name: _of_each(found[name]) for name in ("atleast_1d", "atleast_2d", "atleast_3d")}
    own |= {name: _of_sizes(name, found[name]) for name in ("prod", "sum")} | {"full": full}
    ufuncs = {name: ufunc for name, ufunc in UFUNCS.items() if hasattr(np, name)}
    return {**constants, **ufuncs, **found, **made, **own, "ndarray": Tensor}
