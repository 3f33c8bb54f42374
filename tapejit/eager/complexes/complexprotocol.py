"""NumPy's functions of complex tensors: ``np.exp(z)``, ``array * z``, ``np.sum(z, axis=0)``; what has no form here raises."""

from tapejit.eager import linalg
from tapejit.eager.complexes import complexinverse, complexlinalg, complexparts, fourier  # noqa: F401 - their functions are entered
from tapejit.eager.complexes.complexnumpy import NUMPY
from tapejit.eager.complexes.pair import FUNCTIONS, ComplexTensor
from tapejit.eager.ufuncs import UFUNCS

_FUNCTIONS = {"concatenate": "cat"}
_KEYWORDS = {"axis": "dim", "axes": "dim", "keepdims": "keepdim"}


def _refused(name):
    return TypeError(f"np.{name}() of complex tensors is not there; z.detach().numpy() gives NumPy's array of their values")


def _svd(a, full_matrices=True, compute_uv=True, hermitian=False):
    return linalg.svd(a, full_matrices) if compute_uv else linalg.svdvals(a)


def _norm(x, ord=None, dim=None, keepdim=False):
    return linalg.norm(x, ord, dim, keepdim)


_LINALG = {"norm": _norm, "multi_dot": linalg.multi_dot, "svd": _svd}  # what is not called as PyTorch's


def complex_ufunc(self, ufunc, method, *inputs, **kwargs):
    """A NumPy ufunc of operands of which one is complex."""
    name = UFUNCS[ufunc.__name__].own if ufunc.__name__ in UFUNCS else ufunc.__name__
    if method != "__call__" or kwargs or name not in FUNCTIONS:
        raise _refused(ufunc.__name__)
    return FUNCTIONS[name](*inputs)


def _array_function(self, func, types, args, kwargs):
    module = func.__module__ or ""
    if module == "numpy" and func.__name__ in NUMPY:
        return NUMPY[func.__name__](*args, **kwargs)
    name = _FUNCTIONS.get(func.__name__, func.__name__)
    transform = fourier.of_numpy(name) if module == "numpy.fft" else None
    if transform is not None:
        return transform(*args, **kwargs)
    function = (_LINALG.get(name) if module == "numpy.linalg" else None) or FUNCTIONS.get(name)
    if function is None:
        raise _refused(func.__name__)
    return function(*args, **{_KEYWORDS.get(key, key): value for key, value in kwargs.items()})


ComplexTensor.__array_ufunc__, ComplexTensor.__array_function__ = complex_ufunc, _array_function
