"""NumPy's functions of complex tensors, with NumPy's meanings, by its functions of real ones.

What moves, joins or adds elements acts on the real and the imaginary parts, each by itself; products are bilinear. They are
entered as "np.name", beside the functions that have PyTorch's meanings.
"""

from numbers import Number

import numpy as np

from tapejit.eager.complexes.pair import FUNCTIONS, ComplexTensor, as_complex, is_complex_data
from tapejit.eager.numpytable import TABLE
from tapejit.eager.tensor import Tensor

_PARTS = """sum mean cumsum cumulative_sum nansum nanmean diff ediff1d trapezoid gradient average transpose permute_dims reshape
    ravel expand_dims squeeze swapaxes moveaxis rollaxis flip fliplr flipud rot90 roll repeat tile resize broadcast_to
    concatenate concat stack vstack hstack dstack column_stack block append insert delete split array_split hsplit vsplit dsplit
    unstack atleast_1d atleast_2d atleast_3d pad take take_along_axis compress extract diag diagflat diagonal tril triu trace
    matrix_transpose copy""".split()
_DATA = ("values", "fill_value", "constant_values", "initial")  # arguments beside the first that are numbers like those of it
_PRODUCTS = dict.fromkeys("dot inner outer tensordot kron cross convolve".split(), (False, False)) | {
    "vdot": (True, False), "correlate": (False, True),
}  # whose first, whose second operand is conjugated  # fmt: skip


def _part(tree, which, data):
    """One part of what is complex in a tree; of real numbers that are data, themselves or zeros."""
    if is_complex_data(tree):
        return getattr(tree, which)
    if isinstance(tree, (list, tuple)) and (data or any(map(is_complex_data, tree))):
        return type(tree)(_part(x, which, True) for x in tree)
    if not data or which == "real":
        return tree
    return tree * 0 if isinstance(tree, (Tensor, Number)) else np.zeros_like(tree)


def _together(real, imag):
    if isinstance(real, (list, tuple)):
        return type(real)(map(_together, real, imag))
    return ComplexTensor(real, imag)


def _by_parts(name):
    function = TABLE[name]
    keys = list(function.parameters) or ["arrays"]
    data = (keys[1 if name in ("compress", "extract") else 0], *_DATA)

    def of_parts(*args, **kwargs):
        dtype = kwargs.get("dtype")
        if dtype is not None:
            kwargs["dtype"] = np.zeros(0, dtype).real.dtype
        found = []
        for which in ("real", "imag"):
            given = [_part(x, which, k < len(keys) and keys[k] in data) for k, x in enumerate(args)]
            named = {key: _part(x, which, key in data) for key, x in kwargs.items()}
            found.append(function(*given, **named))
        return _together(*found)

    return of_parts


def _bilinear(name, first, second):
    function = TABLE[name]

    def product(a, b, *args, **kwargs):
        a, b = (as_complex(x if isinstance(x, (Tensor, ComplexTensor, Number)) else np.asarray(x)) for x in (a, b))
        p, q, r, s = a.real, -a.imag if first else a.imag, b.real, -b.imag if second else b.imag
        real = function(p, r, *args, **kwargs) - function(q, s, *args, **kwargs)
        return ComplexTensor(real, function(p, s, *args, **kwargs) + function(q, r, *args, **kwargs))

    return product


def _var(a, *args, **kwargs):
    """The mean of the squared distances from the mean."""
    return TABLE["var"](a.real, *args, **kwargs) + TABLE["var"](a.imag, *args, **kwargs)


def _std(a, *args, **kwargs):
    return _var(a, *args, **kwargs).sqrt()


def _tested(name):
    """A question about which numbers are not zero."""
    return lambda a, *args, **kwargs: TABLE[name]((a.real != 0) | (a.imag != 0), *args, **kwargs)


def _isclose(a, b, rtol=1e-05, atol=1e-08, equal_nan=False):
    a, b = as_complex(a), as_complex(b)
    return (a - b).abs() <= atol + rtol * b.abs()


NUMPY = {name: _by_parts(name) for name in _PARTS}
NUMPY |= {name: _bilinear(name, *conjugated) for name, conjugated in _PRODUCTS.items()}
NUMPY |= {name: _tested(name) for name in ("any", "all", "count_nonzero", "nonzero", "flatnonzero", "argwhere")}
NUMPY |= {
    "var": _var, "std": _std,
    "isclose": _isclose, "allclose": lambda a, b, *more, **options: bool(_isclose(a, b, *more, **options).all()),
    "shape": lambda a: tuple(a.shape), "ndim": lambda a: a.ndim,
    "size": lambda a, axis=None: a.numel() if axis is None else a.shape[axis],
    "iscomplexobj": lambda x: True, "isrealobj": lambda x: False,
    "iscomplex": lambda x: x.imag != 0, "isreal": lambda x: x.imag == 0,
    "vander": lambda x, N=None, increasing=False: _vander(x, N, increasing),
}  # fmt: skip


def _vander(x, N=None, increasing=False):
    powers = FUNCTIONS["vander"](x, x.shape[0] if N is None else N)
    return powers if increasing else NUMPY["flip"](powers, -1)


FUNCTIONS.update({f"np.{name}": function for name, function in NUMPY.items()})
