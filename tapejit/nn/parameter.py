"""Parameters: tensors that a module takes for its own when they are assigned to it."""

import weakref

import tapejit as tj

_known: dict = {}  # id of a tensor -> a reference to it


class _Kind(type):
    """A parameter is a plain Tensor, so that operations are as quick; that it is one is known beside it."""

    def __instancecheck__(cls, x):
        found = _known.get(id(x))
        return found is not None and found() is x

    def __call__(cls, data=None, requires_grad=True):
        data = tj.empty(0) if data is None else data
        x = (data.detach() if isinstance(data, tj.Tensor) else tj.tensor(data)).requires_grad_(requires_grad)
        return mark(x)


class Parameter(metaclass=_Kind):
    """``Parameter(data, requires_grad=True)``: a leaf tensor over the memory of ``data`` that modules take for their own."""


def mark(x):
    """Make a tensor a parameter."""
    key = id(x)
    _known[key] = weakref.ref(x, lambda _: _known.pop(key, None))
    return x
