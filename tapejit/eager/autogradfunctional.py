"""``autograd.functional``: Jacobians, Hessians and their products of eager functions, with PyTorch's arguments.

A function takes tensors and gives tensors; one alone stands for a tuple of one, also in what comes out. ``create_graph``
keeps the results differentiable; ``strict`` refuses an output that does not depend on an input, instead of giving zeros.
"""

import numpy as np

from tapejit.eager.autograd import grad
from tapejit.eager.creation import zeros
from tapejit.eager.dispatch import from_array
from tapejit.eager.grad_mode import enable_grad
from tapejit.eager.indexing import stack
from tapejit.eager.tensor import Tensor
from tapejit.eager.views import clone, reshape


def _tuple(x, what):
    if isinstance(x, Tensor):
        return (x,), True
    if not isinstance(x, (tuple, list)) or not all(isinstance(t, Tensor) for t in x):
        raise TypeError(f"{what} must be a tensor or a tuple of tensors, got {type(x).__name__}")
    return tuple(x), False


def _answer(values, single):
    return values[0] if single else tuple(values)


class _Evaluated:
    """A function's outputs and the inputs they were computed from, ready to be differentiated."""

    def __init__(self, func, inputs, create_graph, strict):
        inputs, self.single_in = _tuple(inputs, "inputs")
        keep = [create_graph and x.requires_grad for x in inputs]
        self.inputs = [clone(x) if k else x.detach().clone().requires_grad_() for x, k in zip(inputs, keep, strict=True)]
        self.outputs, self.single_out = _tuple(func(*self.inputs), "the outputs")
        self.create_graph, self.strict = create_graph, strict
        if strict and not all(y.requires_grad for y in self.outputs):
            raise RuntimeError("an output does not depend on the inputs (strict=True)")

    def scalar(self):
        if len(self.outputs) != 1 or self.outputs[0].numel() != 1:
            raise RuntimeError("the function must give one tensor with one element")
        return reshape(self.outputs[0], ())

    def answer(self, values, single):
        return _answer([v if self.create_graph else v.detach() for v in values], single)

    def pull(self, outputs, vectors, inputs=None, keep=True, strict=None):
        """The product of vectors and the Jacobian, zeros where nothing depends."""
        inputs = self.inputs if inputs is None else inputs
        pairs = [(y, v) for y, v in zip(outputs, vectors, strict=True) if y.requires_grad]
        found = [None] * len(inputs)
        if pairs:
            ys, vs = zip(*pairs, strict=True)
            found = grad(ys, inputs, vs, retain_graph=keep, create_graph=keep, allow_unused=True)
        if (self.strict if strict is None else strict) and any(g is None for g in found):
            raise RuntimeError("an output does not depend on one of the inputs (strict=True)")
        return [zeros(x.shape, dtype=x.dtype) if g is None else g for x, g in zip(inputs, found, strict=True)]


def _vectors(v, like, single, what):
    """The vector of a product, checked; ones where it may be left out."""
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(f"the vector v can only be left out when {what} is one element")
        return [from_array(np.ones(like[0].shape, like[0].dtype.numpy))]
    v, _ = _tuple(v, "v")
    if [tuple(t.shape) for t in v] != [tuple(t.shape) for t in like]:
        raise RuntimeError(f"v must have the shapes of {what}: {[*(t.shape for t in like)]}, got {[*(t.shape for t in v)]}")
    return list(v)


def vjp(func, inputs, v=None, create_graph=False, strict=False):
    """``(outputs, v times the Jacobian)``; ``v`` has the outputs' shapes and may be left out for one number."""
    with enable_grad():
        f = _Evaluated(func, inputs, create_graph, strict)
        found = f.pull(f.outputs, _vectors(v, f.outputs, f.single_out, "the output"), keep=create_graph)
    return f.answer(f.outputs, f.single_out), f.answer(found, f.single_in)


def _push(f, outputs, v):
    """The Jacobian times ``v``: the derivative, in the vector, of the vector-Jacobian product, which is linear in it."""
    vectors = [from_array(np.zeros(y.shape, y.dtype.numpy)).requires_grad_() for y in outputs]
    pulled = f.pull(outputs, vectors)
    return f.pull(pulled, v, vectors, keep=f.create_graph, strict=False)


def jvp(func, inputs, v=None, create_graph=False, strict=False):
    """``(outputs, the Jacobian times v)``; ``v`` has the inputs' shapes and may be left out for one number."""
    with enable_grad():
        f = _Evaluated(func, inputs, create_graph, strict)
        found = _push(f, f.outputs, _vectors(v, f.inputs, f.single_in, "the input"))
    return f.answer(f.outputs, f.single_out), f.answer(found, f.single_out)


def jacobian(func, inputs, create_graph=False, strict=False, vectorize=False, strategy="reverse-mode"):
    """The Jacobian: for each output and each input a tensor of the output's shape followed by the input's.

    ``strategy="forward-mode"`` goes by columns; ``vectorize`` is taken for PyTorch's sake.
    """
    if strategy not in ("reverse-mode", "forward-mode"):
        raise ValueError(f'strategy is "reverse-mode" or "forward-mode", got {strategy!r}')
    with enable_grad():
        f = _Evaluated(func, inputs, create_graph, strict)
        rows = [_rows(f, y) if strategy == "reverse-mode" else _columns(f, y) for y in f.outputs]
    return _answer([f.answer(blocks, f.single_in) for blocks in rows], f.single_out)


def _units(x):
    for i in range(x.numel()):
        unit = np.zeros(x.numel(), x.dtype.numpy)
        unit[i] = 1.0
        yield from_array(unit.reshape(x.shape))


def _rows(f, y):
    keep = f.create_graph
    found = []
    for unit in _units(y):
        g = grad(y, f.inputs, unit, retain_graph=True, create_graph=keep, allow_unused=True) if y.requires_grad else (None,)
        if f.strict and any(x is None for x in g):
            raise RuntimeError("an output does not depend on one of the inputs (strict=True)")
        found.append([None] * len(f.inputs) if not y.requires_grad else g)
    blocks = []
    for j, x in enumerate(f.inputs):
        rows = [zeros(x.shape, dtype=x.dtype) if row[j] is None else row[j] for row in found]
        shape = (*y.shape, *x.shape)
        blocks.append(stack(rows).reshape(shape) if rows else zeros(shape, dtype=x.dtype))
    return blocks


def _columns(f, y):
    blocks = []
    for j, x in enumerate(f.inputs):
        columns = []
        for unit in _units(x):
            v = [unit if i == j else zeros(t.shape, dtype=t.dtype) for i, t in enumerate(f.inputs)]
            columns.append(_push(f, [y], v)[0])
        shape = (*y.shape, *x.shape)
        blocks.append(stack(columns, -1).reshape(shape) if columns else zeros(shape, dtype=x.dtype))
    return blocks


def hessian(func, inputs, create_graph=False, strict=False, vectorize=False, outer_jacobian_strategy="reverse-mode"):
    """The Hessian of a function that gives one number: for each pair of inputs a tensor of the two shapes together."""
    _, single = _tuple(inputs, "inputs")

    def gradient(*xs):
        y, _ = _tuple(func(*xs), "the output")
        if len(y) != 1 or y[0].numel() != 1:
            raise RuntimeError("the function of a Hessian must give one tensor with one element")
        if not y[0].requires_grad:
            return tuple(zeros(x.shape, dtype=x.dtype) for x in xs)
        found = grad(reshape(y[0], ()), xs, create_graph=True, allow_unused=True)
        if strict and any(g is None for g in found):
            raise RuntimeError("the output does not depend on one of the inputs (strict=True)")
        return tuple(zeros(x.shape, dtype=x.dtype) if g is None else g for x, g in zip(xs, found, strict=True))

    found = jacobian(gradient, inputs, create_graph, strict, vectorize, outer_jacobian_strategy)
    return found[0] if single else found


def vhp(func, inputs, v=None, create_graph=False, strict=False):
    """``(output, v times the Hessian)`` of a function that gives one number."""
    return _hessian_product(func, inputs, v, create_graph, strict)


def hvp(func, inputs, v=None, create_graph=False, strict=False):
    """``(output, the Hessian times v)`` of a function that gives one number; the Hessian is symmetric."""
    return _hessian_product(func, inputs, v, create_graph, strict)


def _hessian_product(func, inputs, v, create_graph, strict):
    with enable_grad():
        f = _Evaluated(func, inputs, create_graph, strict)
        y = f.scalar()
        first = f.pull([y], [None])
        found = f.pull(first, _vectors(v, f.inputs, f.single_in, "the input"), keep=create_graph)
    return f.answer(f.outputs, f.single_out), f.answer(found, f.single_in)
