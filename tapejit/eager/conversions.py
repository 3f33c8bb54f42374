"""Dtypes and devices under PyTorch's names: conversions, tensors like another, limits and promotion of dtypes."""

import numpy as np

from tapejit.core import dtypes
from tapejit.core.dtypes import DType
from tapejit.eager.creation import as_tensor, empty, full, ones, tensor, zeros
from tapejit.eager.devices import KINDS, check_device, check_places, device
from tapejit.eager.dispatch import result_dtype
from tapejit.eager.functional import to as to_dtype
from tapejit.eager.tensor import Tensor
from tapejit.eager.views import clone, shape_argument

_OLD_TYPES = {
    "DoubleTensor": "float64", "FloatTensor": "float32", "LongTensor": "int64", "IntTensor": "int32", "ShortTensor": "int16",
    "CharTensor": "int8", "ByteTensor": "uint8", "BoolTensor": "bool",
}


def to(x: Tensor, dtype=None, *args, **kwargs) -> Tensor:
    """The tensor in another dtype: ``x.to(dtype)``, ``x.to(device)``, ``x.to(device, dtype)``, ``x.to(y)``.

    The gradient passes between float types. The same tensor if nothing changes, unless ``copy=True``.

    Raises:
        RuntimeError: for a device other than the CPU.
    """
    if dtype.__class__ is DType and not args and not kwargs:
        return to_dtype(x, dtype)
    args, dtype = (dtype, *args), None
    copy = kwargs.pop("copy", False)
    for arg in args[:2]:
        if isinstance(arg, Tensor):
            dtype = arg.dtype
        elif isinstance(arg, device) or (isinstance(arg, str) and arg.partition(":")[0] in KINDS):
            check_device(arg)
        elif arg is not None and not isinstance(arg, bool):
            dtype = arg
    copy = copy or (len(args) > 3 and args[3] is True)
    if kwargs:
        check_places(kwargs)
        if kwargs:
            raise TypeError(f"to() does not know {', '.join(kwargs)}")
    result = x if dtype is None or dtype is x._layout.dtype else to_dtype(x, dtype)
    return clone(result) if copy and result is x else result


def cast(name, doc):
    """A method that converts to one dtype."""
    dtype = dtypes.as_dtype(name)

    def method(x, memory_format=None):
        if memory_format is not None:
            check_places({"memory_format": memory_format})
        return to_dtype(x, dtype)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = doc
    return method


CASTS = {
    method: cast(name, f"The tensor as {name}.")
    for method, name in (
        ("double", "float64"), ("float", "float32"), ("long", "int64"), ("int", "int32"), ("short", "int16"), ("char", "int8"),
        ("byte", "uint8"), ("bool", "bool"),
    )
}


def astype(x: Tensor, dtype, copy=True) -> Tensor:
    """``to`` under NumPy's name: a copy also if the dtype is the same, unless ``copy=False``."""
    return to(x, dtype, copy=copy)


def copy(x: Tensor) -> Tensor:
    """``clone`` under NumPy's name."""
    return clone(x)


def type(x: Tensor, dtype=None, non_blocking=False):
    """The tensor in another dtype, also by PyTorch's old names ("torch.FloatTensor"); the old name of its own without one."""
    names = {name: kind for kind, name in _OLD_TYPES.items()}
    if dtype is None:
        return f"tapejit.{names[x.dtype.name]}"
    if isinstance(dtype, OldType):
        dtype = dtype.dtype
    elif isinstance(dtype, str):
        dtype = _OLD_TYPES.get(dtype.rpartition(".")[2], dtype)
    return to_dtype(x, dtype)


def type_as(x: Tensor, other: Tensor) -> Tensor:
    """The tensor in the dtype of another."""
    return to_dtype(x, other.dtype)


def cpu(x: Tensor, memory_format=None) -> Tensor:
    """The tensor itself, which is on the CPU."""
    return x


def cuda(x: Tensor, device=None, non_blocking=False, memory_format=None):
    """There is no GPU.

    Raises:
        RuntimeError: always.
    """
    check_device("cuda" if device is None else device if isinstance(device, str) else f"cuda:{device}")


def pin_memory(x: Tensor, device=None) -> Tensor:
    """The tensor itself: there is no GPU to pin memory for."""
    return x


def get_device(x: Tensor) -> int:
    """-1, the number of the CPU."""
    return -1


# Like another tensor


def new_tensor(x: Tensor, data, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """``tensor(data)`` with the dtype of x by default."""
    return tensor(data, dtype=dtype or x.dtype, device=device, requires_grad=requires_grad)


def _new(name, make):
    def method(x, *size, dtype=None, requires_grad=False, **kwargs):
        if "size" in kwargs:
            size = (kwargs.pop("size"),)
        check_places(kwargs)
        return make(shape_argument(size), dtype=dtype or x.dtype, requires_grad=requires_grad, **kwargs)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"``{name[4:]}`` with the dtype of x by default."
    return method


new_zeros, new_ones, new_empty = _new("new_zeros", zeros), _new("new_ones", ones), _new("new_empty", empty)


def new_full(x: Tensor, size, fill_value, *, dtype=None, requires_grad=False, **kwargs) -> Tensor:
    """``full`` with the dtype of x by default."""
    check_places(kwargs)
    return full(size, fill_value, dtype=dtype or x.dtype, requires_grad=requires_grad)


def empty_strided(size, stride, *, dtype=None, requires_grad=False, **kwargs) -> Tensor:
    """A tensor whose elements are undefined, with strides in elements."""
    check_places(kwargs)
    span = 1 + sum((n - 1) * s for n, s in zip(size, stride, strict=True)) if 0 not in tuple(size) else 0
    return empty(span, dtype=dtype, requires_grad=requires_grad).as_strided(size, stride)


def new_empty_strided(x: Tensor, size, stride, *, dtype=None, **kwargs) -> Tensor:
    """``empty_strided`` with the dtype of x by default."""
    return empty_strided(size, stride, dtype=dtype or x.dtype, **kwargs)


def scalar_tensor(s, *, dtype=None, requires_grad=False, **kwargs) -> Tensor:
    """A number as a tensor without dimensions, of the default float dtype."""
    check_places(kwargs)
    return tensor(s, dtype=dtype or dtypes.get_default_dtype(), requires_grad=requires_grad)


class OldType:
    """``FloatTensor`` and its like: makes a tensor of a dtype from data, or of a shape with undefined elements."""

    def __init__(self, name):
        self.__name__ = name
        self.dtype = dtypes.as_dtype(_OLD_TYPES[name])

    def __call__(self, *args):
        if len(args) == 1 and not isinstance(args[0], (int, np.integer)):
            return tensor(args[0], dtype=self.dtype)
        return empty(*args, dtype=self.dtype) if args else empty(0, dtype=self.dtype)

    def __repr__(self):
        return f"<tapejit.{self.__name__}>"


# Dtypes


class finfo:
    """The limits of a float dtype: ``eps``, ``max``, ``min``, ``tiny``, ``smallest_normal``, ``resolution``, ``bits``."""

    def __init__(self, dtype=None):
        dtype = dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)
        if not dtype.is_floating_point:
            raise TypeError(f"finfo() takes a float dtype, got {dtype}; use iinfo()")
        found = np.finfo(dtype.numpy)
        self.dtype, self.bits = dtype.name, found.bits
        for name in ("eps", "max", "min", "tiny", "smallest_normal", "resolution"):
            setattr(self, name, float(getattr(found, name)))

    def __repr__(self):
        parts = ", ".join(f"{name}={getattr(self, name)}" for name in ("resolution", "min", "max", "eps", "tiny", "dtype"))
        return f"finfo({parts})"


class iinfo:
    """The limits of an integer dtype: ``max``, ``min``, ``bits``, ``dtype``."""

    def __init__(self, dtype):
        dtype = dtypes.as_dtype(dtype)
        if dtype.is_floating_point or dtype is dtypes.bool_:
            raise TypeError(f"iinfo() takes an integer dtype, got {dtype}; use finfo()")
        found = np.iinfo(dtype.numpy)
        self.dtype, self.bits, self.max, self.min = dtype.name, found.bits, int(found.max), int(found.min)

    def __repr__(self):
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"


def result_type(x, other) -> DType:
    """The dtype of a result of two operands: tensors or numbers."""
    return result_dtype([t if isinstance(t, (Tensor, int, float)) else as_tensor(t) for t in (x, other)])


def promote_types(type1, type2) -> DType:
    """The smallest dtype that holds both."""
    return dtypes.promote(*((dtypes.as_dtype(t), 2) for t in (type1, type2)))


def can_cast(from_, to) -> bool:
    """Whether PyTorch casts in place from one dtype to the other: not to a lower kind."""
    order = {"b": 0, "u": 1, "i": 1, "f": 2}
    first, second = (dtypes.as_dtype(t).numpy.kind for t in (from_, to))
    return order[first] <= order[second]


def is_floating_point(x: Tensor) -> bool:
    """Whether the dtype is a float one."""
    return x.dtype.is_floating_point


def is_complex(x: Tensor) -> bool:
    """False: tensors are real."""
    return False


def is_nonzero(x: Tensor) -> bool:
    """The truth of a tensor with one element."""
    return bool(x)


def is_signed(x: Tensor) -> bool:
    """Whether the dtype has negative numbers."""
    return x.dtype.is_signed


def is_same_size(x: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape."""
    return x.shape == other.shape


def numel(x: Tensor) -> int:
    """How many elements there are."""
    return x.numel()


METHODS = """astype copy type type_as cpu cuda pin_memory get_device new_tensor new_zeros new_ones new_empty new_full
    new_empty_strided is_complex is_nonzero is_signed is_same_size""".split()
FUNCTIONS_ONLY = "empty_strided scalar_tensor finfo iinfo result_type promote_types can_cast is_floating_point numel".split()
ALIASES = {name: OldType(name) for name in _OLD_TYPES}
