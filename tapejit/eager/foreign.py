"""Arrays from outside: which of them can be read where they lie, and what the others need."""

import types

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


_ARRAYS = {
    "torch": "x.detach().numpy(), or tapejit's own tensors",
    "polars": "x.to_numpy()",
    "jax": "np.asarray(x)",
    "jaxlib": "np.asarray(x)",
    "cupy": "x.get()",
    "tensorflow": "x.numpy()",
}


def named_array(x):
    """An array of another library, in words, and what to pass in its place; None for anything else."""
    kind = type(x)
    library = kind.__module__.partition(".")[0]
    if library not in _ARRAYS or not (hasattr(x, "__array__") or hasattr(x, "numpy")):
        return None
    return f"a {library} {kind.__name__}", _ARRAYS[library]


def name_of(x) -> str:
    """The name of an object's class, with that of its library where it may be taken for one of ours."""
    found = named_array(x)
    return type(x).__name__ if found is None else found[0].removeprefix("a ")


def operand(x):
    """As ``column``, of the other operand of an operator.

    Raises:
        TypeError: for an array of another library: Python would say no more than that two Tensors do not go together; for
            ``x.size`` without its parentheses.
    """
    found = named_array(x)
    if isinstance(x, types.MethodType) and x.__name__ in ("size", "numel", "dim"):
        raise TypeError(f"{x.__name__} is a method, as in PyTorch: x.numel() elements, x.size() the shape, x.dim() dimensions")
    if found is not None:
        instead = found[1].removesuffix(", or tapejit's own tensors")
        raise TypeError(f"an operand is {found[0]}, the other a tensor of tapejit: give it as an array, {instead}")
    return column(x)


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
