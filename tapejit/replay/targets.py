"""Arrays that a caller gives for the results of a call: whether they can hold them, and writing them."""

import numpy as np

from tapejit.eager.tensor import Tensor
from tapejit.replay.trees import flatten, is_result, unflatten


def write_results(result, out):
    """The result with its arrays written into ``out`` and replaced by these; see ``Replayed.general_into``."""
    leaves = []
    structure = flatten(result, is_result, leaves)
    arrays = [x for x in leaves if x.ndim]
    given = list(out) if isinstance(out, (tuple, list)) else [out]
    if len(given) != len(arrays):
        raise ValueError(f"out= needs one array for each array of the result, of shapes {_shapes(arrays)}; got {len(given)}")
    for target, x in zip(given, arrays, strict=True):
        _check(target, x)
    targets = iter(given)
    filled = [next(targets) if x.ndim else x for x in leaves]
    for target, x in zip(given, arrays, strict=True):
        target[...] = x
    return unflatten(structure, iter(filled))


def _shapes(arrays) -> str:
    return ", ".join(str(x.shape) for x in arrays) or "none at all"


def _check(target, x):
    """Refuse what cannot take all of ``x``, before anything is written."""
    if not is_result(target):
        raise TypeError(f"out= needs an array of shape {x.shape} for each result, got {type(target).__name__}")
    if isinstance(target, np.ma.MaskedArray):
        raise TypeError("out= needs plain arrays, got a masked one; pass its .data")
    if target.shape != x.shape:
        raise ValueError(f"out= needs an array of shape {x.shape}, got {target.shape}")
    have, want = (a.dtype.numpy if isinstance(a, Tensor) else a.dtype for a in (target, x))
    if not np.can_cast(want, have, "same_kind"):
        raise TypeError(f"out= needs an array that can hold {want}, got one of {have}, in which values would be cut off")
    if isinstance(target, np.ndarray) and not target.flags.writeable:
        raise ValueError("out= needs arrays that may be written, got a read-only one")
