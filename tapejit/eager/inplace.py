"""Changing tensors in place, under PyTorch's rules.

Memory is really changed, so views and arrays over it see the change. A record notes when its block was last changed,
and a sweep refuses to read a saved value that has changed since.
"""

import numpy as np

from tapejit.core import engine
from tapejit.core import record as R
from tapejit.core import tape as tapes
from tapejit.core.layout import packed_strides
from tapejit.core.plans import region_plan
from tapejit.core.record import MASK
from tapejit.eager import escapes, functional, gradflags, hooks
from tapejit.eager.dispatch import emit_view, from_array, plain
from tapejit.eager.grad_mode import is_grad_enabled, no_grad
from tapejit.eager.keys import assign_selected, select
from tapejit.eager.places import place
from tapejit.eager.tensor import Memory, Tensor, method, method_as
from tapejit.eager.views import clone, detach, view_plan
from tapejit.spec import structured as ops
from tapejit.spec.table import BY_NAME, VALUE

_address = tapes.main.address


def check_inplace(x: Tensor, *operands) -> bool:
    """Whether an in-place change of ``x`` is part of the graph.

    Raises:
        RuntimeError: for a leaf that requires a gradient, or a view of one, while gradients are recorded; for a change
            that would be part of the graph of another thread; for memory that may not be written, or is expanded.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"a tensor is changed in place, got {type(x).__name__}: convert it with tapejit.tensor(...)")
    layout = x._layout
    if not layout.contiguous and any(not s and n > 1 for s, n in zip(layout.strides, layout.shape, strict=True)):
        raise RuntimeError(
            f"this tensor of shape {layout.shape} is expanded: several of its elements are one number in memory, and it cannot "
            "be changed in place; work on a clone()"
        )
    if x._is_read_only():
        raise RuntimeError(
            "this tensor shares the memory of a read-only NumPy array and cannot be changed in place; work on a clone()"
        )
    escapes.check_argument(x)
    recorder = tapes.current().recorder
    if recorder is not None:
        return recorder.check_inplace(x)
    if not is_grad_enabled():
        return False
    tape = x._tape()
    flags = x._flags()
    graphs = [o._tape() for o in operands if isinstance(o, Tensor) and o.requires_grad]
    if tape is not tapes.current():
        if flags & R.GRAD or graphs:
            raise tapes.of_another_thread()
        return False
    if any(graph is not tape for graph in graphs):
        raise tapes.of_another_thread()
    owner = int(tape.owners[x._r & MASK])
    if flags & R.GRAD and flags & R.LEAF:
        raise RuntimeError(
            "a leaf tensor that requires grad cannot be changed by an in-place operation while gradients are recorded; "
            "do it inside `with no_grad():`, or use the out-of-place form"
        )
    if flags & R.VIEW and flags & R.GRAD and int(tape.flags[owner]) & (R.LEAF | R.GRAD) == R.LEAF | R.GRAD:
        raise RuntimeError(
            "a view of a leaf tensor that requires grad cannot be changed by an in-place operation while gradients are "
            "recorded; do it inside `with no_grad():`, or work on a clone()"
        )
    return bool(flags & R.GRAD or graphs)


def replace(x: Tensor, result: Tensor, recorded: bool) -> Tensor:
    """Let ``x`` be ``result``, which an in-place op computed from it, keeping its memory.

    With ``recorded`` the history changes too: that of ``x``, and of every tensor that shares its memory.
    """
    if result.dtype is not x.dtype and result.dtype.is_floating_point and x.dtype.is_floating_point:
        result = result.to(x.dtype)
    _check_result(x, result)
    tape = x._tape()
    if not recorded:
        if x._layout.contiguous and result._tape() is tape:
            _tell_sources(tape, x)
            engine.overwrite(tape.address, x._r, result._r)
        else:
            note_change(x)
            x._array()[...] = result._array()
        return x
    with tape.still():
        _tell_sources(tape, x)
        if _is_whole(x):
            _rebase(x, result)
        else:
            _replace_in_base(x, result)
    return x


def note_change(x: Tensor) -> None:
    """Note that the memory of ``x``, a tensor of any thread, is about to be changed from outside of the tape.

    Before and not after: an interrupt between the two then ends in an error about a changed value, never in a wrong gradient.
    """
    with tapes.steady(x):
        tape = x._tape()
        engine.changed(tape.address, x._r)
    _tell_sources(tape, x)


def _tell_sources(tape, x):
    """Note a change of ``x`` also where its memory came from, if that is a tensor of another thread."""
    for array in _sources(tape, x):
        if isinstance(array.base, Memory):
            note_change(array.base.owner)


def _sources(tape, x):
    """The arrays that own the memory of a tensor, if it is not the tape's."""
    with tapes.steady(x):
        owner = int(tape.owners[x._r & MASK])
        if not int(tape.flags[owner]) & R.EXTERNAL:
            return ()
        return tuple(tape.kept_alive.get(int(tape.addresses[owner]), ()))


def _check_result(x, result):
    if result.shape != x.shape:
        raise RuntimeError(f"the result of shape {result.shape} does not fit in place into a tensor of shape {x.shape}")
    if result.dtype is not x.dtype:
        raise RuntimeError(f"the result has dtype {result.dtype}, which an in-place operation cannot store in {x.dtype}")


def _take_over(tape, x, result):
    """Make ``x`` the handle of the newest record, which ``result`` stands for, in place of its old one."""
    old, new = x._r & MASK, result._r & MASK
    begins = (int(tape.flags[old]) ^ int(tape.flags[new])) & R.GRAD
    if tape.flags[old] & R.HOOKED:
        hooks.stay(tape, x)
    else:
        tape.handles[old] = None
        tape.flags[old] |= R.DEAD
    tape.handles[new] = x
    x._r = result._r
    result._r = -1
    if begins:
        gradflags.changed(x)


def _is_whole(x) -> bool:
    """Whether a tensor covers its block from the beginning to the end."""
    tape = x._tape()
    owner = int(tape.owners[x._r & MASK])
    same = owner == x._r & MASK or x.data_ptr() == int(tape.addresses[owner])
    return same and x._layout.contiguous and x._layout.n == int(tape.records["n"][owner])


def _relatives(x):
    """The other live tensors over the same block."""
    tape = x._tape()
    owner = tape.owners[x._r & MASK]
    ks = np.flatnonzero(tape.owners[: len(tape)] == owner).tolist()
    return [t for t in map(tape.handles.__getitem__, ks) if t is not None and t is not x]


def _replace_in_base(x, result):
    """In-place on a view: the tensor that owns the block changes, and so does its history."""
    tape = x._tape()
    base = next(filter(_is_whole, _relatives(x)), None)
    if base is None:
        tape.reclaim()  # leaves only relatives that somebody still holds
        if _relatives(x) or not x._layout.contiguous:
            raise RuntimeError(
                "the base of this view is gone, so its history cannot follow an in-place change; use the out-of-place form"
            )
        engine.settle(tape.address, x._r, result._r)
        _take_over(tape, x, result)
        return
    shape, strides = x._layout.shape, x._layout.strides
    start = (x.data_ptr() - base.data_ptr()) // x._layout.dtype.itemsize
    plan = region_plan(shape, strides)
    _rebase(base, place(base, result, plan, start))


def _rebase(base, result):
    """Give ``base`` the history of ``result``, and its views the history of the changed base."""
    tape = base._tape()
    views = [t for t in _relatives(base) if tape.ops[t._r & MASK] != VALUE.code]  # not what detach() made
    engine.settle(tape.address, base._r, result._r)
    _take_over(tape, base, result)
    for t in views:
        shape, strides = t._layout.shape, t._layout.strides
        start = (t.data_ptr() - base.data_ptr()) // base._layout.dtype.itemsize
        _, plan = view_plan(base.dtype, shape, strides, strides)
        _take_over(tape, t, emit_view(ops.view, base, t._layout, start, plan=plan, start=start))


def operator_method(function, op):
    """The in-place form of an operator, ``w -= lr * g``, with a direct path for what is not recorded.

    A number of NumPy's kind stays what it is, and Python binds the name to the sum.
    """
    code = op.code

    def method(self, other):
        if self._layout.scalar:
            return NotImplemented
        kind = other.__class__
        if kind is Tensor:
            if engine.inplace(_address, code, self._r, other._r, 0.0) == 0:
                return self
        elif (kind is float or kind is int) and engine.inplace(_address, code, self._r, -1, other) == 0:
            return self
        return function(self, other)

    return method


def inplace_method(function, keeps_operand):
    """The in-place form of a function: ``x.mul_(y)`` from ``mul``.

    Where the function's derivative needs the old value (``keeps_operand``), a copy of it is what is saved.
    """

    def method(self, *args, **kwargs):
        recorded = check_inplace(self, *args)
        if recorded:
            return replace(self, function(clone(self) if keeps_operand else self, *args, **kwargs), True)
        with no_grad():
            return replace(self, function(self, *args, **kwargs), False)

    return method


def assign(x: Tensor, key, value, put) -> None:
    """``x[key] = value``; ``put(base, values)`` makes the changed tensor when the graph must know."""
    recorded = check_inplace(x, value)
    shape = x.shape if key is Ellipsis else select(x._memory(), key).shape
    if not recorded:
        (values,) = plain((value,))
        values = _fitting(values, shape, x.dtype)
        note_change(x)
        assign_selected(x._array(), (key,) if key is Ellipsis else key, values)
        return
    if not isinstance(value, Tensor):
        value = from_array(value, x.dtype)
    value = value.to(x.dtype)
    while value.ndim > len(shape) and value.shape[0] == 1:
        value = value.squeeze(0)
    try:
        value = value.expand(shape)
    except RuntimeError:
        raise _does_not_fit(value, shape) from None
    replace(x, put(x, value), True)


def _fitting(values, shape, dtype):
    """The values as an array that can be assigned to a selection of that shape."""
    array = np.asarray(values).astype(dtype.numpy, copy=False)
    try:
        return np.broadcast_to(array.reshape(_without_leading_ones(array.shape, len(shape))), shape)
    except ValueError:
        raise _does_not_fit(values, shape) from None


def _without_leading_ones(shape, ndim):
    while len(shape) > ndim and shape[0] == 1:
        shape = shape[1:]
    return shape


def _does_not_fit(value, shape):
    return RuntimeError(f"a value of shape {tuple(np.shape(value))} cannot be put where the index selects shape {shape}")


@method
def zero_(x: Tensor) -> Tensor:
    """Fill with zeros, in place."""
    return fill_(x, 0)


@method
def fill_(x: Tensor, value) -> Tensor:
    """Fill with a number, in place."""
    if value.__class__ not in (int, float) or engine.fill_inplace(_address, x._r, value) != 0:
        assign(x, Ellipsis, value, _filled)
    return x


def _filled(base, values):
    return place(base, values, region_plan(base.shape, packed_strides(base.shape)), 0)


@method
def copy_(x: Tensor, source) -> Tensor:
    """Take over the values of another tensor or array, broadcast, in place."""
    if not isinstance(source, Tensor):
        source = from_array(source, x.dtype)
    assign(x, Ellipsis, source, lambda base, values: values.clone())
    return x


@method
def detach_(x: Tensor) -> Tensor:
    """Cut the tensor itself from its history."""
    tape = x._tape()
    if tape is not tapes.current() and x.requires_grad:
        raise tapes.of_another_thread()
    if tape.recorder is not None:  # the record stays, others read it
        _take_over(tape, x, emit_view(VALUE, x, x._layout))
        return x
    with tapes.steady(x):
        k = x._r & MASK
        tape.ops[k] = 0  # first: a record without an op has no edges
        tape.records["a"][k] = tape.records["b"][k] = tape.records["c"][k] = -1
        x._set_flags(~(R.GRAD | R.LEAF), 0)
    gradflags.changed(x)
    return x


@method
def requires_grad_(x: Tensor, requires_grad=True) -> Tensor:
    """Ask for gradients of a leaf, or stop asking.

    Raises:
        RuntimeError: for integers and bools, or for switching off a tensor that was computed.
    """
    flags = x._flags()
    if flags & (R.GRAD | R.LEAF) == R.GRAD:
        if requires_grad:
            return x
        raise RuntimeError("only leaf tensors can stop requiring gradients; use x.detach()")
    if x._tape().recorder is not None:
        x._tape().recorder.becomes_leaf(x)
    if not requires_grad:
        with tapes.steady(x):
            x._set_flags(~(R.GRAD | R.LEAF), 0)
            x._tape().records["a"][x._r & MASK] = -1
        gradflags.changed(x)
        return x
    if not x._layout.dtype.is_floating_point:
        raise RuntimeError(f"only floating-point tensors can require gradients, this one is {x.dtype}; use x.to(float)")
    x._set_flags(-1, R.GRAD | R.LEAF)
    x._link_gradient()
    gradflags.changed(x)
    return x


@method
def retain_grad(x: Tensor) -> None:
    """Keep the gradient of a tensor that is not a leaf in its ``.grad``.

    Raises:
        RuntimeError: if it does not require a gradient.
    """
    if not x.requires_grad:
        raise RuntimeError("retain_grad() needs a tensor with requires_grad=True")
    if not x.is_leaf:
        x._set_flags(-1, R.RETAIN)


def replace_data(x: Tensor, value: Tensor) -> None:
    """``x.data = value``: copy the values without a history."""
    if not isinstance(value, Tensor) or value.shape != x.shape:
        raise RuntimeError(f"data must be a tensor of shape {x.shape}; got {getattr(value, 'shape', type(value).__name__)}")
    with no_grad():
        copy_(x, value)


Tensor.data = property(detach, replace_data, doc="The same memory without a history.")

_INPLACE = """add sub mul div pow neg abs square sqrt rsqrt reciprocal exp expm1 log log1p sin cos tan tanh sigmoid relu clamp
    floor ceil round trunc remainder maximum minimum"""
for _name in _INPLACE.split():
    _keeps_operand = _name in ("clamp", "pow") or bool(BY_NAME[_name].saved & 1)
    _function = getattr(functional, _name, None) or functional.FUNCTIONS[_name]
    method_as(f"{_name}_")(inplace_method(_function, _keeps_operand))
for _name, _operator in {"add": "__iadd__", "sub": "__isub__", "mul": "__imul__", "div": "__itruediv__"}.items():
    method_as(_operator)(operator_method(getattr(Tensor, f"{_name}_"), BY_NAME[_name]))
method_as("__ipow__")(lambda self, other: NotImplemented if self._layout.scalar else self.pow_(other))
