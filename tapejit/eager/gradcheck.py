"""Checking derivatives against finite differences: ``gradcheck`` and ``gradgradcheck``, with PyTorch's arguments."""

import numpy as np

from tapejit.eager.autograd import grad
from tapejit.eager.creation import tensor
from tapejit.eager.dispatch import from_array
from tapejit.eager.tensor import Tensor


class GradcheckError(RuntimeError):
    """A derivative does not agree with finite differences."""


def gradcheck(
    func, inputs, *, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True, nondet_tol=0.0, fast_mode=False
) -> bool:
    """Whether the gradients of ``func`` agree with central differences, in every input that requires a gradient.

    Args:
        func: a function of tensors that gives a tensor, or a tuple of them.
        inputs: a tensor or a tuple; those with requires_grad=True are checked, best in float64.
        eps: the step of the differences.
        atol, rtol: what may differ.
        raise_exception: raise instead of giving False.
        nondet_tol: how much a second backward pass may differ from the first.
        fast_mode: taken for PyTorch's sake; all elements are checked in any case.

    Raises:
        GradcheckError: with the numbers; ValueError when no input requires a gradient.
    """
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    checked = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
    if not checked:
        raise ValueError("gradcheck expects at least one input tensor with requires_grad=True")
    try:
        outputs = [y for y in _outputs(func(*inputs)) if y.dtype.is_floating_point]
        if not any(y.requires_grad for y in outputs):
            raise GradcheckError("none of the outputs require grad: the function's history is cut somewhere")
        numerical = [_numerical(func, inputs, i, eps) for i in checked]
        for k, y in enumerate(outputs):
            exact = _analytical(y, [inputs[i] for i in checked])
            again = _analytical(y, [inputs[i] for i in checked])
            for i, a, b, rows in zip(checked, exact, again, numerical, strict=True):
                if np.abs(a - b).max(initial=0.0) > nondet_tol:
                    raise GradcheckError(f"backward is not reproducible: output {k}, input {i}")
                if not np.allclose(a, rows[k], rtol, atol):
                    raise GradcheckError(
                        f"Jacobian mismatch for output {k} with respect to input {i},\nnumerical:{rows[k]}\nanalytical:{a}\n"
                    )
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func, inputs, grad_outputs=None, *, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True, nondet_tol=0.0, fast_mode=False
) -> bool:
    """``gradcheck`` of the gradients of ``func`` as functions of the inputs and of ``grad_outputs`` (by default random)."""
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    outputs = _outputs(func(*inputs))
    if grad_outputs is None:
        rng = np.random.default_rng(0)
        seeds = [tensor(rng.standard_normal(y.shape), dtype=y.dtype).requires_grad_() for y in outputs]
    else:
        seeds = list(_outputs(grad_outputs))
    numbers = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]

    def gradients(*args):
        own = args[: len(inputs)]
        found = grad(_outputs(func(*own)), [own[i] for i in numbers], args[len(inputs) :], create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None and g.requires_grad)

    return gradcheck(
        gradients, (*inputs, *seeds), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception, nondet_tol=nondet_tol
    )


def _outputs(result):
    return (result,) if isinstance(result, Tensor) else tuple(y for y in result if isinstance(y, Tensor))


def _analytical(y, inputs):
    """The Jacobian of one output in each input, (elements of the input, elements of the output)."""
    blocks = [np.zeros((x.numel(), y.numel())) for x in inputs]
    if not y.requires_grad:
        return blocks
    for j in range(y.numel()):
        unit = np.zeros(y.numel())
        unit[j] = 1.0
        seed = from_array(unit.reshape(y.shape).astype(y.dtype.numpy))
        found = grad(y, inputs, seed, retain_graph=True, allow_unused=True)
        for block, g in zip(blocks, found, strict=True):
            if g is not None:
                block[:, j] = g.detach().numpy().reshape(-1)
    return blocks


def _numerical(func, inputs, i, eps):
    """Central differences in input ``i``: a Jacobian for each output."""
    x = np.array(inputs[i].detach().numpy())
    differences = []
    for place in np.ndindex(x.shape):
        ends = []
        for step in (eps, -eps):
            moved = x.copy()
            moved[place] += step
            point = from_array(moved).requires_grad_()  # the function may take gradients itself
            ends.append(_evaluated(func, (*inputs[:i], point, *inputs[i + 1 :])))
        differences.append([(a - b).reshape(-1) / (2 * eps) for a, b in zip(*ends, strict=True)])
    if not differences:
        return [np.zeros((0, y.size)) for y in _evaluated(func, inputs)]
    return [np.stack(column) for column in zip(*differences, strict=True)]


def _evaluated(func, inputs):
    return [np.array(y.detach().numpy(), np.float64) for y in _outputs(func(*inputs)) if y.dtype.is_floating_point]
