"""ComplexTensor: a pair of real tensors of one shape, its memory, history and gradient, and what else becomes one.

The gradient of a real loss L in z = x + iy is dL/dx + i dL/dy, as in PyTorch: what a step of descent subtracts.
"""

from numbers import Number

import numpy as np

from tapejit.core import dtypes
from tapejit.core.dtypes import ComplexDType, complex64, complex128
from tapejit.core.refusals import KindError
from tapejit.eager import creation, otherkinds, printing
from tapejit.eager.dispatch import from_array
from tapejit.eager.tensor import Tensor

FUNCTIONS: dict = {}  # name -> the function of complex tensors under a public name


class ComplexTensor:
    """A complex array over two real tensors, with PyTorch's meaning of its attributes and methods.

    Make one with ``tapejit.complex``, ``polar``, ``view_as_complex`` or ``tapejit.tensor`` of complex data.
    """

    __slots__ = ("__weakref__", "imag", "real")
    __array_priority__ = 2000
    __pandas_priority__ = 5000

    def __init__(self, real: Tensor, imag: Tensor):
        self.real, self.imag = real, imag

    # What it is

    @property
    def shape(self):
        return self.real.shape

    @property
    def ndim(self) -> int:
        return self.real.ndim

    @property
    def dtype(self) -> ComplexDType:
        return complex128 if self.real.dtype is dtypes.float64 else complex64

    @property
    def device(self):
        return self.real.device

    def dim(self) -> int:
        return self.real.ndim

    def size(self, dim=None):
        """The shape, or the size of one dimension."""
        return self.real.size(dim)

    def numel(self) -> int:
        return self.real.numel()

    def __len__(self) -> int:
        return len(self.real)

    def is_complex(self) -> bool:
        return True

    def is_floating_point(self) -> bool:
        return False

    # Its gradient

    @property
    def requires_grad(self) -> bool:
        return self.real.requires_grad or self.imag.requires_grad

    def requires_grad_(self, requires_grad=True) -> "ComplexTensor":
        """Ask for gradients of a leaf, or stop asking."""
        self.real.requires_grad_(requires_grad)
        self.imag.requires_grad_(requires_grad)
        return self

    @property
    def is_leaf(self) -> bool:
        return self.real.is_leaf and self.imag.is_leaf

    @property
    def grad(self):
        """dL/dRe + i dL/dIm, summed over the calls of ``backward()``; None before the first."""
        return joined(self.real.grad, self.imag.grad)

    @grad.setter
    def grad(self, value):
        if value is not None and not isinstance(value, ComplexTensor):
            raise TypeError(f"the gradient of a complex tensor is a complex tensor or None, got {type(value).__name__}")
        self.real.grad, self.imag.grad = (None, None) if value is None else (value.real, value.imag)

    def retain_grad(self):
        """Let ``.grad`` of a tensor that is no leaf be filled too."""
        for part in (self.real, self.imag):
            if part.requires_grad:
                part.retain_grad()

    def backward(self, gradient=None, retain_graph=None, create_graph=False):
        """Add to the leaves the gradients of Re(sum(conj(gradient) * z)).

        Raises:
            RuntimeError: without ``gradient``: a complex number is no loss.
        """
        if gradient is None:
            raise RuntimeError(
                f"grad can be implicitly created only for real scalar outputs, this one is {self.dtype}: take z.real, z.abs() "
                "or give gradient="
            )
        paired(self, gradient).backward(None, retain_graph, create_graph)

    def detach(self) -> "ComplexTensor":
        return ComplexTensor(self.real.detach(), self.imag.detach())

    def to(self, dtype) -> "ComplexTensor":
        """This tensor as complex128 or complex64.

        Raises:
            TypeError: for another dtype: the imaginary part would be lost.
        """
        kind = dtypes.as_complex_dtype(dtype)
        if kind is None:
            raise KindError(f"a complex tensor cannot become {dtype}, which has no imaginary part: take .real or .abs()")
        return self if kind is self.dtype else ComplexTensor(self.real.to(kind.real), self.imag.to(kind.real))

    # As Python and NumPy see it

    def numpy(self, *, force=False) -> np.ndarray:
        """A NumPy array with copies of both parts; ``force`` leaves the tensor's history behind.

        Raises:
            RuntimeError: if the tensor requires a gradient, without ``force``; say ``z.detach().numpy()``.
        """
        return complex_array(self.real.numpy(force=force), self.imag.numpy(force=force))

    def __array__(self, dtype=None, copy=None):
        return self.numpy() if dtype is None else self.numpy().astype(dtype)

    def tolist(self):
        return complex_array(self.real.detach().numpy(), self.imag.detach().numpy()).tolist()

    def item(self) -> complex:
        return complex(self.real.item(), self.imag.item())

    def __complex__(self):
        return self.item()

    def __bool__(self):
        return bool(self.item())

    def __iter__(self):
        return (self[k] for k in range(len(self)))

    def __getitem__(self, index):
        return ComplexTensor(self.real[index], self.imag[index])

    def __setitem__(self, index, value):
        value = as_complex(value)
        self.real[index], self.imag[index] = value.real, value.imag

    def __repr__(self):
        array = complex_array(self.real._array(), self.imag._array())
        default = np.complex128 if dtypes.get_default_dtype() is dtypes.float64 else np.complex64
        node = self.real.grad_fn or self.imag.grad_fn
        return printing.format_tensor(
            array,
            dtype_suffix=repr(self.dtype) if array.dtype != default else None,
            grad_fn=node and f"<{node.name()}>",
            requires_grad=self.requires_grad,
        )


def joined(real, imag):
    """A complex tensor of two parts, of which one may be None and counts as zeros; None for two Nones."""
    if real is None and imag is None:
        return None
    real = creation.zeros_like(imag) if real is None else real
    return ComplexTensor(real, creation.zeros_like(real) if imag is None else imag)


def complex_array(real, imag) -> np.ndarray:
    """A complex NumPy array of two real ones, which keeps NaN and the signs of zeros."""
    real = np.asarray(real)
    array = np.empty(real.shape, np.complex64 if real.dtype == np.float32 else np.complex128)
    array.real, array.imag = real, imag
    return array


def from_complex_array(array, dtype=None, requires_grad=False, data=None) -> ComplexTensor:
    """A new complex tensor of an array, made of ``data``; Python's numbers get the default precision."""
    array = np.asarray(array)
    if array.dtype.itemsize > 16:
        raise TypeError(f"dtype {array.dtype!r} is not supported: complex tensors are complex128 or complex64")
    own = isinstance(array if data is None else data, (np.ndarray, np.generic, ComplexTensor))
    kind = dtype.real if dtype is not None else dtypes.get_default_dtype()
    if dtype is None and own and array.dtype.kind in "cf":
        kind = dtypes.float32 if array.dtype in (np.complex64, np.float32) else dtypes.float64
    parts = (np.array(part, kind.numpy, order="C") for part in (array.real, array.imag))
    return ComplexTensor(*(creation.tensor(part, requires_grad=requires_grad) for part in parts))


def is_complex_data(x) -> bool:
    """Whether ``x`` is a complex tensor, number or NumPy array."""
    return isinstance(x, (ComplexTensor, complex)) or (isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind == "c")


def both(x, y) -> tuple:
    """Two operands as complex tensors, numbers in the precision of the other one."""
    x, y = (a if isinstance(a, (ComplexTensor, Tensor, Number)) else as_complex(a) for a in (x, y))
    return as_complex(x, y), as_complex(y, x)


def _precision(like):
    """The complex dtype that a number takes beside another operand, None for the default."""
    if isinstance(like, ComplexTensor):
        return like.dtype
    return complex64 if isinstance(like, Tensor) and like.dtype is dtypes.float32 else None


def as_complex(x, like=None) -> ComplexTensor:
    """``x`` as a complex tensor: a real one gets an imaginary part of zeros, a number the precision of ``like``.

    Raises:
        TypeError: for what is neither a tensor, a NumPy array nor a number.
    """
    if isinstance(x, ComplexTensor):
        return x
    if isinstance(x, Tensor):
        real = x if x.dtype.is_floating_point else x.to(dtypes.get_default_dtype())
        return ComplexTensor(real, creation.zeros_like(real))
    if isinstance(x, np.ndarray) and x.ndim and x.dtype in (np.complex128, np.complex64):  # shared: replay reads it there
        return ComplexTensor(from_array(x.real, copy=False), from_array(x.imag, copy=False))
    if isinstance(x, (np.ndarray, np.generic, Number)):
        number = isinstance(x, Number) and not isinstance(x, np.generic)
        return from_complex_array(x, _precision(like) if number else None, data=x)
    raise TypeError(f"a complex operation takes tensors, NumPy arrays and numbers, got {type(x).__name__}")


def of_pairs(t: Tensor) -> ComplexTensor:
    """The complex tensor whose numbers are pairs along the last dimension of a real one."""
    return ComplexTensor(t[..., 0], t[..., 1])


def paired(z: ComplexTensor, gradient) -> Tensor:
    """Re(sum(conj(gradient) * z)): the real number whose gradients ``gradient`` asks for."""
    gradient = as_complex(gradient, z)
    if gradient.shape != z.shape:
        raise RuntimeError(f"the gradient has shape {gradient.shape}, the output has shape {z.shape}")
    return (z.real * gradient.real + z.imag * gradient.imag).sum()


def entered(*names, method=True):
    """Enter the decorated function under these public names and its own, as a method of ComplexTensor too."""

    def enter(function):
        for name in (function.__name__.rstrip("_"), *names):
            FUNCTIONS[name] = function
            if method and not name.startswith("__"):
                setattr(ComplexTensor, name, function)
        return function

    return enter


otherkinds.others[ComplexTensor] = otherkinds.numbers["c"] = FUNCTIONS
otherkinds.makers.update(c=from_complex_array, pairs=of_pairs)
