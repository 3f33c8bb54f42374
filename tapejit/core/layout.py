"""Layouts: the shape, strides and dtype of a tensor, one object for all tensors that share them.

Records refer to a layout by the address of its descriptor, so equal layouts are compared by comparing integers.
"""

import functools
import math

import numpy as np

from tapejit.core.dtypes import DType
from tapejit.core.record import L_PACKED, L_SHAPE
from tapejit.core.refusals import ArgumentError


class Size(tuple):
    """A shape: a tuple with ``numel()``, printed as PyTorch prints it."""

    __slots__ = ()

    def numel(self) -> int:
        return math.prod(self)

    def __repr__(self):
        return f"tapejit.Size({list(self)})"

    __str__ = __repr__

    def __format__(self, spec):
        return format(str(tuple(self)), spec)  # messages read better with (2, 3)


class Layout:
    """Shape and strides (in elements) of a tensor; made by ``layout_of`` only."""

    __slots__ = ("address", "contiguous", "dtype", "n", "ndim", "packed", "scalar", "shape", "strides", "words")

    def __init__(self, shape, strides, dtype, packed, scalar=False):
        self.scalar = scalar
        self.shape = Size(shape)
        self.strides = strides
        self.dtype = dtype
        self.ndim = len(shape)
        self.n = math.prod(shape)
        self.packed = packed or self
        self.contiguous = packed is None
        head = [self.ndim, self.n, self.contiguous, dtype.code, dtype.itemsize, 0]
        self.words = np.array([*head, *shape, *strides], dtype=np.int64)
        self.address = self.words.ctypes.data
        self.words[L_PACKED] = self.packed.address
        assert len(head) == L_SHAPE

    def __repr__(self):
        return f"<layout {self.shape} {self.dtype}{'' if self.contiguous else f' strides {self.strides}'}>"


LARGEST = 1 << 47  # bytes in one tensor, the most a process can address; sizes and offsets below it never overflow

_layouts: dict = {}
_by_address: dict = {}
_unlisted: list = []


def packed_strides(shape) -> tuple:
    """The strides in elements of a C-contiguous array."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


def checked(shape: tuple, dtype: DType) -> tuple:
    """The shape, if a tensor can have it. Every size in bytes comes from a shape that passed here.

    Raises:
        ValueError: if a size is negative, or the elements (those of an empty tensor's other dimensions) cannot be addressed.
    """
    if any(s < 0 for s in shape):
        raise ArgumentError(f"a shape has sizes of at least 0, got {tuple(shape)}")
    nbytes = math.prod(max(s, 1) for s in shape) * dtype.itemsize
    if nbytes > LARGEST:
        raise ArgumentError(f"shape {tuple(shape)} of {dtype} takes {nbytes} bytes, a tensor can have at most {LARGEST}")
    return shape


def layout_of(shape: tuple, dtype: DType, strides: tuple | None = None) -> Layout:
    """The layout with that shape, dtype and strides (C-contiguous by default).

    Raises:
        ValueError: for a shape that no tensor can have.
    """
    found = _layouts.get((shape, dtype, strides))
    if found is None:
        found = _make(shape, dtype, strides)
        _layouts[shape, dtype, strides] = found
        _by_address[found.address] = found
    return found


@functools.cache
def scalar_layout(dtype: DType) -> Layout:
    """The layout of a number as NumPy's functions give it, which does not change: ``x += 1`` makes another one."""
    layout = Layout((), (), dtype, None, scalar=True)
    _by_address[layout.address] = layout
    return layout


def count() -> int:
    """How many layouts are kept."""
    return len(_layouts)


def forget_unused(used: set) -> None:
    """Unlist the layouts whose addresses are not in ``used``, and drop those that were unlisted before.

    What has no dimensions stays: there is one of each dtype, and constants of the package refer to them.
    """
    used |= {_by_address[address].packed.address for address in used if address in _by_address}
    for layout in _unlisted[:]:
        if layout.address not in used:
            _unlisted.remove(layout)
            _by_address.pop(layout.address, None)  # a layout may be listed under two keys
    for key, layout in list(_layouts.items()):
        if layout.ndim and layout.address not in used:
            _unlisted.append(_layouts.pop(key))


def layout_at(address: int) -> Layout:
    """The layout whose descriptor is at an address."""
    return _by_address[address]


def _make(shape, dtype, strides):
    packed = packed_strides(checked(shape, dtype))
    if strides is None:
        return Layout(shape, packed, dtype, None)
    same = all(s == p for size, s, p in zip(shape, strides, packed, strict=True) if size != 1) or 0 in shape
    return layout_of(shape, dtype) if same else Layout(shape, strides, dtype, layout_of(shape, dtype))
