"""What NumPy can be asked about an array, of a tensor."""

import numpy as np

from tapejit.eager import arithmetic, reductions
from tapejit.eager.dispatch import from_array
from tapejit.eager.tensor import Tensor
from tapejit.eager.ufuncs import tensor_of


def allclose(a, b, rtol=1e-05, atol=1e-08, equal_nan=False):
    return bool(reductions.all(arithmetic.isclose(a, tensor_of(b), rtol, atol, equal_nan)))


def array_equal(a1, a2):
    a1, a2 = tensor_of(a1), tensor_of(a2)
    return a1.shape == a2.shape and bool(reductions.all(a1 == a2))


def shape(a):
    return tuple(a.shape)


def ndim(a):
    return a.ndim


def size(a, axis=None):
    return a.numel() if axis is None else a.shape[axis]


def iscomplexobj(x):
    return False


def isrealobj(x):
    return True


def result_type(*arrays_and_dtypes):
    return np.result_type(*(x.dtype.numpy if isinstance(x, Tensor) else x for x in arrays_and_dtypes))


def astype(x, dtype, copy=True):
    return x.astype(dtype, copy)


def real_if_close(a, tol=100):
    return a


def iscomplex(x):
    return from_array(np.zeros(tuple(x.shape), bool))


def array_equiv(a1, a2):
    try:
        return bool(reductions.all(tensor_of(a1) == tensor_of(a2)))
    except ValueError:
        return False
