"""Arrays from outside: which of them can be read where they lie, and what the others need."""

import numpy as np

from tapejit.core import dtypes


def is_native(array) -> bool:
    """Whether kernels can read the elements where they are: in this machine's byte order, aligned, whole elements apart."""
    if not (array.dtype.isnative and array.flags.aligned):
        return False
    size = array.itemsize
    return all(stride % size == 0 for stride in array.strides)


def packed(x) -> np.ndarray:
    """An array as a program reads it: of a tensor's dtype, native, in C order; a copy where it is not.

    Raises:
        TypeError: for a masked array, or elements that tensors cannot have.
    """
    x = dtypes.as_array(x)
    dtype = dtypes.as_dtype(x.dtype).numpy
    flags = x.flags
    if flags.c_contiguous and flags.aligned and x.dtype.isnative:
        return x
    return np.array(x, dtype=dtype, order="C")


def column(x):
    """The values of a Series, Index or DataFrame of pandas as an array; None for anything else.

    Raises:
        TypeError: if they are not numbers.
    """
    if type(x).__module__.partition(".")[0] != "pandas" or not hasattr(x, "to_numpy"):
        return None
    array = x.to_numpy()
    if array.dtype.kind not in "fiub":
        raise TypeError(f"a pandas {type(x).__name__} of {array.dtype} does not hold numbers; convert it with .astype(float)")
    return array
