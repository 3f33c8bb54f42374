"""Products of a Jacobian with few directions, from which all of its entries are read (see ``sparseplan.Products``)."""

import functools

import numpy as np

from tapejit.core import tape as tapes
from tapejit.core.errors import Refused
from tapejit.eager.compiledsweep import planned_sweep
from tapejit.eager.creation import zeros
from tapejit.eager.dispatch import from_array
from tapejit.eager.functional import add
from tapejit.eager.indexing import cat, stack
from tapejit.eager.places import scatter_add_flat, take_flat
from tapejit.eager.views import expand, reshape, spread
from tapejit.graph.build import Lowering
from tapejit.graph.sparsity import TooLarge, pattern
from tapejit.replay.leaves import pulled, pushed
from tapejit.replay.sparseplan import products_for
from tapejit.replay.vmap import batched

GAP = 32  # elements of a direction, all zero, from which on a program leaves them out
MOST_STRETCHES = 8  # of a direction, between such gaps
FEW = 8  # products of which each has a pass of its own
MOST_PER_ROW = 32  # entries of a row up to which a dense matrix is looked at for zeros
MOST_RECORDS = 32  # per row and column up to which it is


def entries_from(wanted, leaves, y):
    """The entries of the Jacobian of y in the leaves side by side, in the order of ``wanted``, the ``Products``."""
    return take_flat(reshape(_products(wanted, leaves, y), -1), from_array(wanted.places), None)


def _products(wanted, leaves, y):
    """All products with seeds, one after another."""
    seeds = wanted.seeds.astype(leaves[0].dtype.numpy)

    def product(*parts):
        if wanted.forward:
            return pushed([y], leaves, list(parts))
        return [joined([reshape(p, -1) for p in pulled([y], list(parts), leaves)])]

    def split(rows):
        return seeds_of(rows, leaves) if wanted.forward else [_direction(rows, y)]

    if len(seeds) <= FEW:
        found = [product(*split(seed))[0] for seed in seeds]
        count = y.numel() if wanted.forward else sum(x.numel() for x in leaves)
        return stack([reshape(p, -1) for p in found]) if found else from_array(np.zeros((0, count)))
    ((found, has),) = batched(product, split(seeds), len(seeds))
    return found if has else expand(found, (len(seeds), *found.shape))


def joined(parts):
    """Tensors one after another, one alone as it is."""
    return parts[0] if len(parts) == 1 else cat([reshape(p, -1) for p in parts])


def seeds_of(rows, leaves):
    """Directions in all leaves from directions in their elements one after another, in the last dimension."""
    found, start = [], 0
    for x in leaves:
        found.append(_direction(rows[..., start : start + x.numel()], x))
        start += x.numel()
    return found


def _direction(rows, x):
    """Directions in a tensor of the shape and dtype of x, one alone in a way that a program sees where it is zero."""
    rows = np.ascontiguousarray(rows, x.dtype.numpy)
    stretches = _stretches(rows) if rows.ndim == 1 else None
    if stretches is None:
        return from_array(rows.reshape(*rows.shape[:-1], *x.shape))
    parts = [spread(from_array(rows[a:b]), (b - a,), (1,), a, tuple(x.shape)) for a, b in stretches]
    return functools.reduce(add, parts) if parts else zeros(tuple(x.shape), dtype=x.dtype)


def _stretches(row):
    """Where a direction is not zero: a few ranges between long gaps; None where there are many, or hardly a gap."""
    places = np.flatnonzero(row)
    if not len(places):
        return []
    gaps = np.flatnonzero(np.diff(places) > GAP)
    begins, ends = places[np.r_[0, gaps + 1]], places[np.r_[gaps, -1]] + 1
    if len(begins) > MOST_STRETCHES or len(row) - (ends - begins).sum() <= GAP:
        return None
    return list(zip(begins.tolist(), ends.tolist(), strict=True))


def compressed(y, x, mode="auto"):
    """The Jacobian of y in x, with all its zeros, from few products; None where that saves nothing or nothing is recorded."""
    recorder, (rows, columns) = tapes.current().recorder, (y.numel(), x.numel())
    most = {"forward": columns, "reverse": rows, "auto": min(rows, columns)}[mode] // 2
    if recorder is None or most < FEW // 2 or not y.requires_grad:
        return None
    if len(planned_sweep(y._tape(), [y], [x])[0]) > MOST_RECORDS * (rows + columns):
        return None
    ends = recorder.index(y), recorder.index(x)
    try:
        lowering = Lowering(recorder, stop=(ends[1], *recorder.from_outside()))
        found = pattern(lowering.graph, *lowering.nodes(ends), MOST_PER_ROW)
    except (TooLarge, Refused):
        return None
    if found is None:
        return None
    wanted = products_for(found, mode)
    if len(wanted.seeds) > most:
        return None
    recorder.does_less = True
    i, j = found.nonzero()
    places = from_array(i.astype(np.int64) * columns + j)
    return scatter_add_flat(entries_from(wanted, [x], y), places, (*y.shape, *x.shape))
