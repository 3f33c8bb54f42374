"""Tensor: a handle on one record of a tape.

A Tensor holds the number of its record and its layout; values, history and flags are in the tape. Arithmetic and the
named methods are declared where their functions are, with ``method``.
"""

import numpy as np

from tapejit.core import dtypes, engine
from tapejit.core import record as R
from tapejit.core import tape as tapes
from tapejit.core.record import MASK
from tapejit.core.refusals import NotOneElement
from tapejit.eager import escapes, printing
from tapejit.eager.devices import CPU

_link_gradient = engine.late(globals(), "_link_gradient", "link_gradient")


class Memory:
    """What NumPy needs to see a tensor's memory, and what keeps that memory alive."""

    __slots__ = ("__array_interface__", "owner")


class Tensor:
    """An n-dimensional array on a tape, with PyTorch's meaning of its attributes and methods.

    Make one with ``tapejit.tensor``, ``arange``, ``zeros`` and their like, not with this class.
    """

    __slots__ = ("__weakref__", "_grad", "_layout", "_r")

    def __init__(self, *args, **kwargs):
        raise TypeError("Tensor(...) is not how tensors are made; use tapejit.tensor(data)")

    # Where it is

    def _tape(self):
        return tapes.tapes[self._r >> R.TAPE_SHIFT]

    def _flags(self) -> int:
        with tapes.steady(self):
            return tapes.tapes[self._r >> R.TAPE_SHIFT].flag_at[self._r & MASK]

    def _set_flags(self, keep, add):
        with tapes.steady(self):
            tape = self._tape()
            tape.flag_at[self._r & MASK] = (self._flags() & keep) | add

    def _array(self) -> np.ndarray:
        """The tensor's memory as a NumPy array, for Python to look at: a recording notes that it did."""
        recorder = tapes.thread.stack[-1].recorder
        if recorder is not None:
            recorder.observe(self)
        return self._memory()

    def _block(self) -> tuple:
        """(address of the first element, flags of the block that it lies in)."""
        with tapes.steady(self):
            tape, k = tapes.tapes[self._r >> R.TAPE_SHIFT], self._r & MASK
            flags = tape.flag_at[k]
            return tape.address_at[k], (tape.flag_at[int(tape.owners[k])] if flags & (R.VIEW | R.PUT) else flags)

    def _is_read_only(self) -> bool:
        """Whether the memory is that of a NumPy array that may not be written."""
        return bool(self._block()[1] & R.READ_ONLY)

    def _memory(self) -> np.ndarray:
        """The tensor's memory as a NumPy array."""
        layout = self._layout
        address, flags = self._block()
        memory = Memory()
        memory.owner = self
        size = layout.dtype.itemsize
        memory.__array_interface__ = {
            "version": 3,
            "data": (address, bool(flags & R.READ_ONLY)),
            "shape": layout.shape,
            "typestr": layout.dtype.numpy.str,
            "strides": None if layout.contiguous else tuple(s * size for s in layout.strides),
        }
        return np.asarray(memory)

    # What it is

    @property
    def shape(self) -> tuple:
        return self._layout.shape

    @property
    def ndim(self) -> int:
        return self._layout.ndim

    @property
    def dtype(self):
        return self._layout.dtype

    @property
    def device(self):
        """``device("cpu")``, always."""
        return CPU

    @property
    def is_cuda(self) -> bool:
        """False: tensors are strided numbers on the CPU."""
        return False

    is_mps = is_xpu = is_sparse = is_quantized = is_meta = is_cuda

    def size(self, dim=None):
        """The shape, or the size of one dimension."""
        return self._layout.shape if dim is None else self._layout.shape[dim]

    def stride(self, dim=None):
        """The steps between elements, in elements."""
        return self._layout.strides if dim is None else self._layout.strides[dim]

    def numel(self) -> int:
        return self._layout.n

    nelement = numel

    def dim(self) -> int:
        return self._layout.ndim

    def is_contiguous(self) -> bool:
        return self._layout.contiguous

    def is_floating_point(self) -> bool:
        return self._layout.dtype.is_floating_point

    def element_size(self) -> int:
        return self._layout.dtype.itemsize

    @property
    def itemsize(self) -> int:
        return self._layout.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """The bytes of the elements."""
        return self._layout.n * self._layout.dtype.itemsize

    def data_ptr(self) -> int:
        """The address of the first element."""
        with tapes.steady(self):
            return tapes.tapes[self._r >> R.TAPE_SHIFT].address_at[self._r & MASK]

    # Its history

    @property
    def requires_grad(self) -> bool:
        return bool(self._flags() & R.GRAD)

    @requires_grad.setter
    def requires_grad(self, value):
        self.requires_grad_(value)

    @property
    def is_leaf(self) -> bool:
        return self._flags() & (R.GRAD | R.LEAF) != R.GRAD

    @property
    def retains_grad(self) -> bool:
        return bool(self._flags() & R.RETAIN)

    @property
    def grad(self):
        """The gradient that ``backward()`` accumulated here: a tensor of the same shape, or None."""
        try:
            return self._grad
        except AttributeError:
            return None

    @grad.setter
    def grad(self, value):
        if value is None:
            self._grad = None
            _link_gradient(tapes.tapes[self._r >> R.TAPE_SHIFT].address, self._r, -1)
            return
        if not isinstance(value, Tensor):
            raise TypeError(f"grad must be a tensor or None, got {type(value).__name__}")
        if value is self:
            raise RuntimeError("a tensor cannot be its own gradient; assign a clone()")
        if value.shape != self.shape or value.dtype is not self.dtype:
            raise RuntimeError(
                f"grad must have the tensor's shape and dtype, {self.shape} {self.dtype}; "
                f"got shape {value.shape} {value.dtype}"
            )
        self._grad = value
        self._link_gradient()

    def _link_gradient(self):
        """Tell a leaf's record where its gradient is, so that a sweep can add to it directly."""
        tape = tapes.tapes[self._r >> R.TAPE_SHIFT]
        value = self.grad
        direct = value is not None and value._layout.contiguous and value._tape() is tape and not value.requires_grad
        direct = direct and not value._is_read_only()
        _link_gradient(tape.address, self._r, value._r if direct else -1)

    @property
    def _version(self) -> int:
        """How often the memory was changed in place, by this tensor or another that shares it."""
        tape = self._tape()
        return int(tape.versions[tape.owners[self._r & MASK]])

    # Values

    def item(self):
        """The value of a one-element tensor as a Python number.

        Raises:
            RuntimeError: if there is not exactly one element, or a transform differentiates the value.
        """
        escapes.check(self, "item()", quiet=True)
        return self._item()

    def _item(self):
        layout = self._layout
        if layout.n != 1:
            raise NotOneElement(
                f"item() needs a tensor with one element, this one has {layout.n} (shape {layout.shape}); "
                "use tolist(), or index it first"
            )
        return tapes.read_item(self)

    def tolist(self):
        """Nested lists of Python numbers."""
        escapes.check(self, "tolist()", quiet=True)
        return self._array().tolist()

    def numpy(self, *, force=False) -> np.ndarray:
        """A NumPy array over the same memory; ``force`` leaves the tensor's history behind.

        Raises:
            RuntimeError: if the tensor requires a gradient, without ``force``; say ``x.detach().numpy()``.
        """
        if self.requires_grad and not force:
            escapes.check(self, "numpy()", quiet=True)
            raise RuntimeError(
                "numpy() on a tensor that requires grad would lose its history: use tapejit's functions to keep the gradient "
                "(tj.sin for np.sin), or x.detach().numpy() for values alone, without a gradient"
            )
        return self._array()

    def __array__(self, dtype=None, copy=None):
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            return array.astype(dtype)
        return array.copy() if copy else array

    def __bool__(self):
        if self._layout.n != 1:
            raise RuntimeError(
                f"the truth of a tensor with {self._layout.n} elements is ambiguous; use .any(), .all() or a reduction"
            )
        recorder = tapes.thread.stack[-1].recorder
        return bool(tapes.read_item(self)) if recorder is None else recorder.truth(self)

    def __float__(self):
        escapes.check(self, "float()")
        return float(self._item())

    def __int__(self):
        recorder = tapes.thread.stack[-1].recorder
        return int(self._item()) if recorder is None or self._layout.n != 1 else recorder.whole(self)

    def __floor__(self):
        return int(self.floor())

    def __ceil__(self):
        return int(self.ceil())

    def __trunc__(self):
        return int(self)

    def __index__(self):
        if self._layout.dtype.is_floating_point:
            raise TypeError(f"only integer tensors can be an index, this one is {self.dtype}")
        return int(self._item())

    def __len__(self):
        if not self._layout.ndim:
            raise TypeError("len() of a 0-dimensional tensor")
        return self._layout.shape[0]

    def __iter__(self):
        if not self._layout.ndim:
            raise TypeError("iteration over a 0-dimensional tensor; use .item() for its value")
        return iter([self[i] for i in range(self._layout.shape[0])])

    def __contains__(self, value):
        return bool((self == value).any())

    __hash__ = object.__hash__

    def __format__(self, spec):
        if self._layout.ndim == 0:
            return format(self._item(), spec)
        if spec:
            raise TypeError(f"format {spec!r} is for tensors without dimensions, this one has shape {self.shape}; use .item()")
        return repr(self)

    def __repr__(self):
        array = self._array()
        node = self.grad_fn
        return printing.format_tensor(
            array,
            dtype_suffix=repr(self.dtype) if printing.needs_dtype(array, dtypes.get_default_dtype().numpy) else None,
            grad_fn=node and f"<{node.name()}>",
            requires_grad=self.requires_grad,
        )

    def __deepcopy__(self, memo):
        if not self.is_leaf:
            raise RuntimeError("only leaf tensors can be deep-copied; use x.detach().clone() or x.clone()")
        copy = self.detach().clone().requires_grad_(self.requires_grad)
        memo[id(self)] = copy
        return copy


def method(function):
    """Make the decorated function a method of Tensor too."""
    setattr(Tensor, function.__name__, function)
    return function


def method_as(*names):
    """Make the decorated function a method of Tensor under these names."""

    def enter(function):
        for name in names:
            setattr(Tensor, name, function)
        return function

    return enter
