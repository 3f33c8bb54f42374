"""Complex tensors reshaped, indexed, joined and summed, the same operation on both parts; and their products."""

import builtins
import functools
import itertools

from tapejit.core import dtypes
from tapejit.core.plans import broadcast_shapes
from tapejit.eager import creation, families, linalg
from tapejit.eager.complexes import complexmath as algebra
from tapejit.eager.complexes.pair import FUNCTIONS, ComplexTensor, as_complex, both, entered
from tapejit.eager.functional import where as real_where
from tapejit.eager.tensor import Tensor

# What moves or adds elements acts on each part by itself.
_METHODS = """reshape view flatten ravel permute transpose t unsqueeze squeeze expand broadcast_to flip fliplr flipud roll
    rot90 movedim moveaxis swapaxes swapdims select narrow split chunk unbind diagonal tril triu repeat tile repeat_interleave
    index_select gather take_along_dim contiguous sum mean cumsum diff trace diag diag_embed unflatten expand_as
    masked_fill""".split()


def _of_parts(name, function):
    @functools.wraps(function)
    def method(z, *args, **kwargs):
        if not isinstance(z, ComplexTensor):
            raise TypeError(f"{name}() takes the complex tensor first")
        dtype = kwargs.get("dtype")
        if dtype is not None:
            kind = dtypes.as_complex_dtype(dtype)
            if kind is None:
                raise TypeError(f"{name}() of complex tensors has no dtype {dtype}")
            kwargs["dtype"] = kind.real
        parts = [function(part, *args, **kwargs) for part in (z.real, z.imag)]
        if isinstance(parts[0], Tensor):
            return ComplexTensor(*parts)
        return tuple(ComplexTensor(a, b) for a, b in zip(*parts, strict=True))

    return method


for _name in _METHODS:
    _function = families.FUNCTIONS.get(_name) or getattr(Tensor, _name, None)
    if _function is not None:
        FUNCTIONS[_name] = _of_parts(_name, _function)
        setattr(ComplexTensor, _name, FUNCTIONS[_name])
FUNCTIONS["unstack"] = FUNCTIONS["unbind"]
ComplexTensor.T = property(lambda z: ComplexTensor(z.real.T, z.imag.T), doc="Dimensions in reverse order.")
ComplexTensor.mT = property(lambda z: ComplexTensor(z.real.mT, z.imag.mT), doc="Matrices transposed.")
ComplexTensor.H = property(lambda z: z.mT.conj(), doc="Matrices transposed and conjugated.")
ComplexTensor.mH = ComplexTensor.H


@entered()
def adjoint(z: ComplexTensor) -> ComplexTensor:
    """Matrices transposed and conjugated."""
    return z.mT.conj()


def _join(name):
    function = families.FUNCTIONS[name]

    def join(tensors, dim=0):
        tensors = [as_complex(t) for t in tensors]
        return ComplexTensor(function([t.real for t in tensors], dim), function([t.imag for t in tensors], dim))

    join.__name__, join.__doc__ = name, function.__doc__
    return entered(method=False)(join)


cat, stack = _join("cat"), _join("stack")


@entered(method=False)
def where(condition, x, y) -> ComplexTensor:
    """x where the condition holds, else y; one of them complex."""
    x, y = both(x, y)
    return ComplexTensor(real_where(condition, x.real, y.real), real_where(condition, x.imag, y.imag))


@entered()
def prod(z: ComplexTensor, dim=None, keepdim=False) -> ComplexTensor:
    """The product over all elements or one dimension, as a tree of products, exact also where factors are 0."""
    if dim is None:
        whole = prod(z.reshape(-1), 0)
        return whole.reshape((1,) * z.ndim) if keepdim else whole
    z = z.movedim(dim, 0)
    while len(z) > 1:
        half = len(z) // 2
        even = algebra.mul(z[:half], z[half : 2 * half])
        z = cat([even, z[2 * half :]]) if len(z) % 2 else even
    if not len(z):
        ones = z.real.sum(0, keepdim=True) + 1.0
        z = ComplexTensor(ones, ones * 0.0)
    return z.movedim(0, dim) if keepdim else z[0]


@entered("allclose", method=False)
def isclose_all(x, y, rtol=1e-5, atol=1e-8) -> bool:
    """Whether |x - y| <= atol + rtol |y| everywhere."""
    x, y = both(x, y)
    return bool((algebra.abs(x - y) <= atol + rtol * algebra.abs(y)).all())


# Products


def _product(name, function):
    """A real product of pairs: (a + ib)(c + id), by four real products, two where one operand is real."""

    def product(x, y):
        if not isinstance(y, ComplexTensor) and algebra.is_real(y):
            return ComplexTensor(function(x.real, y), function(x.imag, y))
        if not isinstance(x, ComplexTensor) and algebra.is_real(x):
            return ComplexTensor(function(x, y.real), function(x, y.imag))
        x, y = both(x, y)
        return ComplexTensor(
            function(x.real, y.real) - function(x.imag, y.imag), function(x.real, y.imag) + function(x.imag, y.real)
        )

    product.__name__, product.__doc__ = name, function.__doc__
    return entered()(product)


matmul = _product("matmul", linalg.matmul)
mm, mv, bmm, dot, outer = (_product(name, getattr(linalg, name)) for name in "mm mv bmm dot outer".split())
ComplexTensor.__matmul__ = matmul
ComplexTensor.__rmatmul__ = lambda z, other: matmul(other, z)


@entered()
def vdot(x, y) -> ComplexTensor:
    """The sum of conj(x) * y."""
    if algebra.is_real(x) and algebra.is_real(y):
        return linalg.dot(x, y)
    return dot(algebra.conj(as_complex(x)), y)


def _of_pairs(function):
    """A real function that is linear in each of its operands, of pairs: the terms of the expanded product."""

    def product(*operands):
        choices = [(z.real, z.imag) if isinstance(z, ComplexTensor) else (z,) for z in operands]
        parts = [None, None]
        for picked in itertools.product(*(range(len(c)) for c in choices)):
            term = function(*(c[k] for c, k in zip(choices, picked, strict=True)))
            term = -term if builtins.sum(picked) % 4 > 1 else term  # i**2 and i**3
            place = builtins.sum(picked) % 2
            parts[place] = term if parts[place] is None else parts[place] + term
        return ComplexTensor(*parts)

    return product


def _pairs(operands):
    return [z if isinstance(z, ComplexTensor) or algebra.is_real(z) else as_complex(z) for z in operands]


@entered(method=False)
def einsum(equation, *operands) -> ComplexTensor:
    """The sum of products that an equation names, of complex and real tensors."""
    if len(operands) == 1 and isinstance(operands[0], (tuple, list)):
        operands = operands[0]
    return _of_pairs(functools.partial(families.FUNCTIONS["einsum"], equation))(*_pairs(operands))


@entered(method=False)
def tensordot(x, y, dims=2) -> ComplexTensor:
    """The products of x and y summed over dimensions: the last ``dims`` of x with the first of y, or two lists of them."""
    return _of_pairs(functools.partial(families.FUNCTIONS["tensordot"], dims=dims))(*_pairs((x, y)))


# New tensors as another one, and several at a time


def _like(name, value):
    def like(z, fill_value=value, *, dtype=None, requires_grad=False) -> ComplexTensor:
        made = creation.full(tuple(z.shape), fill_value, dtype=z.dtype if dtype is None else dtype)
        return made.requires_grad_() if requires_grad else made

    like.__name__, like.__doc__ = name, "A complex tensor of the shape and dtype of another one."
    return entered(method=False)(like)


zeros_like, ones_like, empty_like = _like("zeros_like", 0), _like("ones_like", 1), _like("empty_like", 0)
full_like = _like("full_like", 0)


@entered(method=False)
def astype(z, dtype):
    """The numbers in another dtype, which is complex."""
    return z.to(dtype)


@entered()
def nonzero(z) -> tuple:
    """Where numbers are not zero, one tensor of places per dimension."""
    return families.FUNCTIONS["nonzero"]((z.real != 0) | (z.imag != 0), as_tuple=True)


@entered("broadcast_arrays", method=False)
def broadcast_tensors(*tensors) -> tuple:
    """Tensors broadcast to one shape."""
    shape = broadcast_shapes(*(tuple(z.shape) for z in tensors))
    return tuple((z if isinstance(z, Tensor) else as_complex(z)).broadcast_to(shape) for z in tensors)


@entered(method=False)
def meshgrid(*vectors, indexing="xy"):
    """The coordinates of a grid, from vectors along its axes."""
    grid, vectors = families.FUNCTIONS["meshgrid"], [as_complex(v) for v in vectors]
    parts = [grid(*(getattr(v, part) for v in vectors), indexing=indexing) for part in ("real", "imag")]
    return tuple(ComplexTensor(a, b) for a, b in zip(*parts, strict=True))
