"""Arguments and results as trees: nested tuples, lists and dicts with numbers, arrays and Tensors at their ends."""

import numpy as np

from tapejit.eager.tensor import Tensor
from tapejit.replay.binding import Same
from tapejit.replay.exact import exact

LEAF = "*"


def flatten(tree, is_leaf, leaves):
    """Append the leaves of a tree to a list; returns the hashable structure, other ends standing for themselves.

    Raises:
        TypeError: for an end that is neither a leaf nor hashable.
    """
    if is_leaf(tree):
        leaves.append(tree)
        return LEAF
    kind = tree.__class__
    if kind is tuple or kind is list:
        return kind, tuple([flatten(x, is_leaf, leaves) for x in tree])
    if isinstance(tree, dict):
        keys = tuple(tree)
        return kind, keys, tuple([flatten(tree[k], is_leaf, leaves) for k in keys])
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return kind, tuple([flatten(x, is_leaf, leaves) for x in tree])
    if isinstance(tree, (tuple, list)):
        return kind, tuple([flatten(x, is_leaf, leaves) for x in tree])
    _no_array(tree)
    try:
        hash(tree)
    except TypeError:
        if hasattr(tree, "__dict__"):
            return "static", Same, Same(tree)
        raise TypeError(
            f"an argument of type {kind.__name__} is neither a number, an array, a Tensor, nor a hashable static value"
        ) from None
    return "static", exact(tree), tree


_ARRAYS = {
    "torch": "x.detach().numpy(), or tapejit's own tensors",
    "pandas": "x.to_numpy()",
    "polars": "x.to_numpy()",
    "jax": "np.asarray(x)",
    "jaxlib": "np.asarray(x)",
    "cupy": "x.get()",
    "tensorflow": "x.numpy()",
}


def _no_array(x):
    """Raise TypeError for an array of another library."""
    kind = type(x)
    library = kind.__module__.partition(".")[0]
    if library in _ARRAYS and (hasattr(x, "__array__") or hasattr(x, "numpy")):
        raise TypeError(
            f"an argument is a {library} {kind.__name__}; functions of tapejit take NumPy arrays: pass {_ARRAYS[library]}"
        )


def unflatten(structure, leaves):
    """The tree of a structure, its leaves taken from an iterator."""
    if structure == LEAF:
        return next(leaves)
    kind = structure[0]
    if kind == "static":
        return structure[2].object if structure[1] is Same else structure[2]
    if len(structure) == 3:
        return kind(zip(structure[1], (unflatten(s, leaves) for s in structure[2]), strict=True))
    items = [unflatten(s, leaves) for s in structure[1]]
    return kind(*items) if hasattr(kind, "_fields") else kind(items)


def is_dynamic(x) -> bool:
    """Whether a value in the arguments may differ from call to call: floats, arrays and Tensors; all others are static."""
    return x.__class__ is Tensor or x.__class__ is float or isinstance(x, (np.ndarray, np.floating))


def is_result(x) -> bool:
    return x.__class__ is Tensor or isinstance(x, np.ndarray)


def map_tree(function, tree):
    """The tree with ``function`` applied to its Tensors and arrays."""
    leaves = []
    structure = flatten(tree, is_result, leaves)
    return unflatten(structure, iter([function(x) for x in leaves]))
