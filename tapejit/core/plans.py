"""Plans: the parameters of a record that its fixed layout has no room for, made once per combination of layouts.

A plan is an int64 array that kernels read through its address; what the words mean is said beside each kernel.
"""

import math
import weakref

import numpy as np

from tapejit.core import layout as layouts
from tapejit.core.layout import Layout, layout_of, packed_strides, scalar_layout
from tapejit.core.refusals import ArgumentError
from tapejit.core.sums import MANY
from tapejit.core.threads import team

_plans: dict = {}
_by_address: dict = {}
_unlisted: list = []
_bounded = weakref.WeakSet()
LIMIT = 1 << 15  # plans and layouts above which a reclaim looks for those that no record uses


class bounded(dict):
    """A dict that forgets everything when it has grown too large: for what can be worked out again."""

    __slots__ = ("__weakref__",)
    __hash__ = object.__hash__

    def __init__(self):
        super().__init__()
        _bounded.add(self)

    def __setitem__(self, key, value):
        if len(self) >= 4096:
            self.clear()
        super().__setitem__(key, value)


class Plan:
    """Words for a kernel, the layout of the result, and what rules on Tensors want to know.

    That is ``shape``, ``strides``, ``dim``, and ``results``, the shapes of several results in one block.
    """

    __slots__ = ("address", "dim", "layout", "results", "shape", "strides", "words")

    def __init__(self, words, layout, shape=None, strides=None, dim=None, results=None):
        self.words = np.array(words, dtype=np.int64)
        self.address = self.words.ctypes.data if len(words) else 0
        self.layout = layout
        self.shape = shape
        self.strides = strides
        self.dim = dim
        self.results = results


def known(key):
    """The plan under ``key``, None if there is none yet."""
    return _plans.get(key)


def cached(key, make):
    """The plan under ``key``, from ``make()`` the first time."""
    plan = _plans.get(key)
    if plan is None:
        plan = _plans[key] = make()
        if plan.address:
            _by_address[plan.address] = plan
    return plan


def plan_at(address: int) -> Plan:
    """The plan whose words are at an address."""
    return _by_address[address]


def count() -> int:
    """How many plans and layouts are kept."""
    return len(_plans) + layouts.count()


def forget_unused(records) -> None:
    """Drop the plans and layouts that none of these record arrays refers to (a loop may meet a new shape each time).

    What is not used now is only unlisted: an operation under way may be about to use it. It is dropped the next time.
    """
    used = {int(address) for rows in records for name in ("plan", "layout") for address in np.unique(rows[name])}
    for cache in _bounded:
        cache.clear()
    for plan in _unlisted[:]:
        if plan.address not in used:
            _unlisted.remove(plan)
            _by_address.pop(plan.address, None)
    for key, plan in list(_plans.items()):
        if plan.address not in used:
            _unlisted.append(_plans.pop(key))
    used.update(plan.layout.address for plan in (*_plans.values(), *_unlisted) if plan.layout is not None)
    layouts.forget_unused(used)


def broadcast_shapes(*shapes) -> tuple:
    """NumPy's broadcasting.

    Raises:
        ValueError: if the shapes do not go together.
    """
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        listed = " and ".join(str(tuple(s)) for s in shapes)
        raise ArgumentError(
            f"shapes {listed} cannot be broadcast together: counted from the right, sizes must be equal or 1"
        ) from None


def broadcast_strides(layout_shape, strides, shape) -> tuple:
    """The strides of an operand seen with a broadcast shape: 0 along what it lacks."""
    lead = len(shape) - len(layout_shape)
    inner = (0 if have == 1 and want != 1 else s for have, want, s in zip(layout_shape, shape[lead:], strides, strict=True))
    return (0,) * lead + tuple(inner)


def merge_dims(sizes, *stride_lists):
    """Drop dimensions of size 1 and merge neighbours that all stride lists walk as one; at least one dimension stays."""
    dims = [(size, *steps) for size, *steps in zip(sizes, *stride_lists, strict=True) if size != 1]
    merged = []
    for size, *steps in dims:
        if merged:
            outer_size, *outer_steps = merged[-1]
            if all(o == s * size for o, s in zip(outer_steps, steps, strict=True)):
                merged[-1] = (outer_size * size, *steps)
                continue
        merged.append((size, *steps))
    if not merged:
        merged = [(1, *(1 for _ in stride_lists))]
    return tuple(zip(*merged, strict=True))


def elementwise_plan(dtype, *operands) -> Plan:
    """The plan of an elementwise op over operands given as Layouts, or None for an immediate (see ``core.rows``)."""
    shape = broadcast_shapes(*(o.shape for o in operands if o is not None))
    number = not shape and any(o is not None and o.scalar for o in operands)
    out = scalar_layout(dtype) if number else layout_of(shape, dtype)
    if all(o is None or (o.shape == shape and o.contiguous) for o in operands):
        return Plan((), out)
    memory, adjoint, reduced = [], [], 0
    for j in range(3):
        o = operands[j] if j < len(operands) else None
        if o is None:
            memory.append((0,) * len(shape))
            adjoint.append((0,) * len(shape))
            continue
        memory.append(broadcast_strides(o.shape, o.strides, shape))
        adjoint.append(broadcast_strides(o.shape, packed_strides(o.shape), shape))
        if o.n != out.n:
            reduced |= 1 << j
    sizes, *steps = merge_dims(shape, *memory, *adjoint)
    words = [len(sizes), reduced, *sizes]
    for step in steps:
        words += step
    return Plan(words, out)


def strided_plan(shape, strides, layout: Layout | None, further: int = 0) -> Plan:
    """A plan that maps a contiguous side of a shape to a strided one (see ``kernels.strided``), and a word after it."""
    sizes, steps = merge_dims(shape, strides)
    return Plan([len(sizes), *sizes, *steps, further], layout, tuple(shape), tuple(strides))


def sum_plan(shape, steps, layout: Layout) -> Plan:
    """The plan of a sum, steps of 0 along what is summed; the word after it is the address of the team that sums very many."""
    return strided_plan(shape, steps, layout, team.of_sums() if math.prod(shape) >= MANY else 0)


def region_plan(shape, strides) -> Plan:
    """The plan of a strided region, for views and for what is placed there; one for each shape and strides."""
    return cached(("view", shape, strides), lambda: strided_plan(shape, strides, None))
