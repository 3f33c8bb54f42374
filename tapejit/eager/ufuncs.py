"""NumPy's ufuncs on tensors: which function each one is, and what its ``reduce``, ``accumulate``, ``outer`` and ``at`` mean."""

import numpy as np

from tapejit.core import dtypes
from tapejit.core import record as R
from tapejit.core.layout import scalar_layout
from tapejit.eager import arithmetic, cumulative, families, reductions, scattering
from tapejit.eager.creation import as_tensor
from tapejit.eager.dispatch import from_array
from tapejit.eager.functional import COMPARISONS, FUNCTIONS, LOGICAL, where
from tapejit.eager.indexing import stack
from tapejit.eager.keywords import deliver
from tapejit.eager.linalg.multiply import matmul
from tapejit.eager.otherkinds import of_other_kind, other_kind
from tapejit.eager.tensor import Tensor
from tapejit.eager.views import reshape

PLAIN = families.FUNCTIONS | FUNCTIONS | COMPARISONS | LOGICAL
_NAMES = """
add subtract:sub multiply:mul divide:div true_divide:div power:pow float_power remainder mod:remainder fmod floor_divide
negative:neg positive absolute:abs abs fabs:abs sign sgn:sign exp exp2 expm1 log log2 log10 log1p sqrt square cbrt reciprocal
sin cos tan arcsin:asin arccos:acos arctan:atan arctan2:atan2 asin acos atan atan2 sinh cosh tanh arcsinh:asinh arccosh:acosh
arctanh:atanh asinh acosh atanh hypot logaddexp logaddexp2 maximum minimum fmax fmin floor ceil trunc rint:round deg2rad
radians:deg2rad rad2deg degrees:rad2deg copysign heaviside nextafter ldexp frexp gcd lcm signbit isnan isinf isfinite
logical_and logical_or logical_xor logical_not equal:eq not_equal:ne less:lt less_equal:le greater:gt greater_equal:ge
conjugate:conj conj bitwise_and bitwise_or bitwise_xor bitwise_not invert:bitwise_not bitwise_invert:bitwise_not
left_shift:bitwise_left_shift pow right_shift:bitwise_right_shift bitwise_left_shift bitwise_right_shift
"""  # NumPy's name, or NumPy's name:tapejit's
SCIPY = """
erf erfc expit:sigmoid gammaln:lgamma gamma digamma psi:digamma beta betaln erfinv erfcinv erfcx ndtr ndtri log_ndtr logit xlogy
xlog1py entr rel_entr gammainc gammaincc betainc i0 i0e i1 i1e j0 j1 y0 y1 k0 k0e k1 k1e
"""  # the same of scipy.special


def as_operand(x):
    """What an argument is for a function of tensors: lists are stacked, arrays become tensors, numbers stay."""
    if isinstance(x, Tensor) or x.__class__ in (int, float, bool):
        return x
    if isinstance(x, (list, tuple)):
        if any(isinstance(part, (Tensor, list, tuple)) for part in x):
            parts = [as_operand(part) for part in x]
            parts = [part if isinstance(part, Tensor) else as_tensor(part) for part in parts]
            dtype = dtypes.promote(*((p.dtype, 2) for p in parts))
            return stack([p.to(dtype) for p in parts])
        return from_array(np.asarray(x))
    if isinstance(x, (np.ndarray, np.generic)):
        return from_array(x, copy=False)
    if hasattr(x, "__array__"):
        return from_array(np.asarray(x))
    return x


def tensor_of(x) -> Tensor:
    """``as_operand``, numbers as tensors too."""
    x = as_operand(x)
    return x if isinstance(x, Tensor) else as_tensor(x)


def promoted(*tensors) -> list:
    """Tensors of one dtype, for products of matrices."""
    tensors = [tensor_of(x) for x in tensors]
    dtype = dtypes.promote(*((x.dtype, 2) for x in tensors))
    return [x.to(dtype) for x in tensors]


def _matmul(x, y):
    return matmul(*promoted(x, y))


def _vecdot(x, y):
    x, y = promoted(x, y)
    if x.shape[-1:] != y.shape[-1:]:
        raise ValueError(f"vecdot() takes vectors of one length, got shapes {tuple(x.shape)} and {tuple(y.shape)}")
    return reductions.sum(x * y, -1, dtype=None if x.dtype.is_floating_point else x.dtype)


def _divmod(x, y):
    return PLAIN["floor_divide"](x, y), FUNCTIONS["remainder"](x, y)


def _modf(x):
    return arithmetic.frac(x), FUNCTIONS["trunc"](x)


def numbers_of(result):
    """A result as NumPy gives it: without dimensions a number, of which ``+=`` makes another, unless it shares memory."""
    if isinstance(result, tuple):
        return type(result)(*map(numbers_of, result)) if hasattr(result, "_fields") else type(result)(map(numbers_of, result))
    if isinstance(result, Tensor) and not result._layout.ndim and not result._flags() & (R.VIEW | R.LEAF | R.EXTERNAL):
        result._layout = scalar_layout(result._layout.dtype)
    return result


class Ufunc:
    """One of NumPy's ufuncs for tensors.

    Attributes:
        name: NumPy's name.
        own: the name of the function here, by which complex tensors find theirs.
        function: the function of tensors and numbers that it is.
        fold, run: ``reduce`` and ``accumulate`` along a dimension, None where they have no meaning here.
    """

    def __init__(self, name, own, function, fold=None, run=None):
        self.__name__, self.name, self.own = name, name, own
        self.function, self.fold, self.run = function, fold, run
        self.__doc__ = f"np.{name} of tensors: see ``tapejit.{getattr(function, '__name__', name)}``."

    def __repr__(self):
        return f"<ufunc {self.name!r} of tapejit>"

    def __call__(self, *args, out=None, where=True, dtype=None, **options):
        self._check(options)
        other = other_kind(args)
        if other is not None and out is None and where is True and dtype is None:
            return of_other_kind(other, self.own, args)
        operands = [as_operand(x) for x in args]
        if dtype is not None:
            operands = [tensor_of(x).to(dtype) for x in operands]
        elif not any(isinstance(x, Tensor) for x in operands):
            operands[0] = as_tensor(operands[0])
        result = self.function(*operands)
        if out is not None:
            out = out[0] if isinstance(out, tuple) and len(out) == 1 else out
        return deliver(numbers_of(result) if where is True else _partly(self, result, out, where), out)

    def _check(self, options):
        for name, value in options.items():
            if name not in ("casting", "order", "subok") or (name == "casting" and value not in ("same_kind", "unsafe")):
                raise TypeError(f"np.{self.name}() of tensors does not take {name}={value!r}")

    def reduce(self, array, axis=0, dtype=None, out=None, keepdims=False, initial=None, where=True):
        """All elements along dimensions joined: np.add.reduce is a sum."""
        self._supported(self.fold, "reduce", initial is None and where is True)
        x = tensor_of(array) if dtype is None else tensor_of(array).to(dtype)
        return deliver(numbers_of(self.fold(x, axis, keepdims)), out[0] if isinstance(out, tuple) else out)

    def accumulate(self, array, axis=0, dtype=None, out=None):
        """The cumulative results along a dimension: np.add.accumulate gives cumulative sums."""
        self._supported(self.run, "accumulate", True)
        x = tensor_of(array) if dtype is None else tensor_of(array).to(dtype)
        return deliver(self.run(x, axis), out[0] if isinstance(out, tuple) else out)

    def outer(self, a, b, **options):
        """The function of every element of a and every element of b."""
        a, b = tensor_of(a), tensor_of(b)
        return self(reshape(a, (*a.shape, *(1,) * b.ndim)), b, **options)

    def at(self, a, indices, b=None):
        """np.add.at: b added to the elements of a tensor that the indices name, in place, each as often as it is named."""
        self._supported(self.name == "add" or None, "at", isinstance(a, Tensor))
        key = indices if isinstance(indices, tuple) else (indices,)
        a.copy_(scattering.index_put(a, key, tensor_of(b).to(a.dtype), accumulate=True))

    def reduceat(self, *args, **options):
        self._supported(None, "reduceat", True)

    def _supported(self, part, method, plain):
        if part is None or not plain:
            raise TypeError(f"np.{self.name}.{method}() has no meaning for tensors, or not with these arguments")


def _partly(ufunc, result, out, condition):
    """The result where a condition holds, else what is in ``out``."""
    if not isinstance(out, Tensor):
        raise TypeError(f"np.{ufunc.name}(where=...) of tensors needs out=, a tensor with the others; or use np.where()")
    return where(arithmetic.condition(tensor_of(condition)), result, out)


def fold_product(x, axis, keepdims=False):
    """The product over dimensions."""
    dims = reductions._dims(axis, x.ndim) if axis is not None else None
    if dims is None or len(dims) < 2:
        return reductions.prod(x, None if dims is None else dims[0] if dims else None, keepdims)
    for d in reversed(dims):
        x = reductions.prod(x, d, keepdims)
    return x


def _fold(function):
    return lambda x, axis, keepdims: function(x, axis, keepdim=keepdims)


def _logsumexp(x, axis, keepdims):
    return reductions.logsumexp(x, tuple(range(x.ndim)) if axis is None else axis, keepdim=keepdims)


_FOLDS = {
    "add": (_fold(reductions.sum), reductions.cumsum), "multiply": (fold_product, cumulative.cumprod),
    "maximum": (_fold(reductions.amax), lambda x, d: cumulative.cummax(x, d)[0]),
    "minimum": (_fold(reductions.amin), lambda x, d: cumulative.cummin(x, d)[0]),
    "logaddexp": (_logsumexp, cumulative.logcumsumexp), "logical_and": (_fold(reductions.all), None),
    "logical_or": (_fold(reductions.any), None),
}  # fmt: skip


def _entries():
    for word in (*_NAMES.split(), *SCIPY.split()):
        name, _, own = word.partition(":")
        yield name, own or name, PLAIN[own or name]
    for name, function in (("matmul", _matmul), ("vecdot", _vecdot), ("divmod", _divmod), ("modf", _modf)):
        yield name, name, function
    yield "matvec", "matvec", lambda x, y: _matmul(x, tensor_of(y).unsqueeze(-1)).squeeze(-1)
    yield "vecmat", "vecmat", lambda x, y: _matmul(tensor_of(x).unsqueeze(-2), y).squeeze(-2)


UFUNCS = {name: Ufunc(name, own, function, *_FOLDS.get(name, ())) for name, own, function in _entries()}
