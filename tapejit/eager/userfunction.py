"""``autograd.Function``: an operation whose forward and backward the user writes."""

import functools
import weakref

from tapejit.core import record as R
from tapejit.eager import usergraph
from tapejit.eager.creation import zeros
from tapejit.eager.dispatch import emit_view
from tapejit.eager.grad_mode import is_grad_enabled, no_grad
from tapejit.eager.inplace import _take_over
from tapejit.eager.tensor import Tensor
from tapejit.spec.table import VALUE


class FunctionCtx:
    """What forward leaves for backward; other attributes may be set freely.

    Attributes:
        needs_input_grad: for each argument of forward, whether its gradient is asked for.
    """

    def __init__(self, needs_input_grad):
        self.needs_input_grad = needs_input_grad
        self._saved, self._dirty, self._constant = (), (), ()
        self._materialize = True
        self._call = lambda: None

    def save_for_backward(self, *tensors) -> None:
        """Keep tensors, or None, for ``saved_tensors``; results and arguments are best kept this way, not as attributes."""
        for x in tensors:
            if x is not None and not isinstance(x, Tensor):
                raise TypeError(
                    f"save_for_backward() takes tensors, got {type(x).__name__}; other values can be attributes of ctx"
                )
        self._saved = tensors

    def save_for_forward(self, *tensors) -> None:
        """For forward mode, which goes by backward here: nothing needs to be kept."""

    def mark_non_differentiable(self, *tensors) -> None:
        """Say that these results have no gradient."""
        self._constant = tensors

    def mark_dirty(self, *tensors) -> None:
        """Say that these arguments were changed in place; each must be returned."""
        self._dirty = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether backward gets zeros (the default) or None for a result that got no gradient."""
        self._materialize = bool(value)

    @property
    def saved_tensors(self) -> tuple:
        """What ``save_for_backward`` was given.

        Raises:
            RuntimeError: if one of them was changed in place since.
        """
        found = []
        for x, place, version in self._saved:
            if x is not None and x._version != version:
                raise RuntimeError(
                    f"a tensor of shape {tuple(x.shape)} that was saved for backward has been modified by an inplace operation "
                    "since; use the out-of-place form, or save a clone()"
                )
            call = self._call() if place is not None else None
            found.append(x if call is None else call.result(place))
        return tuple(found)

    def _seal(self, results):
        """Forward is done. A result is kept as its memory alone: with its history it would keep itself alive."""
        kept = []
        for x in self._saved:
            place = next((i for i, r in enumerate(results) if r is x), None) if x is not None else None
            value = emit_view(VALUE, x, x._layout) if place is not None else x
            kept.append((value, place, None if x is None else x._version))
        self._saved = kept


class Function:
    """An operation with a derivative of your own: a subclass with two static methods, used as ``Name.apply(...)``.

        class Cube(tj.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x * x * x

            @staticmethod
            def backward(ctx, g):
                (x,) = ctx.saved_tensors
                return 3 * x * x * g

    ``forward(ctx, *arguments)`` gives a tensor or a tuple; it runs without gradients. With a third static method,
    ``setup_context(ctx, inputs, output)``, forward has no ctx. ``backward(ctx, *gradients)`` gets a gradient per result and
    gives one per argument, None for what has none; written with tensor operations it can be differentiated again.
    """

    def __init__(self, *args, **kwargs):
        raise TypeError(f"{type(self).__name__} is used as {type(self).__name__}.apply(...), without an instance")

    @staticmethod
    def forward(*args):
        raise NotImplementedError("a Function needs a static method forward(ctx, *arguments)")

    @staticmethod
    def backward(ctx, *gradients):
        raise NotImplementedError("a Function needs a static method backward(ctx, *gradients) to be differentiated")

    setup_context = None

    @classmethod
    def apply(cls, *args):
        """Run forward; the result leads to backward.

        Raises:
            TypeError: if forward gives something that backward has no place for.
        """
        needs = tuple(isinstance(x, Tensor) and is_grad_enabled() and x.requires_grad for x in args)
        ctx = FunctionCtx(needs)
        with no_grad():
            if cls.setup_context is None:
                output = cls.forward(ctx, *args)
            else:
                output = cls.forward(*args)
                cls.setup_context(ctx, args, output)
        outputs = output if isinstance(output, tuple) else (output,)
        if not any(needs):
            ctx._seal(())
            return output
        made = iter(_connected(cls, ctx, args, outputs))
        made = tuple(next(made) if _differentiable(ctx, y) else y for y in outputs)
        return made if isinstance(output, tuple) else made[0]


def _differentiable(ctx, y) -> bool:
    return isinstance(y, Tensor) and y.dtype.is_floating_point and not any(y is c for c in ctx._constant)


def _connected(cls, ctx, args, outputs):
    """The results with their history."""
    results = [y for y in outputs if _differentiable(ctx, y)]
    places = [i for i, y in enumerate(outputs) if _differentiable(ctx, y)]
    for x in ctx._dirty:
        if x._flags() & (R.GRAD | R.LEAF) == R.GRAD | R.LEAF:
            raise RuntimeError("a leaf tensor that requires grad cannot be changed in place by a Function")
    ctx._seal(results)
    inputs = [x for x, need in zip(args, ctx.needs_input_grad, strict=True) if need]
    layouts = [y._layout if isinstance(y, Tensor) else None for y in outputs]

    def pull(arrived):
        gradients = [None] * len(layouts)
        for i, g in zip(places, arrived, strict=True):
            gradients[i] = g
        if ctx._materialize:
            gradients = [_zeros(layout) if g is None else g for g, layout in zip(gradients, layouts, strict=True)]
        found = cls.backward(ctx, *gradients)
        found = found if isinstance(found, tuple) else (found,)
        if (len(found) != len(args) and any(g is not None for g in found[len(args) :])) or len(found) < len(args):
            raise RuntimeError(
                f"{cls.__name__}.backward returned {len(found)} gradients, but forward has {len(args)} arguments: return one "
                "for each, None where there is none"
            )
        return [g for g, need in zip(found, ctx.needs_input_grad, strict=False) if need]

    values = [emit_view(VALUE, y, y._layout) for y in results]
    call, made = usergraph.connect(pull, f"{cls.__name__}Backward", inputs, values)
    ctx._call = weakref.ref(call)
    for i, (y, new) in enumerate(zip(results, made, strict=True)):
        if any(y is x for x in ctx._dirty):
            _take_over(y._tape(), y, new)
            made[i] = y
    return made


def _zeros(layout):
    """What stands for the gradient of a result that got none; None for a result that is no float tensor."""
    if layout is None or not layout.dtype.is_floating_point:
        return None
    return zeros(layout.shape, dtype=layout.dtype)


def once_differentiable(backward):
    """Decorator of a backward that cannot be differentiated itself: trying to raises an error."""

    @functools.wraps(backward)
    def wrapper(ctx, *gradients):
        with no_grad():
            found = backward(ctx, *gradients)
        if not is_grad_enabled():
            return found
        single = not isinstance(found, tuple)
        found = tuple(
            _Once.apply(x, *(g for g in gradients if isinstance(g, Tensor))) if isinstance(x, Tensor) else x
            for x in ((found,) if single else found)
        )
        return found[0] if single else found

    return wrapper


class _Once(Function):
    @staticmethod
    def forward(ctx, x, *gradients):
        return x

    @staticmethod
    def backward(ctx, *gradients):
        raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")
