"""What the functions of linear algebra ask of their arguments."""

from tapejit.core.layout import layout_of
from tapejit.core.plans import Plan, cached
from tapejit.eager.dispatch import emit
from tapejit.eager.otherkinds import others
from tapejit.eager.tensor import Tensor
from tapejit.eager.views import contiguous, strided_view


def matrices(name, a) -> Tensor:
    """A float or complex tensor of one or more matrices.

    Raises:
        TypeError: if it is not a tensor.
        RuntimeError: unless it has two dimensions or more, and a float or complex dtype.
    """
    other = a.__class__ in others
    if not other and not isinstance(a, Tensor):
        raise TypeError(f"linalg.{name}() takes tensors, got {type(a).__name__}: convert it with tapejit.tensor(...)")
    if a.ndim < 2:
        raise RuntimeError(f"linalg.{name}() takes a matrix or a batch of them, got shape {a.shape}")
    if not other and not a.dtype.is_floating_point:
        raise RuntimeError(f"linalg.{name}() needs a floating-point tensor, got {a.dtype}; use .to(tapejit.float64)")
    return a


def squares(name, a) -> Tensor:
    """A float tensor of one or more square matrices.

    Raises:
        RuntimeError: as ``matrices``, and unless the last two sizes are equal.
    """
    a = matrices(name, a)
    if a.shape[-1] != a.shape[-2]:
        raise RuntimeError(f"linalg.{name}() takes square matrices, got shape {a.shape}")
    return a


def same_dtype(name, a, b) -> None:
    """Refuse two tensors of different dtypes.

    Raises:
        TypeError: if one is not a tensor.
        RuntimeError: if the dtypes differ, as in PyTorch.
    """
    for t in (a, b):
        if not isinstance(t, Tensor) and t.__class__ not in others:
            raise TypeError(f"linalg.{name}() takes tensors, got {type(t).__name__}: convert it with tapejit.tensor(...)")
    if a.dtype is not b.dtype:
        raise RuntimeError(f"linalg.{name}() takes tensors of one dtype, got {a.dtype} and {b.dtype}; convert one with .to()")


def emitted(op, operands, words, shapes, *, batch=(), extra=()) -> list:
    """The results of an op of ``spec.linalg``, as one tensor or as views of one block.

    Args:
        operands: tensors, made contiguous here; None for what carries no gradient.
        words: the parameters of the kernel.
        shapes: of the results. One alone is the record's own value, several are views of its block.
        batch: the shape of the batch, for errors.
        extra: shapes of what is saved behind the results; views of them are results too.
    """
    operands = [None if t is None else contiguous(t) for t in operands]
    dtype = next(t for t in operands if t is not None).dtype
    shapes = (*shapes, *extra)
    key = (op.code, words, shapes, batch, dtype)
    plan = cached(key, lambda: _plan(words, shapes, dtype, batch))
    whole = emit(op, plan.layout, *operands, plan=plan.address)
    return [whole] if len(shapes) == 1 else take_apart(whole, shapes)


def _plan(words, shapes, dtype, batch):
    sizes = [layout_of(tuple(shape), dtype).n for shape in shapes]
    layout = layout_of(tuple(shapes[0]) if len(shapes) == 1 else (sum(sizes),), dtype)
    return Plan(words, layout, shape=batch, results=shapes)


def take_apart(whole, shapes) -> list:
    """Views of a block, one after another."""
    start, found = 0, []
    for shape in shapes:
        part = layout_of(tuple(shape), whole.dtype)
        found.append(strided_view(whole, part.shape, part.strides, start))
        start += part.n
    return found
