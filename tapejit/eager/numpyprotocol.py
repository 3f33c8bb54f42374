"""NumPy's protocols: ``np.exp(t)``, ``np.sum(t, axis=0)`` and ``array * t`` are tapejit's functions, with NumPy's meanings.

What the table does not know is worked out by NumPy where the tensors are constants; where one is differentiated it is an error.
"""

import numpy as np

from tapejit.core import record as R
from tapejit.core import tape as tapes
from tapejit.eager.complexes.complexprotocol import complex_ufunc
from tapejit.eager.complexes.fourier import of_numpy
from tapejit.eager.escapes import Escaped, public
from tapejit.eager.numpytable import look_up
from tapejit.eager.otherkinds import other_kind
from tapejit.eager.tensor import Tensor, method_as
from tapejit.edge.userline import current_node, place, user_frame

_REASONS = {
    "fft": "tj.fft has the transforms there are",
    "histogram2d": "counts have no derivative",
    "histogramdd": "counts have no derivative",
    "histogram_bin_edges": "bins that depend on the values are not differentiated",
    "polymul": "use np.convolve()",
    "polyfit": "use np.linalg.lstsq() with np.vander()",
    "roots": "its result is complex whatever the tensor is",
    "spacing": "the distance of neighbouring floats has no derivative",
}


class NoDerivative(Escaped, TypeError):
    """A differentiated tensor was given to a NumPy function that has no derivative here."""


def _differentiated(values) -> bool:
    return any(t.requires_grad for t in _tensors(values)) and bool(tapes.current().header[R.H_GRAD_MODE])


def _tensors(tree):
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, (list, tuple)):
        for part in tree:
            yield from _tensors(part)
    elif isinstance(tree, dict):
        yield from _tensors(list(tree.values()))


def _arrays(tree):
    """A tree with arrays in place of tensors; a recording notes that they are read."""
    if isinstance(tree, Tensor):
        return tree._array()
    if isinstance(tree, (list, tuple)):
        return type(tree)(map(_arrays, tree))
    return {name: _arrays(x) for name, x in tree.items()} if isinstance(tree, dict) else tree


def refusal(name):
    """The error for a NumPy function that would take a differentiated tensor for a constant."""
    reason = _REASONS.get(name, _REASONS["fft"] if name.startswith("fft.") else "tapejit has no such function of tensors")
    return NoDerivative(
        f"np.{name}() turns a differentiated tensor into a plain value, and the gradient through it would be zero: {reason}; "
        f"x.detach() says that no gradient is meant ({place(user_frame())})"
    )


def _name(function):
    module = getattr(function, "__module__", "") or ""
    return f"{module[6:]}.{function.__name__}" if module.startswith("numpy.") else function.__name__


@method_as("__array_function__")
def array_function(self, func, types, args, kwargs):
    """A NumPy function that was given a tensor.

    Raises:
        TypeError: if a differentiated tensor would be taken for a constant.
    """
    own = look_up(func) or (of_numpy(func.__name__) if func.__module__ == "numpy.fft" else None)
    if own is not None:
        return own(*args, **kwargs)
    if _differentiated((args, kwargs)):
        raise refusal(_name(func))
    return func(*_arrays(args), **_arrays(kwargs))


@method_as("__array_ufunc__")
def array_ufunc(self, ufunc, method, *inputs, out=None, **kwargs):
    """A NumPy ufunc, or one of its methods, that was given a tensor."""
    if other_kind(inputs) is not None:
        return complex_ufunc(self, ufunc, method, *inputs, **(kwargs if out is None else {**kwargs, "out": out}))
    own = look_up(ufunc)
    target = None if out is None else out[0] if len(out) == 1 else out
    if own is None:
        if _differentiated((inputs, kwargs, out)):
            raise refusal(ufunc.__name__)
        result = getattr(ufunc, method)(*_arrays(inputs), **_arrays(kwargs))
        return result if target is None else _write(ufunc, result, target)
    if isinstance(target, np.ndarray):
        return _write(ufunc, getattr(own, method)(*inputs, **kwargs), target)
    options = kwargs if target is None else {**kwargs, "out": target}
    return getattr(own, method)(*inputs, **options)


def _write(ufunc, result, target):
    """What ``array += tensor`` and ``np.add(..., out=array)`` give: the one a tensor, the other the array with the values."""
    node = current_node(user_frame())
    if type(node).__name__ == "AugAssign":
        return result
    if isinstance(result, Tensor):
        if _differentiated(result):
            raise NoDerivative(f"np.{ufunc.__name__}(out=array) would lose the derivative of a tensor: leave out= away")
        result = result._array()
    if isinstance(target, Tensor):
        return target.copy_(result)
    target[...] = result
    return target


def _torch_function(func, types, args=(), kwargs=None):
    """What PyTorch asks first where a tensor of tapejit is an argument of one of its functions.

    Raises:
        TypeError: always, since its functions take its own tensors.
    """
    name = getattr(func, "__name__", str(func))
    instead = f"use tj.{name}" if name in public else "use tapejit's functions"
    where = place(user_frame())
    raise TypeError(f"torch.{name}() is given a tensor of tapejit: {instead}, or `import tapejit as torch` ({where})")


Tensor.__torch_function__ = staticmethod(_torch_function)
Tensor.__pandas_priority__ = 5000  # columns of tables leave arithmetic with tensors to the tensor
