"""Whole Jacobians and Hessians: one pass that is batched over the directions, forward or backward, whichever has fewer.

A short recorded function with few directions has one pass for each, since they share what they have in common; else the pass is
recorded once and run for all unit vectors at once (see ``vmap``): neither records nor compile time grow with their number. A
sparse matrix is read from few products (see ``fewproducts``).
"""

import numpy as np

from tapejit.core import tape as tapes
from tapejit.core.layout import layout_of
from tapejit.eager.creation import zeros
from tapejit.eager.dispatch import constant, from_array
from tapejit.eager.grad_mode import enable_grad
from tapejit.eager.indexing import cat, stack
from tapejit.eager.views import permute, reshape, spread
from tapejit.replay.fewproducts import compressed
from tapejit.replay.function import Replayed
from tapejit.replay.leaves import pulled, pushed
from tapejit.replay.transforms import Differentiated, decorator, results_of, scalar
from tapejit.replay.trees import unflatten
from tapejit.replay.vmap import Example, batched

FEW = 8  # directions of a recording up to which each has a pass of its own
LONG = 2000  # records, above which they have not: so many passes would be recorded, each of which is a loop by itself
MOST_BYTES = 1 << 27  # of the unit vectors of one batched pass
MODES = ("auto", "forward", "reverse")


@decorator
def jacobian(fun=None, argnums=0, has_aux=False, *, mode="auto", static_argnums=(), static=(), compile="auto"):
    """A function that gives the Jacobian: shape of the result followed by the shape of the argument.

    Args:
        fun: a function with any result; with ``has_aux`` it gives ``(result, aux)``, and the Jacobian ``(jacobian, aux)``.
        argnums: the argument, or arguments as a tuple, to differentiate in; trees give trees of Jacobians.
        mode: "forward" (one direction per element of the arguments), "reverse" (one per element of the result), or "auto",
            which takes the smaller number.
        static_argnums, static, compile: see ``value_and_grad``.

    Raises:
        ValueError: for another mode.
    """
    return _jacobian("jacobian", fun, argnums, has_aux, mode, static_argnums, static, compile)


@decorator
def jacrev(fun=None, argnums=0, has_aux=False, *, static_argnums=(), static=(), compile="auto"):
    """``jacobian`` in reverse mode."""
    return _jacobian("jacrev", fun, argnums, has_aux, "reverse", static_argnums, static, compile)


@decorator
def jacfwd(fun=None, argnums=0, has_aux=False, *, static_argnums=(), static=(), compile="auto"):
    """``jacobian`` in forward mode."""
    return _jacobian("jacfwd", fun, argnums, has_aux, "forward", static_argnums, static, compile)


@decorator
def value_and_jacobian(fun=None, argnums=0, has_aux=False, *, mode="auto", static_argnums=(), static=(), compile="auto"):
    """A function that gives ``(fun(*args), jacobian)``; with ``has_aux`` ``((result, aux), jacobian)``. See ``jacobian``."""
    return _jacobian("value_and_jacobian", fun, argnums, has_aux, mode, static_argnums, static, compile)


def _jacobian(name, fun, argnums, has_aux, mode, static_argnums, static, compile):
    if mode not in MODES:
        raise ValueError(f"{name}() has the modes {', '.join(map(repr, MODES))}, got {mode!r}")

    def transformed(*args, **kwargs):
        with enable_grad():
            wanted = Differentiated(args, argnums, f"{name}()", kwargs, fun)
            result = wanted.call(fun)
            value, aux = result if has_aux else (result, None)
            outputs, structure = results_of(value, f"{name}()")
            blocks = _blocks(outputs, wanted.leaves, mode)
            found = unflatten(structure, iter([wanted.rebuild(row) for row in blocks]))
        if name == "value_and_jacobian":
            return ((value, aux) if has_aux else value), found
        return (found, aux) if has_aux else found

    made = Replayed(transformed, fun, name, argnums, static_argnums, compile, (fun, argnums, has_aux), static)
    if name not in ("jacrev", "jacfwd"):
        made.options = {"mode": mode}
    return made


def _blocks(outputs, leaves, mode="auto"):
    """For each output a list with the Jacobian in each leaf."""
    if len(outputs) == len(leaves) == 1:
        found = compressed(outputs[0], leaves[0], mode)
        if found is not None:
            return [[found]]
    rows, columns = (sum(x.numel() for x in tensors) for tensors in (outputs, leaves))
    forward = mode == "forward" if mode != "auto" else columns < rows or (columns == rows > FEW)
    if forward:
        by_leaf = [_forward(outputs, leaves, j) for j in range(len(leaves))]
        return [[block[i] for block in by_leaf] for i in range(len(outputs))]
    return [_reverse(y, leaves) for y in outputs]


def _one_by_one(n) -> bool:
    here = tapes.current()
    if here.recorder is None or n > FEW:
        return False
    return n == 1 or len(here) <= LONG or isinstance(here.recorder, Example)  # of a batch, which has its lanes


def unit(x, k):
    """The k-th unit vector of the shape of x, in a way that a program sees through."""
    one = constant(1.0, layout_of((), x.dtype))
    return spread(one, (), (), k, tuple(x.shape)) if x.ndim else one


def _identity(x, first, end):
    """Unit vectors of the shape of x, one after another."""
    n = x.numel()
    rows = np.zeros((end - first, n), x.dtype.numpy)
    rows[np.arange(end - first), np.arange(first, end)] = 1.0
    return from_array(rows.reshape(end - first, *x.shape))


def _stretches(x):
    """The unit vectors of x in stretches that are run at once: memory stays bounded."""
    n = x.numel()
    step = max(1, min(n, MOST_BYTES // (8 * max(n, 1))))
    return [(first, min(first + step, n)) for first in range(0, n, step)]


def _of_units(function, x) -> list:
    """What a function of one vector gives for all unit vectors of x, a stretch of them after another."""
    found = []
    for first, end in _stretches(x):
        size = end - first
        pairs = batched(function, [_identity(x, first, end)], size, units=size == x.numel())
        found.append([t if has else t.expand(size, *t.shape) for t, has in pairs])
    return found


def _forward(outputs, leaves, j):
    """The Jacobians of all outputs in leaf j, by its columns."""
    x = leaves[j]
    if not x.numel() or not any(y.requires_grad for y in outputs):
        return [zeros((*y.shape, *x.shape), dtype=y.dtype) for y in outputs]

    def column(direction):
        return pushed(outputs, leaves, [direction if k == j else None for k in range(len(leaves))])

    if _one_by_one(x.numel()):
        columns = [column(unit(x, k)) for k in range(x.numel())]
        return [
            reshape(stack([reshape(c[i], -1) for c in columns], 1), (*y.shape, *x.shape)) for i, y in enumerate(outputs)
        ]
    parts = _of_units(column, x)
    found = []
    for i, y in enumerate(outputs):
        whole = parts[0][i] if len(parts) == 1 else cat([part[i] for part in parts])
        found.append(reshape(permute(whole, *range(1, y.ndim + 1), 0), (*y.shape, *x.shape)))
    return found


def _reverse(y, leaves):
    """The Jacobians of an output in all leaves, by its rows."""
    if not y.numel() or not y.requires_grad:
        return [zeros((*y.shape, *x.shape), dtype=x.dtype) for x in leaves]
    if _one_by_one(y.numel()):
        rows = [pulled([y], [unit(y, k)], leaves) for k in range(y.numel())]
        return [reshape(stack([row[j] for row in rows]), (*y.shape, *x.shape)) for j, x in enumerate(leaves)]

    def row(seed):
        return pulled([y], [seed], leaves)

    parts = _of_units(row, y)
    found = []
    for j, x in enumerate(leaves):
        whole = parts[0][j] if len(parts) == 1 else cat([part[j] for part in parts])
        found.append(reshape(whole, (*y.shape, *x.shape)))
    return found


@decorator
def hessian(fun=None, argnums=0, has_aux=False, *, static_argnums=(), static=(), compile="auto"):
    """The Hessian of a scalar function: shape of the argument twice, forward over reverse.

    Several arguments, and trees, give a tree of the gradient's structure whose ends are Jacobians of that part. A sparse
    Hessian takes few products when it is recorded. Arguments as ``value_and_grad``.
    """

    def transformed(*args, **kwargs):
        with enable_grad():
            wanted = Differentiated(args, argnums, "hessian()", kwargs, fun)
            result = wanted.call(fun)
            value, aux = result if has_aux else (result, None)
            y = scalar(value, "hessian()")
            blocks = _blocks(pulled([y], [None], wanted.leaves), wanted.leaves, "forward")
            found = wanted.rebuild([wanted.rebuild(row) for row in blocks])
        return (found, aux) if has_aux else found

    return Replayed(transformed, fun, "hessian", argnums, static_argnums, compile, (fun, argnums, has_aux), static)
