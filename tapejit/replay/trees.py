"""Arguments and results as trees: nested tuples, lists and dicts with numbers, arrays and Tensors at their ends.

Dataclasses, attrs classes, named tuples and registered classes are trees of their fields; columns of pandas are arrays.
"""

import dataclasses

import numpy as np

from tapejit.eager.complexes.pair import ComplexTensor, complex_array
from tapejit.eager.foreign import column, named_array
from tapejit.eager.tensor import Tensor
from tapejit.replay.binding import Same
from tapejit.replay.exact import exact

LEAF, NODE = "*", "node"


class Whole:
    """Makes an integer of the one leaf below it, as a named tuple makes one of its parts."""

    _fields = ("number",)

    def __new__(cls, number):
        return int(number)


def _complex(rest, parts):
    """Parts as a complex tensor; those of callers who passed arrays, as a complex array."""
    return ComplexTensor(*parts) if any(isinstance(x, Tensor) for x in parts) else complex_array(*parts)


_registered: dict = {ComplexTensor: (lambda z: ((z.real, z.imag), None), _complex)}  # class -> (flatten, unflatten)


def register_pytree_node(kind, flatten, unflatten) -> None:
    """Let objects of a class be arguments and results whose parts are differentiated.

    Args:
        kind: the class.
        flatten: gives ``(parts, rest)`` of an object: a sequence of numbers, arrays, tensors or their containers, and what
            else makes the object, which must be hashable.
        unflatten: makes an object of ``rest`` and parts; in gradients the parts are gradients.

    Raises:
        ValueError: if the class is registered already.
    """
    if kind in _registered:
        raise ValueError(f"{kind.__name__} is registered already")
    _registered[kind] = flatten, unflatten


def _node(tree):
    """(what makes an object beside its parts, its parts): of registered classes, dataclasses and attrs classes; else None."""
    kind = tree.__class__
    if kind in _registered:
        parts, rest = _registered[kind][0](tree)
        return rest, tuple(parts)
    names = _field_names(kind)
    if names is None or (hasattr(tree, "__dict__") and set(vars(tree)) - set(names)):
        return None
    try:
        return names, tuple(getattr(tree, name) for name in names)
    except AttributeError:
        return None


def _field_names(kind):
    if "__dataclass_fields__" in vars(kind):
        return tuple(f.name for f in dataclasses.fields(kind))
    attributes = vars(kind).get("__attrs_attrs__")
    return None if attributes is None else tuple(a.name for a in attributes)


def _made(kind, meta, parts):
    """An object of its parts; of a dataclass without running its ``__init__``."""
    if kind in _registered:
        return _registered[kind][1](meta, parts)
    made = object.__new__(kind)
    for name, part in zip(meta, parts, strict=True):
        object.__setattr__(made, name, part)
    return made


def flatten(tree, is_leaf, leaves):
    """Append the leaves of a tree to a list; returns the hashable structure, other ends standing for themselves.

    Raises:
        TypeError: for an end that is neither a leaf nor hashable.
    """
    if is_leaf(tree) and not (tree.__class__ is np.ndarray and tree.dtype.kind == "c"):
        leaves.append(tree)
        return LEAF
    kind = tree.__class__
    if kind is np.ndarray and tree.dtype.kind == "c":
        return NODE, (ComplexTensor, None), tuple([flatten(part.copy(), is_leaf, leaves) for part in (tree.real, tree.imag)])
    if kind is tuple or kind is list:
        return kind, tuple([flatten(x, is_leaf, leaves) for x in tree])
    if isinstance(tree, dict):
        keys = tuple(tree)
        return kind, keys, tuple([flatten(tree[k], is_leaf, leaves) for k in keys])
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return kind, tuple([flatten(x, is_leaf, leaves) for x in tree])
    if isinstance(tree, (tuple, list)):
        return kind, tuple([flatten(x, is_leaf, leaves) for x in tree])
    array = column(tree)
    if array is not None:
        return flatten(array, is_leaf, leaves)
    node = _node(tree)
    if node is not None:
        meta, children = node
        return NODE, (kind, meta), tuple([flatten(x, is_leaf, leaves) for x in children])
    _no_array(tree)
    try:
        hash(tree)
    except TypeError:
        if kind is np.ndarray or hasattr(tree, "__dict__"):
            return "static", Same, Same(tree)
        raise TypeError(
            f"an argument of type {kind.__name__} is neither a number, an array, a Tensor, nor a hashable static value"
        ) from None
    return "static", exact(tree), tree


def _no_array(x):
    """Raise TypeError for an array of another library."""
    found = named_array(x)
    if found is not None:
        what, instead = found
        raise TypeError(f"an argument is {what}; functions of tapejit take NumPy arrays: pass {instead}")


def unflatten(structure, leaves):
    """The tree of a structure, its leaves taken from an iterator."""
    if structure == LEAF:
        return next(leaves)
    kind = structure[0]
    if kind == "static":
        return structure[2].object if structure[1] is Same else structure[2]
    if kind is NODE:
        return _made(*structure[1], [unflatten(s, leaves) for s in structure[2]])
    if len(structure) == 3:
        return kind(zip(structure[1], (unflatten(s, leaves) for s in structure[2]), strict=True))
    items = [unflatten(s, leaves) for s in structure[1]]
    return kind(*items) if hasattr(kind, "_fields") else kind(items)


def integers(structure) -> list:
    """The Python integers that stand in a structure, from first to last."""
    if structure == LEAF:
        return []
    if structure[0] == "static":
        return [structure[2]] if structure[2].__class__ is int else []
    return [n for part in structure[-1] for n in integers(part)]


def with_leaves(structure, chosen, count):
    """A structure some of whose integers are leaves, the last ones; and the order of all leaves as they stand in it.

    Args:
        chosen: per integer whether it is one of them.
        count: how many leaves there are without these.
    """
    chosen, old, new, order = iter(chosen), iter(range(count)), iter(range(count, 1 << 30)), []

    def changed(part):
        if part == LEAF:
            order.append(next(old))
            return part
        if part[0] == "static":
            if part[2].__class__ is not int or not next(chosen):
                return part
            order.append(next(new))
            return Whole, (LEAF,)
        return *part[:-1], tuple(map(changed, part[-1]))

    return changed(structure), order


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
