"""Loops and branches as functions: JAX's ``lax.scan`` and its relatives on tensors.

Each is a loop of Python, so bodies may do what they like: decide by values, change shapes, raise. Inside a recorded function
the passes are found again on the tape, and compile as one loop.
"""

import functools
import math

import numpy as np

from tapejit.control.recompute import checkpoint as recomputed
from tapejit.eager.creation import as_tensor, zeros
from tapejit.eager.grad_mode import no_grad
from tapejit.eager.indexing import cat, stack
from tapejit.eager.tensor import Tensor
from tapejit.replay.trees import LEAF, flatten, unflatten


def _is_value(x):
    return x.__class__ is Tensor or (isinstance(x, (np.ndarray, np.generic, float, int)) and not isinstance(x, bool))


def _taken_apart(tree):
    leaves = []
    return flatten(tree, _is_value, leaves), leaves


def scan(f, init, xs=None, length=None, reverse=False, unroll=1, *, checkpoint=None):
    """Carry a value through a loop: ``carry, y = f(carry, x)`` for each ``x`` of ``xs``.

    Args:
        f: takes the carry and a slice of ``xs``; gives the new carry, of the same structure, and a result or None.
        init: the first carry: numbers, arrays, tensors and trees of them.
        xs: arrays or tensors, or a tree of them, whose leading size is the number of passes; None for none.
        length: the number of passes, needed where ``xs`` is None.
        reverse: start with the last slice; results stand where their slices stood.
        unroll: accepted for JAX's sake; a loop compiles as its passes ask for.
        checkpoint: keep the carry of every so many passes only, and run the passes in between again for the gradient: a number
            of passes, or "sqrt" for about the root of all, with which memory grows as the root of the length.

    Returns:
        The last carry, and the results stacked along a new first dimension.

    Raises:
        ValueError: if there is no length, or leading sizes differ.
        TypeError: if f does not give a pair, or the carry changes its structure.
    """
    structure, slices = _taken_apart(xs)
    slices = [as_tensor(x) for x in slices]
    count = _length(slices, length)
    if not count:
        return init, _no_results(f, init, structure, slices)
    passes = functools.partial(_passes, f, structure, reverse)
    chunk = _chunk(checkpoint, count)
    if chunk is None:
        return passes(init, count, *slices)
    carry, parts = init, []
    for begin in range(0, count, chunk):  # each part is given its own slices: the gradient of what it is given is as large
        end = min(begin + chunk, count)
        low, high = (count - end, count - begin) if reverse else (begin, end)
        carry, part = recomputed(passes, carry, end - begin, *(s[low:high] for s in slices))
        parts.append(part)
    return carry, _joined(cat, parts[::-1] if reverse else parts)


def _passes(f, structure, reverse, carry, count, *slices):
    """The carry after so many passes, and their results, stacked."""
    results, before = [], _taken_apart(carry)[0]
    for t in range(count - 1, -1, -1) if reverse else range(count):
        x = slices[0][t] if structure == LEAF else unflatten(structure, iter([s[t] for s in slices]))
        carry, y = _step(f, carry, x, before)
        results.append(y)
    return carry, _joined(stack, results[::-1] if reverse else results)


def _chunk(checkpoint, count):
    if checkpoint is None:
        return None
    if checkpoint == "sqrt":
        return math.isqrt(count - 1) + 1
    if isinstance(checkpoint, int) and not isinstance(checkpoint, bool) and checkpoint > 0:
        return checkpoint
    raise ValueError(f"checkpoint must be None, a positive number of passes or 'sqrt', got {checkpoint!r}")


def _length(slices, length):
    sizes = {x.shape[0] if x.ndim else None for x in slices}
    if None in sizes:
        raise ValueError("scan() goes along the first dimension of xs, and a number has none")
    if length is not None:
        sizes.add(int(length))
    if not sizes:
        raise ValueError("scan() needs xs, or length=, the number of passes")
    if len(sizes) > 1:
        raise ValueError(f"the leading sizes of xs and length= must be one number, got {sorted(sizes)}")
    return sizes.pop()


def _step(f, carry, x, before):
    answer = f(carry, x)
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        raise TypeError(f"f must give a pair (carry, result), got {type(answer).__name__}")
    new, y = answer
    after = LEAF if new.__class__ is Tensor else _taken_apart(new)[0]
    if before != after:
        raise TypeError(f"the carry must keep its structure: it was {before}, and f made {after} of it")
    return new, y


def _no_results(f, init, structure, slices):
    """Results of no pass: f is tried on zeros to see which there would be."""
    with no_grad():
        x = unflatten(structure, iter([zeros(s.shape[1:], dtype=s.dtype) for s in slices]))
        shape, leaves = _taken_apart(_step(f, init, x, _taken_apart(init)[0])[1])
    tensors = [as_tensor(y) for y in leaves]
    return unflatten(shape, iter([zeros((0, *y.shape), dtype=y.dtype) for y in tensors]))


def _joined(join, results):
    """Trees of tensors as one, whose leaves are those of all by ``stack`` or ``cat``."""
    if all(y is None for y in results):
        return None
    taken = [_taken_apart(y) for y in results]
    shapes = {shape for shape, _ in taken}
    if len(shapes) > 1:
        raise TypeError(f"the results of all passes must have one structure, got {len(shapes)}")
    columns = zip(*(leaves for _, leaves in taken), strict=True)
    return unflatten(shapes.pop(), iter([join([as_tensor(x) for x in column]) for column in columns]))


def fori_loop(lower, upper, body_fun, init_val, *, unroll=None):
    """``for i in range(lower, upper): val = body_fun(i, val)``; gives the last ``val``."""
    value = init_val
    for i in range(int(lower), int(upper)):
        value = body_fun(i, value)
    return value


def while_loop(cond_fun, body_fun, init_val):
    """``while cond_fun(val): val = body_fun(val)``; gives the last ``val``. It has a gradient, which JAX's has not."""
    value = init_val
    while cond_fun(value):
        value = body_fun(value)
    return value


def cond(pred, true_fun, false_fun, *operands):
    """``true_fun(*operands) if pred else false_fun(*operands)``: only one of them runs."""
    return true_fun(*operands) if pred else false_fun(*operands)


def map(f, xs, *, batch_size=None):
    """``f`` of each slice of ``xs`` along the first dimension, the results stacked.

    Args:
        f: takes one slice (a tree, where ``xs`` is one).
        batch_size: accepted for JAX's sake.
    """
    return scan(lambda carry, x: (carry, f(x)), None, xs)[1]


def associative_scan(fn, elems, reverse=False, axis=0):
    """All running results ``fn(... fn(fn(x0, x1), x2) ..., xk)`` of an associative function, in a logarithmic number of calls.

    Args:
        fn: takes and gives trees of tensors; works along ``axis`` on as many pairs at once as it is given.
        elems: a tensor, or a tree of them, of one size along ``axis``.
        reverse: from the last element on.

    Raises:
        ValueError: if there is nothing to scan, or sizes differ.
    """
    structure, leaves = _taken_apart(elems)
    leaves = [as_tensor(x) for x in leaves]
    if not leaves or any(not -x.ndim <= axis < x.ndim for x in leaves):
        raise ValueError(f"associative_scan() takes tensors with a dimension {axis}")
    sizes = {x.shape[axis] for x in leaves}
    if len(sizes) != 1:
        raise ValueError(f"all elements must have one size along axis {axis}, got {sorted(sizes)}")
    leaves = [x.transpose(0, axis) for x in leaves]
    if reverse:
        leaves = [x.flip(0) for x in leaves]

    def combined(a, b):
        trees = (unflatten(structure, iter([x.transpose(0, axis) for x in part])) for part in (a, b))
        return [as_tensor(x).transpose(0, axis) for x in _taken_apart(fn(*trees))[1]]

    found = _running(combined, leaves)
    if reverse:
        found = [x.flip(0) for x in found]
    return unflatten(structure, iter([x.transpose(0, axis) for x in found]))


def _running(combined, xs):
    """The running results along the first dimension: those of pairs, and then what lies in between."""
    n = xs[0].shape[0]
    if n < 2:
        return xs
    pairs = combined([x[: n - 1 : 2] for x in xs], [x[1::2] for x in xs])
    odd = _running(combined, pairs)
    if n == 2:
        return [cat([x[:1], y]) for x, y in zip(xs, odd, strict=True)]
    last = len(range(2, n, 2))
    even = combined([y[:last] for y in odd], [x[2::2] for x in xs])
    even = [cat([x[:1], y]) for x, y in zip(xs, even, strict=True)]
    return [_interleaved(a, b) for a, b in zip(even, odd, strict=True)]


def _interleaved(a, b):
    """a0, b0, a1, b1, ...; a may have one more."""
    both = stack([a[: len(b)], b], 1).reshape(2 * len(b), *a.shape[1:])
    return cat([both, a[len(b) :]]) if len(a) > len(b) else both
