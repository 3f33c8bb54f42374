"""Changing tensors in place, under PyTorch's rules.

Memory is really changed, so views and arrays over it see the change. A record notes when its block was last changed,
and a sweep refuses to read a saved value that has changed since.
"""

from sys import getrefcount

import numpy as np

from tapejit import engine
from tapejit import tape as tapes
from tapejit.dispatch import emit_view, from_array
from tapejit.grad_mode import is_grad_enabled, no_grad
from tapejit.kernels import record as R
from tapejit.tensor import _MASK, Tensor
from tapejit.views import clone


def check_inplace(x: Tensor, *operands) -> bool:
    """Whether an in-place change of ``x`` is part of the graph.

    Raises:
        RuntimeError: for a leaf that requires a gradient, or a view of one, while gradients are recorded.
    """
    recorder = tapes.current().recorder
    if recorder is not None:
        return recorder.check_inplace(x)
    if not is_grad_enabled():
        return False
    tape = x._tape()
    flags = x._flags()
    owner = int(tape.owners[x._r & _MASK])
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
    return bool(flags & R.GRAD) or any(isinstance(o, Tensor) and o.requires_grad for o in operands)


def replace(x: Tensor, result: Tensor) -> Tensor:
    """Let ``x`` be ``result``, which an in-place op computed from it, keeping its memory."""
    _check_result(x, result)
    layout = x._layout
    if not layout.contiguous or _shares(x):
        return _replace_view(x, result)
    tape = x._tape()
    if not result.requires_grad and tape.recorder is None:
        engine.overwrite(tape.address, x._r, result._r)
        return x
    engine.settle(tape.address, x._r, result._r)
    _take_over(tape, x, result)
    return x


def _check_result(x, result):
    if result.shape != x.shape:
        raise RuntimeError(f"the result of shape {result.shape} does not fit in place into a tensor of shape {x.shape}")
    if result.dtype is not x.dtype:
        raise RuntimeError(f"the result has dtype {result.dtype}, which an in-place operation cannot store in {x.dtype}")


def _take_over(tape, x, result):
    """Make ``x`` the handle of the newest record, which ``result`` stands for, in place of its old one."""
    old, new = x._r & _MASK, result._r & _MASK
    tape.handles[old] = None
    tape.flags[old] |= R.DEAD
    tape.handles[new] = x
    x._r = result._r
    result._r = -1


def _shares(x) -> bool:
    """Whether the block belongs to another record, of which there may be other views."""
    return bool(x._flags() & R.VIEW)


def _replace_view(x, result):
    """In-place on a view: the base changes too, and so does its history."""
    if not (result.requires_grad or _base_requires_grad(x) or x._tape().recorder is not None):
        x._array()[...] = result._array()
        engine.changed(x._tape().address, x._r)
        return x
    if x._layout.contiguous and _alone(x):
        tape = x._tape()
        engine.settle(tape.address, x._r, result._r)
        _take_over(tape, x, result)
        return x
    base, key = _base_of(x)
    from tapejit.indexing import place
    from tapejit.plans import cached, strided_plan

    shape, strides, start = key
    plan = cached(("view", shape, strides), lambda: strided_plan(shape, strides, None))
    _rebase(base, place(base, result, plan, start))
    return x


def _base_requires_grad(x) -> bool:
    tape = x._tape()
    owner = tape.owners[x._r & _MASK]
    return any(
        tape.owners[k] == owner and tape.flags[k] & R.GRAD and not tape.flags[k] & R.DEAD for k in range(len(tape))
    )


def _relatives(x):
    """The live tensors over the same block."""
    tape = x._tape()
    owner = tape.owners[x._r & _MASK]
    ks = np.flatnonzero(tape.owners[: len(tape)] == owner).tolist()
    return [tape.handles[k] for k in ks if tape.handles[k] is not None and tape.handles[k]._r & _MASK == k]


def _alone(x) -> bool:
    """Whether no other tensor that the user can still hold sees the block."""
    others = [t for t in _relatives(x) if t is not x]
    held_here = 4  # the list of handles, `others`, the loop variable and the argument of getrefcount
    return all(getrefcount(t) <= held_here for t in others)


def _base_of(x):
    """The tensor that owns the block of a view, and where in it the view is: (shape, strides, start)."""
    tape = x._tape()
    address = x.data_ptr()
    size = x._layout.dtype.itemsize
    for t in _relatives(x):
        span = t._layout.n * size
        begin = t.data_ptr()
        whole = t._layout.contiguous and begin == int(tape.addresses[tape.owners[x._r & _MASK]])
        if t is not x and whole and begin <= address < begin + max(span, 1):
            return t, (x._layout.shape, x._layout.strides, (address - begin) // size)
    raise RuntimeError(
        "this view's base tensor is gone, so its history cannot follow an in-place change; use the out-of-place form"
    )


def _rebase(base, result):
    """Give ``base`` the history of ``result``, and its views the history of the changed base."""
    from tapejit.layout import packed_strides
    from tapejit.ops import structured as ops
    from tapejit.plans import cached, strided_plan

    views = [t for t in _relatives(base) if t is not base]
    tape = base._tape()
    size = base._layout.dtype.itemsize
    engine.settle(tape.address, base._r, result._r)
    _take_over(tape, base, result)
    for t in views:
        shape, strides = t._layout.shape, t._layout.strides
        start = (t.data_ptr() - base.data_ptr()) // size
        detached = not t.requires_grad and tape.ops[t._r & _MASK] == 0
        if detached:
            continue
        plan = 0 if strides == packed_strides(shape) else cached(
            ("view", shape, strides), lambda s=shape, p=strides: strided_plan(s, p, None)
        ).address
        fresh = emit_view(ops.view, base, t._layout, start, plan=plan, start=start)
        _take_over(tape, t, fresh)


def inplace_method(function, keeps_operand):
    """The in-place form of a function: ``x.mul_(y)`` from ``mul``.

    Where the function's derivative needs the old value (``keeps_operand``), a copy of it is what is saved.
    """

    def method(self, *args, **kwargs):
        recorded = check_inplace(self, *args)
        if recorded:
            return replace(self, function(clone(self) if keeps_operand else self, *args, **kwargs))
        with no_grad():
            return replace(self, function(self, *args, **kwargs))

    return method


def assign(x: Tensor, key, value, put) -> None:
    """``x[key] = value``; ``put(base, values)`` makes the changed tensor when the graph must know."""
    recorded = check_inplace(x, value)
    selected = x._memory()[key]
    shape = np.shape(selected)
    if not recorded:
        values = value._array() if isinstance(value, Tensor) else value
        try:
            x._array()[key] = values
        except ValueError:
            raise _does_not_fit(value, shape) from None
        engine.changed(x._tape().address, x._r)
        return
    if not isinstance(value, Tensor):
        value = from_array(np.asarray(value), x.dtype)
    value = value.to(x.dtype)
    while value.ndim > len(shape) and value.shape[0] == 1:
        value = value.squeeze(0)
    try:
        value = value.expand(shape)
    except RuntimeError:
        raise _does_not_fit(value, shape) from None
    replace(x, put(x, value))


def _does_not_fit(value, shape):
    return RuntimeError(f"a value of shape {tuple(np.shape(value))} cannot be put where the index selects shape {shape}")


def zero_(x: Tensor) -> Tensor:
    """Fill with zeros, in place."""
    return fill_(x, 0)


def fill_(x: Tensor, value) -> Tensor:
    """Fill with a number, in place."""
    from tapejit.indexing import setitem

    setitem(x, Ellipsis, value)
    return x


def copy_(x: Tensor, source) -> Tensor:
    """Take over the values of another tensor or array, broadcast, in place."""
    if not isinstance(source, Tensor):
        source = from_array(np.asarray(source), x.dtype)
    assign(x, Ellipsis, source, lambda base, values: values.clone())
    return x


def detach_(x: Tensor) -> Tensor:
    """Cut the tensor itself from its history."""
    tape = x._tape()
    k = x._r & _MASK
    tape.records["a"][k] = tape.records["b"][k] = tape.records["c"][k] = -1
    x._set_flags(~(R.GRAD | R.LEAF), 0)
    tape.ops[k] = 0
    return x


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
    if not requires_grad:
        x._set_flags(~(R.GRAD | R.LEAF), 0)
        x._tape().records["a"][x._r & _MASK] = -1
        return x
    if not x._layout.dtype.is_floating_point:
        raise RuntimeError(f"only floating-point tensors can require gradients, this one is {x.dtype}; use x.to(float)")
    x._set_flags(-1, R.GRAD | R.LEAF)
    x._link_gradient()
    return x


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
