"""Fourier transforms with the names and meanings of ``torch.fft``, of real and complex tensors.

A transform of length n = n1 n2 is n2 transforms of length n1, a twist, and n1 transforms of length n2 (Cooley and Tukey, Math.
Comp. 19, 1965). Lengths up to RADIX are products with a matrix, which BLAS does fast; a longer prime is a convolution of a
power of two (Bluestein, IEEE Trans. Audio 18, 1970). All of it is linear and made of real operations, so every derivative is
there.
"""

import functools
import math

import numpy as np

from tapejit.core import dtypes
from tapejit.core.refusals import OutOfRange
from tapejit.eager import creation, families
from tapejit.eager.complexes.pair import ComplexTensor, as_complex, is_complex_data
from tapejit.eager.linalg import matmul
from tapejit.eager.tensor import Tensor

RADIX = 64  # a product of two such factors is the commonest case, and its matrices stay in the cache
LONGEST_PRIME = 160  # up to here a matrix costs less than three transforms of twice the length
_cat, _roll = families.FUNCTIONS["cat"], families.FUNCTIONS["roll"]


def _roots(n, powers):
    """cos and sin of -2 pi powers / n, the powers taken modulo n first, so that no angle is large."""
    angle = (-2 * math.pi / n) * (powers % n)
    return np.cos(angle), np.sin(angle)


@functools.lru_cache(64)
def _matrix(n, dtype):
    """The real matrix M with [re, im] @ M the transform of length n, in its two halves."""
    c, s = _roots(n, np.outer(np.arange(n), np.arange(n)))
    return np.block([[c, s], [-s, c]]).astype(dtype)


@functools.lru_cache(64)
def _twist(n1, n2, dtype):
    c, s = _roots(n1 * n2, np.outer(np.arange(n2), np.arange(n1)))
    return c.astype(dtype), s.astype(dtype)


@functools.lru_cache(32)
def _chirp(n, dtype):
    """exp(-i pi k^2 / n), the length of the convolution, and the transform of its other factor."""
    k = np.arange(n, dtype=np.int64)
    c, s = _roots(2 * n, k * k)
    m = 1 << (2 * n - 2).bit_length()
    other = np.zeros(m, complex)
    other[:n] = c - 1j * s
    other[m - n + 1 :] = other[n - 1 : 0 : -1]
    found = np.fft.fft(other) / m
    return tuple(np.array(a, dtype) for a in (c, s)), m, tuple(np.array(a, dtype) for a in (found.real, found.imag))


@functools.lru_cache(256)
def _factor(n):
    """The largest factor of n up to RADIX, or its smallest prime factor where that is longer."""
    small = [d for d in range(2, min(RADIX, n) + 1) if n % d == 0]
    if small:
        return small[-1]
    return next((d for d in range(RADIX + 1, math.isqrt(n) + 1) if n % d == 0), n)


def _constant(array):
    return creation.from_numpy(array)


def _turned(re, im, c, s):
    """(re + i im)(c + i s); im None stands for zeros."""
    c, s = _constant(c), _constant(s)
    return (re * c, re * s) if im is None else (re * c - im * s, re * s + im * c)


def _along_last(re, im):
    """The two parts of the transform along the last dimension; im None stands for zeros."""
    n, dtype = re.shape[-1], re.dtype.numpy
    first = _factor(n) if n > RADIX else n
    if n <= RADIX or (first == n and n <= LONGEST_PRIME):
        matrix = _matrix(n, dtype)
        whole = matmul(re, _constant(matrix[:n])) if im is None else matmul(_cat([re, im], -1), _constant(matrix))
        return whole[..., :n], whole[..., n:]
    if first == n:
        return _bluestein(re, im)
    second, rest = n // first, tuple(re.shape[:-1])
    # Columns, the twist, rows, and what was the row is the column
    parts = [None if x is None else x.reshape((*rest, first, second)).transpose(-1, -2) for x in (re, im)]
    parts = _turned(*_along_last(*parts), *_twist(first, second, dtype))
    parts = _along_last(*(x.transpose(-1, -2) for x in parts))
    return tuple(x.transpose(-1, -2).reshape((*rest, n)) for x in parts)


def _bluestein(re, im):
    """A transform of any length as a convolution with exp(i pi k^2 / n)."""
    n, dtype = re.shape[-1], re.dtype.numpy
    chirp, m, other = _chirp(n, dtype)
    a, b = (_resized(x, m, -1) for x in _turned(re, im, *chirp))
    a, b = _turned(*_along_last(a, b), *other)
    b, a = _along_last(b, a)  # parts exchanged before and after: the inverse transform, its 1/m is in ``other``
    return _turned(a[..., :n], b[..., :n], *chirp)


def _resized(x, n, dim):
    """x cut, or filled with zeros, to n elements along a dimension."""
    size = x.shape[dim]
    if size == n:
        return x
    if size > n:
        return x.narrow(dim, 0, n)
    shape = list(x.shape)
    shape[dim] = n - size
    return _cat([x, creation.zeros(tuple(shape), dtype=x.dtype)], dim)


def _parts(x):
    """The two parts of data, None for the imaginary one of real data."""
    if isinstance(x, ComplexTensor) or is_complex_data(x):
        x = as_complex(x)
        return x.real, x.imag
    x = creation.as_tensor(x)
    return (x if x.dtype.is_floating_point else x.to(dtypes.get_default_dtype())), None


def _scale(norm, n, inverse):
    """The factor of a norm: "backward" (or None) scales the inverse by 1/n, "forward" the transform, "ortho" both evenly."""
    if norm not in (None, "backward", "forward", "ortho"):
        raise ValueError(f"norm is 'backward', 'forward' or 'ortho', got {norm!r}")
    if norm == "ortho":
        return 1 / math.sqrt(n)
    return 1 / n if (norm == "forward") != inverse else 1.0


def _transformed(re, im, n, dim, norm, inverse):
    """Parts of the transform, or of its inverse, along a dimension cut or filled to length n."""
    if not re.ndim:
        raise OutOfRange("a Fourier transform takes tensors of at least 1 dimension")
    n = re.shape[dim] if n is None else n
    if n < 1:
        raise RuntimeError(f"the length of a Fourier transform is at least 1, got {n}")
    re, im = (None if x is None else _resized(x, n, dim).movedim(dim, -1) for x in (re, im))
    scale = _scale(norm, n, inverse)
    if inverse:  # the transform of the conjugate, conjugated
        a, b = _along_last(re, None if im is None else -im)
        b = -b
    else:
        a, b = _along_last(re, im)
    a, b = (x if scale == 1 else x * scale for x in (a, b))
    return a.movedim(-1, dim), b.movedim(-1, dim)


def fft(input, n=None, dim=-1, norm=None) -> ComplexTensor:
    """The discrete Fourier transform sum_j x_j exp(-2 pi i j k / n) along a dimension.

    Args:
        input: a real or complex tensor, or an array.
        n: the length, to which the dimension is cut or filled with zeros.
        dim: the dimension.
        norm: "backward" (no factor, the default), "ortho" (1/sqrt(n)) or "forward" (1/n).

    Raises:
        RuntimeError: for a tensor without dimensions or a length below 1.
        ValueError: for another norm.
    """
    return ComplexTensor(*_transformed(*_parts(input), n, dim, norm, False))


def ifft(input, n=None, dim=-1, norm=None) -> ComplexTensor:
    """The inverse of ``fft``, which by default has the factor 1/n."""
    return ComplexTensor(*_transformed(*_parts(input), n, dim, norm, True))


def rfft(input, n=None, dim=-1, norm=None) -> ComplexTensor:
    """The first n // 2 + 1 numbers of the transform of a real tensor; the others are their conjugates.

    Raises:
        RuntimeError: for a complex tensor.
    """
    re, im = _parts(input)
    if im is not None:
        raise RuntimeError("rfft() takes a real tensor; fft() takes complex ones")
    a, b = _transformed(re, None, n, dim, norm, False)
    half = a.shape[dim] // 2 + 1
    return ComplexTensor(a.narrow(dim, 0, half), b.narrow(dim, 0, half))


def irfft(input, n=None, dim=-1, norm=None) -> Tensor:
    """The inverse of ``rfft``, a real tensor of length n, by default 2 (size - 1)."""
    z = as_complex(creation.as_tensor(input) if not is_complex_data(input) else input)
    n = 2 * (z.shape[dim] - 1) if n is None else n
    if n < 1:
        raise RuntimeError(f"the length of a Fourier transform is at least 1, got {n}")
    half = n // 2 + 1
    re, im = _resized(z.real, half, dim), _resized(z.imag, half, dim)
    others = n - half
    if others:
        back = [x.narrow(dim, 1, others).flip(dim) for x in (re, im)]
        re, im = _cat([re, back[0]], dim), _cat([im, -back[1]], dim)
    return _transformed(re, im, None, dim, norm, True)[0]


def _dims(x, s, dim):
    """(dimension, length) in turn; without dimensions the last ones of ``s``, or all."""
    if dim is None:
        dim = range(-len(s), 0) if s is not None else range(-len(x.shape), 0)
    dim = (dim,) if isinstance(dim, int) else tuple(dim)
    lengths = (None,) * len(dim) if s is None else tuple(s)
    if len(lengths) != len(dim):
        raise RuntimeError(f"s and dim must have one length, got {s} and {dim}")
    return list(zip(dim, (None if n == -1 else n for n in lengths), strict=True))


def _as_input(x):
    return x if isinstance(x, (Tensor, ComplexTensor)) else as_complex(x) if is_complex_data(x) else creation.as_tensor(x)


def _over(one, input, s, dim, norm):
    x = _as_input(input)
    for d, n in _dims(x, s, dim):
        x = one(x, n, d, norm)
    return x


def fftn(input, s=None, dim=None, norm=None) -> ComplexTensor:
    """``fft`` along several dimensions, by default all."""
    return _over(fft, input, s, dim, norm)


def ifftn(input, s=None, dim=None, norm=None) -> ComplexTensor:
    """``ifft`` along several dimensions, by default all."""
    return _over(ifft, input, s, dim, norm)


def fft2(input, s=None, dim=(-2, -1), norm=None) -> ComplexTensor:
    """``fft`` along the last two dimensions."""
    return fftn(input, s, dim, norm)


def ifft2(input, s=None, dim=(-2, -1), norm=None) -> ComplexTensor:
    """``ifft`` along the last two dimensions."""
    return ifftn(input, s, dim, norm)


def _last_first(last, other, input, s, dim, norm):
    """One transform along the last of the dimensions, then another along the others."""
    x = _as_input(input)
    *others, (d, n) = _dims(x, s, dim)
    x = last(x, n, d, norm)
    for k, m in others:
        x = other(x, m, k, norm)
    return x


def _last_last(other, last, input, s, dim, norm):
    """One transform along all but the last of the dimensions, then another along that."""
    x = _as_input(input)
    *others, (d, n) = _dims(x, s, dim)
    for k, m in others:
        x = other(x, m, k, norm)
    return last(x, n, d, norm)


def rfftn(input, s=None, dim=None, norm=None) -> ComplexTensor:
    """``rfft`` along the last of the dimensions, ``fft`` along the others."""
    return _last_first(rfft, fft, input, s, dim, norm)


def irfftn(input, s=None, dim=None, norm=None) -> Tensor:
    """``ifft`` along all but the last of the dimensions, ``irfft`` along that."""
    return _last_last(ifft, irfft, input, s, dim, norm)


def rfft2(input, s=None, dim=(-2, -1), norm=None) -> ComplexTensor:
    """``rfftn`` along the last two dimensions."""
    return rfftn(input, s, dim, norm)


def irfft2(input, s=None, dim=(-2, -1), norm=None) -> Tensor:
    """``irfftn`` along the last two dimensions."""
    return irfftn(input, s, dim, norm)


_OTHER_WAY = {None: "forward", "backward": "forward", "forward": "backward"}  # the factor of the inverse direction


def hfft(input, n=None, dim=-1, norm=None) -> Tensor:
    """The transform, which is real, of a Hermitian signal given by its first half; of length n, by default 2 (size - 1)."""
    return irfft(as_complex(_as_input(input)).conj(), n, dim, _OTHER_WAY.get(norm, norm))


def ihfft(input, n=None, dim=-1, norm=None) -> ComplexTensor:
    """The inverse of ``hfft``: the first half of the Hermitian signal whose transform a real tensor is."""
    return rfft(input, n, dim, _OTHER_WAY.get(norm, norm)).conj()


def hfftn(input, s=None, dim=None, norm=None) -> Tensor:
    """``fft`` along all but the last of the dimensions, ``hfft`` along that."""
    return _last_last(fft, hfft, input, s, dim, norm)


def ihfftn(input, s=None, dim=None, norm=None) -> ComplexTensor:
    """``ihfft`` along the last of the dimensions, ``ifft`` along the others."""
    return _last_first(ihfft, ifft, input, s, dim, norm)


def hfft2(input, s=None, dim=(-2, -1), norm=None) -> Tensor:
    """``hfftn`` along the last two dimensions."""
    return hfftn(input, s, dim, norm)


def ihfft2(input, s=None, dim=(-2, -1), norm=None) -> ComplexTensor:
    """``ihfftn`` along the last two dimensions."""
    return ihfftn(input, s, dim, norm)


def fftfreq(n, d=1.0, *, dtype=None) -> Tensor:
    """The frequencies of ``fft``: [0, 1, ..., -2, -1] / (n d)."""
    return creation.tensor(np.fft.fftfreq(n, d), dtype=dtype or dtypes.get_default_dtype())


def rfftfreq(n, d=1.0, *, dtype=None) -> Tensor:
    """The frequencies of ``rfft``: [0, 1, ..., n // 2] / (n d)."""
    return creation.tensor(np.fft.rfftfreq(n, d), dtype=dtype or dtypes.get_default_dtype())


def _shifted(input, dim, inverse):
    x = _as_input(input)
    dims = tuple(range(len(x.shape))) if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    steps = tuple(-(x.shape[d] // 2) if inverse else x.shape[d] // 2 for d in dims)
    return x.roll(steps, dims)


def fftshift(input, dim=None):
    """Frequency zero in the middle of the given dimensions, by default all."""
    return _shifted(input, dim, False)


def ifftshift(input, dim=None):
    """What undoes ``fftshift``."""
    return _shifted(input, dim, True)


TRANSFORMS = (
    fft, ifft, rfft, irfft, fft2, ifft2, rfft2, irfft2, fftn, ifftn, rfftn, irfftn, hfft, ihfft, hfft2, ihfft2, hfftn, ihfftn,
    fftshift, ifftshift,
)  # fmt: skip
_BY_NAME = {function.__name__: function for function in TRANSFORMS}


def of_numpy(name):
    """The function of NumPy's name with NumPy's words for its arguments, None where there is none."""
    function = _BY_NAME.get(name)
    if function is None:
        return None

    def transform(*args, **kwargs):
        names = {"a": "input", "x": "input", "axis": "dim", "axes": "dim"}
        given = {names.get(key, key): value for key, value in kwargs.items() if key != "out" or value is not None}
        return function(*args, **given)

    return transform
