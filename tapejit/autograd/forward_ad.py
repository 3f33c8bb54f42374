"""Forward mode on tensors, with the names of ``torch.autograd.forward_ad``.

    with forward_ad.dual_level():
        x = forward_ad.make_dual(primal, tangent)
        y = f(x)
        value, derivative = forward_ad.unpack_dual(y)

The tape is recorded as ever, and ``unpack_dual`` pushes the tangents of the level along it: so a derivative costs a pass over
the records between, at each call, and what is computed under ``no_grad`` does not move.
"""

import threading
from typing import NamedTuple

from tapejit.eager.tangents import push
from tapejit.eager.tensor import Tensor

__all__ = ["UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual", "unpack_dual"]


class UnpackedDualTensor(NamedTuple):
    """A tensor and its tangent, None if it does not move."""

    primal: Tensor
    tangent: Tensor | None


class _Level(threading.local):
    """The duals of this thread's level and their tangents; None outside of one."""

    duals = None
    history = False  # whether a primal of the level has a history of its own


_level = _Level()


def enter_dual_level() -> int:
    """Begin a level; its number is 0, as there is one at a time.

    Raises:
        RuntimeError: inside of another level.
    """
    if _level.duals is not None:
        raise RuntimeError("dual_level() does not nest; for derivatives of derivatives use tapejit.jvp of a jvp")
    _level.duals, _level.history = [], False
    return 0


def exit_dual_level(*, level=None) -> None:
    """End the level: its duals are plain tensors from here on.

    Raises:
        RuntimeError: outside of a level.
    """
    if _level.duals is None:
        raise RuntimeError("exit_dual_level() outside of a dual level")
    _level.duals = None


class dual_level:
    """``with dual_level():`` around what is to be differentiated in forward mode."""

    def __enter__(self):
        return enter_dual_level()

    def __exit__(self, *exc):
        exit_dual_level()
        return False


def make_dual(tensor, tangent, *, level=None) -> Tensor:
    """A tensor of the same memory that moves along ``tangent``.

    Where the primal requires a gradient the dual has it in its history, so that the derivative itself can be differentiated;
    else the dual is a leaf that requires one, by which it is recorded.

    Args:
        tensor: of a float dtype.
        tangent: of the same shape and dtype.

    Raises:
        RuntimeError: outside of a level.
        ValueError: if shapes or dtypes differ, or the dtype is no float one.
    """
    if _level.duals is None:
        raise RuntimeError("make_dual() outside of a dual level: use it in `with forward_ad.dual_level():`")
    if not tensor.dtype.is_floating_point:
        raise ValueError(f"make_dual() needs a tensor of floats, got {tensor.dtype}")
    if tuple(tensor.shape) != tuple(tangent.shape) or tensor.dtype is not tangent.dtype:
        raise ValueError(
            f"make_dual() needs a tangent like the tensor, of {tuple(tensor.shape)} and {tensor.dtype}; "
            f"got {tuple(tangent.shape)} and {tangent.dtype}"
        )
    history = tensor.requires_grad
    dual = tensor.view_as(tensor) if history else tensor.detach().requires_grad_()
    _level.history |= history or tangent.requires_grad
    _level.duals.append((dual, tangent))
    return dual


def unpack_dual(tensor, *, level=None) -> UnpackedDualTensor:
    """The tensor and the derivative of it along the tangents of the level, None if it depends on no dual or there is no level.

    Both have a history if a primal or a tangent of the level has one.
    """
    if not _level.duals:
        return UnpackedDualTensor(tensor, None)
    duals, tangents = zip(*_level.duals, strict=True)
    (moved,) = push([tensor], duals, tangents)
    if _level.history:
        return UnpackedDualTensor(tensor, moved)
    return UnpackedDualTensor(tensor.detach(), None if moved is None else moved.detach())
