"""Element types: PyTorch's names over NumPy's dtypes."""

import weakref

import numpy as np


class _OfNumPy:
    """What element types have of NumPy's dtype, ``numpy``, and their ``name``."""

    __slots__ = ()

    def __repr__(self):
        return f"tapejit.{self.name}"

    @property
    def itemsize(self) -> int:
        return self.numpy.itemsize

    @property
    def dtype(self) -> np.dtype:
        """NumPy's dtype: by this NumPy takes an element type wherever it takes a dtype."""
        return self.numpy


class DType(_OfNumPy):
    """An element type. ``code`` is its number on the tape: 0 and 1 are the differentiable ones."""

    __slots__ = ("code", "is_floating_point", "name", "numpy")

    def __init__(self, name, code):
        self.name = name
        self.numpy = np.dtype(name)
        self.code = code
        self.is_floating_point = self.numpy.kind == "f"

    @property
    def is_complex(self) -> bool:
        return False

    @property
    def is_signed(self) -> bool:
        return self.numpy.kind in "if"

    def __reduce__(self):
        return as_dtype, (self.name,)


float64, float32, int64, int32, int16, int8, uint8, bool_ = ALL = tuple(
    DType(name, code)
    for code, name in enumerate(("float64", "float32", "int64", "int32", "int16", "int8", "uint8", "bool"))
)
_BY_NUMPY = {d.numpy: d for d in ALL}


class ComplexDType(_OfNumPy):
    """The element type of complex tensors, which are pairs of real tensors of the dtype ``real``; no record has it."""

    __slots__ = ("name", "numpy", "real")
    is_complex = is_signed = True
    is_floating_point = False

    def __init__(self, name, real):
        self.name, self.numpy, self.real = name, np.dtype(name), real

    def __reduce__(self):
        return as_complex_dtype, (self.name,)


complex128, complex64 = ComplexDType("complex128", float64), ComplexDType("complex64", float32)


def as_complex_dtype(dtype) -> ComplexDType | None:
    """The complex DType for one, for NumPy's of any byte order, its name, or the type complex; None for any other."""
    if dtype is None or isinstance(dtype, (ComplexDType, DType)):
        return dtype if isinstance(dtype, ComplexDType) else None
    if dtype is complex:
        return complex128 if _default is float64 else complex64
    try:
        name = np.dtype(dtype).name
    except TypeError:
        return None
    return {"complex128": complex128, "complex64": complex64}.get(name)


_default = float64
_following = weakref.WeakSet()


def as_array(data, dtype=None) -> np.ndarray:
    """``np.asarray`` for what users pass.

    Raises:
        TypeError: for a masked array, whose mask would be lost.
    """
    if isinstance(data, np.ndarray) and type(data) is not np.ndarray and hasattr(data, "mask"):
        raise TypeError(
            "a masked array was passed, but tensors have no mask and its masked elements would count; fill them with "
            "a.filled(value), leave them out with a.compressed(), or keep apart a.data and tapejit.where(~a.mask, ...)"
        )
    return np.asarray(data, dtype=dtype)


def as_dtype(dtype) -> DType:
    """The DType for a DType, a NumPy dtype (of any byte order) or its name, or one of float, int, bool.

    Raises:
        TypeError: for a type that tensors cannot have.
    """
    if isinstance(dtype, DType):
        return dtype
    if dtype is float:
        return _default
    if dtype is int:
        return int64
    if dtype is bool:
        return bool_
    try:
        found = np.dtype(dtype)
        return _BY_NUMPY[found if found.isnative else found.newbyteorder("=")]
    except (KeyError, TypeError):
        names = ", ".join(d.name for d in ALL)
        raise TypeError(f"dtype {dtype!r} is not supported; use one of {names}") from None


def limits(dtype: DType) -> tuple:
    """The smallest and the largest number of an integer dtype."""
    found = np.iinfo(dtype.numpy)
    return int(found.min), int(found.max)


def get_default_dtype() -> DType:
    """The dtype of tensors made from Python floats: float64, unless ``set_default_dtype`` said otherwise."""
    return _default


def set_default_dtype(dtype) -> None:
    """Make float64 or float32 the dtype of tensors made from Python floats.

    Raises:
        TypeError: if the dtype is not a floating-point one.
    """
    global _default
    dtype = as_dtype(dtype)
    if not dtype.is_floating_point:
        raise TypeError(f"the default dtype must be float64 or float32, got {dtype}")
    changes = dtype is not _default
    _default = dtype
    if changes:
        for listener in list(_following):
            listener.default_dtype_changed()


def follow_default_dtype(listener) -> None:
    """Have ``listener.default_dtype_changed()`` called when the default dtype is another; it is not kept alive by that."""
    _following.add(listener)


def promote(*operands) -> DType:
    """The dtype of a result: PyTorch's rule. Each operand is (dtype, rank), rank 2 for a tensor with dimensions, 1 for
    one without, 0 for a Python number; a lower rank counts only if its kind (bool, integer, float) is higher.
    """
    result, result_rank = None, 0
    for dtype, rank in sorted(operands, key=lambda operand: -operand[1]):
        if result is None or _kind(dtype) > _kind(result):
            result, result_rank = dtype, rank
        elif _kind(dtype) == _kind(result) and rank == result_rank:
            result = _BY_NUMPY[np.promote_types(result.numpy, dtype.numpy)]
    return result


def _kind(dtype) -> int:
    return {"b": 0, "i": 1, "u": 1, "f": 2}[dtype.numpy.kind]
