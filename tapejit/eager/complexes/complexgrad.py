"""``autograd.grad`` and ``autograd.backward`` where inputs, outputs or seeds are complex, and as they are elsewhere."""

import functools

from tapejit.eager import autograd
from tapejit.eager.complexes.pair import ComplexTensor, joined, paired


def _listed(x):
    return tuple(x) if isinstance(x, (tuple, list)) else (x,)


def _outputs(outputs, seeds):
    """Outputs and seeds with each complex output as the real number that its seed makes of it.

    Raises:
        RuntimeError: for a complex output without a seed.
    """
    outputs = _listed(outputs)
    seeds = [None] * len(outputs) if seeds is None else list(_listed(seeds))
    found = []
    for k, (y, seed) in enumerate(zip(outputs, seeds, strict=True)):
        if isinstance(y, ComplexTensor):
            if seed is None:
                raise RuntimeError(
                    f"grad can be implicitly created only for real scalar outputs, output {k} is {y.dtype}: take its .real or "
                    ".abs(), or give a gradient"
                )
            y, seeds[k] = paired(y, seed), None
        found.append(y)
    return found, seeds


def _inputs(inputs):
    return [part for x in inputs for part in ((x.real, x.imag) if isinstance(x, ComplexTensor) else (x,))]


def _any(*groups):
    return any(isinstance(x, ComplexTensor) for group in groups if group is not None for x in _listed(group))


@functools.wraps(autograd.grad)
def grad(
    outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False, allow_unused=None, materialize_grads=False
) -> tuple:
    if not _any(outputs, inputs, grad_outputs):
        return autograd.grad(outputs, inputs, grad_outputs, retain_graph, create_graph, allow_unused, materialize_grads)
    outputs, seeds = _outputs(outputs, grad_outputs)
    inputs = _listed(inputs)
    parts = _inputs(inputs)
    found = iter(autograd.grad(outputs, parts, seeds, retain_graph, create_graph, True, materialize_grads))
    results = tuple(joined(next(found), next(found)) if isinstance(x, ComplexTensor) else next(found) for x in inputs)
    if not allow_unused and any(g is None for g in results):
        raise RuntimeError("one of the inputs was not used in the outputs; allow_unused=True gives None for it")
    return results


@functools.wraps(autograd.backward)
def backward(tensors, grad_tensors=None, retain_graph=None, create_graph=False, *, inputs=None) -> None:
    if _any(tensors, grad_tensors, inputs):
        tensors, grad_tensors = _outputs(tensors, grad_tensors)
        inputs = None if inputs is None else _inputs(_listed(inputs))
    autograd.backward(tensors, grad_tensors, retain_graph, create_graph, inputs=inputs)
