"""Where arguments and results have their batch: trees of axes beside trees of arrays."""

import numpy as np

from tapejit.eager.dispatch import from_array
from tapejit.eager.tensor import Tensor
from tapejit.eager.views import permute
from tapejit.replay.trees import flatten, is_result, unflatten


def axes_of(tree, axes, what) -> list:
    """The axis of each leaf of an argument: ``axes`` is an int or None for all of it, or a tree like the beginning of it."""
    found = []
    _collect(tree, axes, what, found)
    return found


def _collect(tree, axes, what, found):
    if axes is None or (isinstance(axes, int) and not isinstance(axes, bool)):
        leaves = []
        flatten(tree, is_batch_leaf, leaves)
        found += [axes] * len(leaves)
        return
    if isinstance(axes, dict) and isinstance(tree, dict) and set(axes) == set(tree):
        for key in tree:
            _collect(tree[key], axes[key], f"{what}[{key!r}]", found)
        return
    if isinstance(axes, (tuple, list)) and isinstance(tree, (tuple, list)) and len(axes) == len(tree):
        for j, (x, axis) in enumerate(zip(tree, axes, strict=True)):
            _collect(x, axis, f"{what}[{j}]", found)
        return
    raise ValueError(
        f"vmap(): the axes {axes!r} do not match {what}, a {type(tree).__name__}: give an int, None, or a tuple, list or dict "
        "with one entry for each of its entries"
    )


def is_batch_leaf(x):
    return is_result(x) or (isinstance(x, (float, np.number)) and not isinstance(x, bool))


def as_tensor(x):
    return x if isinstance(x, Tensor) else from_array(x)


def moved(t, source, target):
    """A tensor with one axis at another place."""
    if source == target:
        return t
    order = [d for d in range(t.ndim) if d != source]
    order.insert(target, source)
    return permute(t, *order)


def _counted(x, axis, what) -> int:
    """An axis of an argument, counted from the front."""
    shape = tuple(np.shape(x))
    if not shape:
        raise ValueError(
            f"vmap(): {what} is a number, which has no axis {axis}: pass in_axes=None for it, or an array with one value per "
            "example"
        )
    if not -len(shape) <= axis < len(shape):
        raise ValueError(f"vmap(): {what} of shape {shape} has no axis {axis} (in_axes)")
    return axis % len(shape)


class Placed:
    """Arguments taken apart, and where they have their batch.

    Attributes:
        leaves, structure: of all arguments.
        axes: place among the leaves -> axis of the batch, for the leaves that have one.
        size: of the batch.
    """

    def __init__(self, args, kwargs, in_axes):
        self.leaves = []
        if isinstance(in_axes, (tuple, list)) and len(in_axes) != len(args):
            raise ValueError(f"vmap(): in_axes has {len(in_axes)} entries for {len(args)} positional arguments: {in_axes!r}")
        each = in_axes if isinstance(in_axes, (tuple, list)) else (in_axes,) * len(args)
        names = []
        for j, (x, axis) in enumerate(zip(args, each, strict=True)):
            names.append((axes_of(x, axis, f"argument {j}"), f"argument {j}"))
        names += [(axes_of(x, 0, f"argument {name!r}"), f"argument {name!r}") for name, x in kwargs.items()]
        self.structure = flatten((tuple(args), dict(kwargs)), is_batch_leaf, self.leaves)
        axes = [(axis, what) for found, what in names for axis in found]
        self.axes = {j: _counted(self.leaves[j], *axes[j]) for j in range(len(axes)) if axes[j][0] is not None}
        sizes = {}
        for j, axis in self.axes.items():
            sizes.setdefault(self.leaves[j].shape[axis], f"{axes[j][1]} (axis {axes[j][0]})")
        if len(sizes) != 1:
            listed = ", ".join(f"{n} in {what}" for n, what in sizes.items())
            raise ValueError(f"vmap(): the axes of the batch have different sizes: {listed}" if sizes else
                             "vmap(): no argument has a batch axis: in_axes is None for all of them")  # fmt: skip
        (self.size,) = sizes

    def rebuilt(self, batched):
        """The arguments, other values in place of the leaves that have a batch."""
        leaves = list(self.leaves)
        for j, x in zip(self.axes, batched, strict=True):
            leaves[j] = x
        return unflatten(self.structure, iter(leaves))
