"""What an index key means: each part in one of a few plain forms, and the elements that the parts select.

The rules are PyTorch's. Integers, slices, None and ... are basic: they give views. Integer arrays and boolean masks gather;
they act on what the basic parts have left, all at once.
"""

import numpy as np

from tapejit.core import dtypes
from tapejit.core.layout import packed_strides
from tapejit.eager.tensor import Tensor


def is_basic(part) -> bool:
    """Whether a part of a key selects by position and stride alone."""
    if part is None or part is Ellipsis or isinstance(part, slice):
        return True
    return isinstance(part, (int, np.integer)) and not isinstance(part, bool)


def as_key(key) -> tuple:
    """A key as the tuple of its parts, with lists, tuples, ranges and arrays inside it as index arrays.

    Raises:
        IndexError: for a part that is none of those, or holds other than integers or bools.
    """
    return tuple(map(_part, key)) if isinstance(key, tuple) else (_part(key),)


def _part(part):
    if is_basic(part):
        return part
    if isinstance(part, Tensor):
        _check_bytes(part.dtype.numpy)
        return part
    if isinstance(part, (bool, np.bool_)):
        return np.asarray(part)
    if not isinstance(part, (list, tuple, range, np.ndarray)):
        raise IndexError(
            f"an index must be made of integers, slices, None, ..., or tensors, arrays and lists of integers or bools; "
            f"got {type(part).__name__}"
        )
    try:
        array = dtypes.as_array(_without_tensors(part))
    except ValueError:
        raise IndexError(f"an index list must be rectangular, got {part!r}") from None
    if array.size == 0 and not isinstance(part, np.ndarray):
        return array.astype(np.int64)
    if array.dtype.kind not in "iub":
        raise IndexError(f"an index array must hold integers or bools, got dtype {array.dtype}; use .astype(int)")
    _check_bytes(array.dtype)
    return array if array.ndim or array.dtype == bool else int(array)


def _without_tensors(part):
    """Nested sequences with the tensors inside them as arrays."""
    if isinstance(part, Tensor):
        return plain_part(part)
    return [_without_tensors(item) for item in part] if isinstance(part, (list, tuple)) else part


def _check_bytes(dtype):
    """Refuse what PyTorch takes for a mask and NumPy for positions."""
    if dtype == np.uint8:
        raise IndexError(
            "an index of uint8 would be a mask in PyTorch and positions in NumPy; convert it to bool for the one, to int64 "
            "for the other"
        )


def plain_part(part):
    """A part of a key as NumPy knows it: a tensor as an array, or as a number if it has no dimensions."""
    if isinstance(part, Tensor):
        if part.dtype.is_floating_point:
            raise IndexError(f"tensors used as indices must be integer or bool, got {part.dtype}; use .to(tapejit.int64)")
        if part.ndim == 0 and part.dtype is not dtypes.bool_:
            return part.item()
        return part._array()
    if isinstance(part, slice):
        ends = (part.start, part.stop, part.step)
        return slice(*(e.item() if isinstance(e, Tensor) else e for e in ends))
    return part


def steps_back(key) -> bool:
    """Whether a slice of a key runs from the end to the beginning.

    Raises:
        ValueError: for a step of 0.
    """
    back = False
    for part in key:
        if part.__class__ is slice and part.step is not None and part.step < 1:
            if part.step == 0:
                raise ValueError("the step of a slice must not be zero")
            back = True
    return back


def _stages(key, ndim) -> tuple:
    """A key as two that NumPy applies one after the other: the basic parts, then the arrays on what they left."""
    basic, rest = [], []
    for part in key:
        if isinstance(part, np.ndarray):
            if part.ndim == 0:  # True and False: a new dimension of size 1 or 0
                basic.append(None)
                rest.append(np.zeros(int(part), np.int64))
                continue
            basic += [slice(None)] * (part.ndim if part.dtype == bool else 1)
            rest.append(part)
        else:
            basic.append(part)
            if part is Ellipsis:
                rest += [slice(None)] * (ndim - _taken(key))
            elif part is None or isinstance(part, slice):
                rest.append(slice(None))
    return tuple(basic), tuple(rest)


def _taken(key) -> int:
    """How many dimensions the parts of a key beside ... are for."""
    return sum(k.ndim if isinstance(k, np.ndarray) and k.dtype == bool else k is not None and k is not Ellipsis for k in key)


def select(array: np.ndarray, key) -> np.ndarray:
    """``array[key]`` by PyTorch's rule for mixed keys: the basic parts first, then the arrays on what they left.

    Raises:
        IndexError: if the key does not fit the shape.
    """
    basic, rest = _stages(key, array.ndim)
    try:
        return array[basic][rest]
    except IndexError as error:
        raise IndexError(f"{error} (tensor of shape {array.shape})") from None


def assign_selected(array: np.ndarray, key, values) -> None:
    """``array[key] = values`` by the rule of ``select``; ValueError if the values do not fit."""
    basic, rest = _stages(key, array.ndim)
    array[(*basic, Ellipsis) if Ellipsis not in basic else basic][rest] = values


def flat_indices(layout, key) -> np.ndarray:
    """The positions in the flattened tensor that a key selects, in the shape of the result.

    Raises:
        IndexError: if the key does not fit the shape.
    """
    if not layout.ndim:
        return select(np.zeros((), np.int64), key)
    total = 0
    for d, (size, step) in enumerate(zip(layout.shape, packed_strides(layout.shape), strict=True)):
        line = np.arange(size).reshape([-1 if k == d else 1 for k in range(layout.ndim)])
        total = total + select(np.broadcast_to(line, layout.shape), key) * step  # no array of the whole shape is made
    return total


def last_of_each(flat: np.ndarray, n: int):
    """Which of the positions ``flat`` below ``n`` are the last to name their place, None if no place is named twice."""
    flat = flat.reshape(-1)
    numbers = np.arange(flat.size)
    last = np.empty(n, np.int64)
    last[flat] = numbers  # NumPy writes in order
    stands = last[flat] == numbers
    return None if stands.all() else np.flatnonzero(stands)
