"""What the Array API standard asks of a tensor itself: its namespace, its device, and its memory by DLPack."""

import importlib

from tapejit.eager import escapes
from tapejit.eager.devices import check_device
from tapejit.eager.tensor import Tensor, method

VERSIONS = ("2021.12", "2022.12", "2023.12")


@method
def __array_namespace__(self, /, *, api_version=None):
    """``tapejit.array_api``, loaded when it is asked for.

    Raises:
        ValueError: for another version of the standard than those up to 2023.12.
    """
    if api_version not in (None, *VERSIONS):
        raise ValueError(f"tensors follow the Array API standard in the versions {', '.join(VERSIONS)}, not {api_version}")
    return importlib.import_module("tapejit.array_api")


@method
def to_device(self, device, /, *, stream=None) -> Tensor:
    """The tensor, which is on the processor and stays there."""
    check_device(device)
    return self


@method
def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
    """The memory as DLPack describes it, for ``numpy.from_dlpack`` and its like.

    Raises:
        RuntimeError: if the tensor requires a gradient; say ``x.detach()``.
    """
    return self.numpy().__dlpack__(stream=stream, max_version=max_version, dl_device=dl_device, copy=copy)


@method
def __dlpack_device__(self):
    """(1, 0): the processor."""
    return 1, 0


@method
def __complex__(self) -> complex:
    escapes.check(self, "complex()")
    return complex(self._item())


def _shift(name, reflected=False):
    def shift(self, other):
        if not isinstance(other, (Tensor, int)):
            return NotImplemented
        function = Tensor.bitwise_left_shift if name == "left" else Tensor.bitwise_right_shift
        if not reflected:
            return function(self, other)
        return function(self * 0 + other, self)

    return shift


Tensor.__lshift__, Tensor.__rlshift__ = _shift("left"), _shift("left", True)
Tensor.__rshift__, Tensor.__rrshift__ = _shift("right"), _shift("right", True)
