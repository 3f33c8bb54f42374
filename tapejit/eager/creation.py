"""Making tensors: from data, by rule, and filled. ``dtype`` and ``requires_grad`` as in PyTorch."""

import math
import operator

import numpy as np

from tapejit.core import dtypes
from tapejit.core import record as R
from tapejit.core.layout import checked, layout_of
from tapejit.core.refusals import ArgumentError, KindError
from tapejit.eager import escapes, foreign
from tapejit.eager.devices import check_device
from tapejit.eager.dispatch import constant, from_array, number_tensor
from tapejit.eager.dispatch import empty as _empty
from tapejit.eager.keywords import placed
from tapejit.eager.otherkinds import makers, others
from tapejit.eager.tensor import Tensor, method_as
from tapejit.eager.views import shape_argument

_LEAF = R.GRAD | R.LEAF
_SCALARS = {dtype: layout_of((), dtype) for dtype in (dtypes.float64, dtypes.float32)}


def finish(t: Tensor, requires_grad: bool) -> Tensor:
    """Make a new tensor a leaf that requires a gradient, if asked to."""
    return t.requires_grad_() if requires_grad else t


def _plain(data):
    """Data with every tensor inside it as an array or number."""
    if isinstance(data, Tensor):
        escapes.check(data, "tensor()", quiet=True)
        return data._array()
    if data.__class__ in others:
        return data.detach().numpy()
    if isinstance(data, (list, tuple)):
        return [_plain(item) for item in data]
    return dtypes.as_array(data) if isinstance(data, np.ndarray) else data


def _inferred(array, data):
    """PyTorch's dtype for data: that of an array, the default float type for Python floats."""
    if isinstance(data, (np.ndarray, np.generic, Tensor)) or array.dtype.kind != "f":
        return dtypes.as_dtype(array.dtype)
    return dtypes.get_default_dtype()


def tensor(data, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """A new tensor with a copy of ``data``: a number, nested sequences, a NumPy array or a tensor.

    Args:
        data: what to copy.
        device: None or "cpu".
        dtype: element type; by default the array's own, or float64 (the default dtype), int64 or bool for Python data.
        requires_grad: whether gradients are to be accumulated in ``.grad``.

    Raises:
        TypeError, ValueError: if the data are not numbers, or a ragged nesting.
        RuntimeError: if ``requires_grad`` is asked of integers or bools.
    """
    if device is not None:
        check_device(device)
    if data.__class__ is float and (dtype is None or dtype in _SCALARS):
        return number_tensor(data, _SCALARS[dtype or dtypes.get_default_dtype()], _LEAF if requires_grad else 0)
    complex_dtype = dtypes.as_complex_dtype(dtype)
    dtype = None if dtype is None or complex_dtype is not None else dtypes.as_dtype(dtype)
    array = np.asarray(_plain(data))
    if complex_dtype is not None or (array.dtype.kind == "c" and dtype is None):
        return makers["c"](array, complex_dtype, requires_grad, data)
    if array.size == 0 and not isinstance(data, (np.ndarray, Tensor)):
        array = array.astype(np.float64)
    if array.dtype == object or array.dtype.kind not in "fiub":
        raise KindError(f"tensor() takes numbers, got data of dtype {array.dtype}")
    dtype = dtype or _inferred(array, data)
    _check_grad(dtype, requires_grad)
    return finish(from_array(array, dtype), requires_grad)


def _check_grad(dtype, requires_grad):
    if requires_grad and not dtype.is_floating_point:
        raise RuntimeError(f"only floating-point tensors can require gradients, got {dtype}; pass dtype=tapejit.float64")


@placed
def as_tensor(data, *, dtype=None) -> Tensor:
    """``data`` as a tensor, without a copy where possible: a tensor is returned as it is, an array shares its memory."""
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)
    if isinstance(data, np.ndarray):
        return from_array(data, None if dtype is None else dtypes.as_dtype(dtype), copy=False)
    return tensor(data, dtype=dtype)


def from_numpy(array: np.ndarray) -> Tensor:
    """A tensor that shares the memory of a NumPy array: changes of one are seen in the other.

    The memory of a read-only array is shared too; changing such a tensor in place raises RuntimeError.

    Raises:
        TypeError: if it is not an array, or of a dtype that tensors cannot have; for a masked array.
        ValueError: if its memory cannot be a tensor's: of another byte order, or not aligned to its elements.
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy() takes a NumPy array, got {type(array).__name__}; use tensor()")
    array = dtypes.as_array(array)
    dtype = dtypes.as_dtype(array.dtype)
    if not foreign.is_native(array):
        order = f"of this machine's byte order (its dtype is {array.dtype.str})"
        what = "aligned to its elements" if array.dtype.isnative else order
        raise ValueError(f"from_numpy() shares memory, and that of this array is not {what}; use tensor(), which copies")
    return from_array(array, dtype, copy=False)


def _float_or(dtype):
    return dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)


def _default_or(dtype):
    return dtypes.get_default_dtype() if dtype is None else dtype


def as_sizes(positional, keyword) -> tuple:
    """A shape given as numbers, as one sequence, or as ``size=``."""
    return shape_argument(positional if keyword is None else (keyword,))


@placed
def empty(*sizes, size=None, dtype=None, requires_grad=False) -> Tensor:
    """A tensor of a shape whose elements are undefined."""
    if dtypes.as_complex_dtype(dtype) is not None:
        return full(as_sizes(sizes, size), 0, dtype=dtype, requires_grad=requires_grad)
    dtype = _float_or(dtype)
    _check_grad(dtype, requires_grad)
    return finish(_empty(layout_of(as_sizes(sizes, size), dtype)), requires_grad)


@placed
def full(size, fill_value, *, dtype=None, requires_grad=False) -> Tensor:
    """A tensor of a shape filled with a number, whose kind decides the dtype by default."""
    if isinstance(fill_value, Tensor):
        fill_value = fill_value.item()
    kind = dtypes.as_complex_dtype(type(fill_value) if dtype is None else dtype)
    if kind is not None:
        return makers["c"](np.full(shape_argument((size,)), fill_value, kind.numpy), kind, requires_grad)
    dtype = dtypes.as_dtype(type(fill_value)) if dtype is None else dtypes.as_dtype(dtype)
    _check_grad(dtype, requires_grad)
    layout = layout_of(shape_argument((size,)), dtype)
    if not dtype.is_floating_point:
        return from_array(np.full(layout.shape, fill_value), dtype)
    return finish(constant(float(fill_value), layout), requires_grad)


@placed
def zeros(*sizes, size=None, dtype=None, requires_grad=False) -> Tensor:
    """A tensor of zeros."""
    return full(as_sizes(sizes, size), 0, dtype=_default_or(dtype), requires_grad=requires_grad)


@placed
def ones(*sizes, size=None, dtype=None, requires_grad=False) -> Tensor:
    """A tensor of ones."""
    return full(as_sizes(sizes, size), 1, dtype=_default_or(dtype), requires_grad=requires_grad)


@placed
def empty_like(x: Tensor, *, dtype=None, requires_grad=False) -> Tensor:
    """``empty`` with the shape and dtype of a tensor."""
    return empty(x.shape, dtype=dtype or x.dtype, requires_grad=requires_grad)


@placed
def zeros_like(x: Tensor, *, dtype=None, requires_grad=False) -> Tensor:
    """``zeros`` with the shape and dtype of a tensor."""
    return zeros(x.shape, dtype=dtype or x.dtype, requires_grad=requires_grad)


@placed
def ones_like(x: Tensor, *, dtype=None, requires_grad=False) -> Tensor:
    """``ones`` with the shape and dtype of a tensor."""
    return ones(x.shape, dtype=dtype or x.dtype, requires_grad=requires_grad)


@placed
def full_like(x: Tensor, fill_value, *, dtype=None, requires_grad=False) -> Tensor:
    """``full`` with the shape and dtype of a tensor."""
    return full(x.shape, fill_value, dtype=dtype or x.dtype, requires_grad=requires_grad)


@placed
def eye(n: int, m: int | None = None, *, dtype=None, requires_grad=False) -> Tensor:
    """The identity matrix."""
    kind = dtypes.as_complex_dtype(dtype)
    if kind is not None:
        return makers["c"](np.eye(int(n), int(n if m is None else m)), kind, requires_grad)
    dtype = _float_or(dtype)
    shape = checked((int(n), int(n if m is None else m)), dtype)
    return finish(from_array(np.eye(*shape), dtype), requires_grad)


@placed
def arange(start=0, end=None, step=1, *, dtype=None, requires_grad=False) -> Tensor:
    """The numbers from ``start`` (0 by default) up to but without ``end``, by ``step``; int64 if all three are integers."""
    if end is None:
        start, end = 0, start
    numbers = [x.item() if isinstance(x, Tensor) else x for x in (start, end, step)]
    if numbers[2] == 0 or (numbers[1] - numbers[0]) * numbers[2] < 0:
        raise ArgumentError(f"arange() from {numbers[0]} to {numbers[1]} cannot take a step of {numbers[2]}: it leads away")
    if dtype is None:
        dtype = dtypes.int64 if all(isinstance(x, (int, np.integer)) for x in numbers) else dtypes.get_default_dtype()
    dtype = dtypes.as_dtype(dtype)
    _check_grad(dtype, requires_grad)
    checked((math.ceil(min((numbers[1] - numbers[0]) / numbers[2], 1 << 62)),), dtype)
    return finish(from_array(np.arange(*numbers), dtype), requires_grad)


@placed
def linspace(start, end, steps: int, *, dtype=None, requires_grad=False) -> Tensor:
    """``steps`` numbers evenly spaced from ``start`` to ``end``, both included; tensors as bounds get their gradients."""
    dtype, steps = _float_or(dtype), operator.index(steps)
    if isinstance(start, Tensor) or isinstance(end, Tensor):
        if any(isinstance(x, Tensor) and x.ndim for x in (start, end)):
            raise RuntimeError("linspace() goes from one number to another, its ends are tensors without dimensions")
        share = from_array(np.linspace(0, 1, *checked((steps,), dtype)), dtypes.float64)
        return finish((start * (1 - share) + end * share).to(dtype), requires_grad)
    return finish(from_array(np.linspace(start, end, *checked((steps,), dtype)), dtype), requires_grad)


@placed
def logspace(start, end, steps: int, base=10.0, *, dtype=None, requires_grad=False) -> Tensor:
    """``base`` raised to ``steps`` numbers evenly spaced from ``start`` to ``end``."""
    dtype = _float_or(dtype)
    powers = linspace(start, end, steps, dtype=dtypes.float64)
    return finish((base**powers).to(dtype), requires_grad)


def asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=False) -> Tensor:
    """``as_tensor``, or a copy with ``copy=True``."""
    check_device(device)
    made = tensor(obj, dtype=dtype) if copy else as_tensor(obj, dtype=dtype)
    return finish(made, requires_grad)


def rebuild(array, requires_grad) -> Tensor:
    """What unpickling a tensor calls."""
    return finish(from_array(array), requires_grad)


@method_as("__reduce__")
def _reduced(x):
    return rebuild, (np.array(x._array()), x.requires_grad)


def is_tensor(x) -> bool:
    """Whether ``x`` is a Tensor."""
    return isinstance(x, Tensor)
