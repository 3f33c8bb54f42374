"""Whether operations record gradients: ``no_grad`` and its kin, context managers and decorators in one."""

import contextlib
import sys

from tapejit.core import record as R
from tapejit.core import tape as tapes
from tapejit.edge.userline import is_library


def is_grad_enabled() -> bool:
    """Whether operations of this thread record gradients."""
    tape = tapes.current()
    recorder = tape.recorder
    if recorder is not None and not recorder.grad_modes and not is_library(sys._getframe(1).f_code.co_filename):
        recorder.refuse("is_grad_enabled() is asked, which depends on where the function is called")
    return bool(tape.header[R.H_GRAD_MODE])


def _within(more):
    """Note that a recorded function has begun, or ended, a context that says whether gradients are recorded."""
    recorder = tapes.current().recorder
    if recorder is not None:
        recorder.grad_modes += more


def _set(enabled: bool) -> bool:
    """Switch recording for the running thread; returns what it was."""
    header = tapes.current().header
    before = bool(header[R.H_GRAD_MODE])
    header[R.H_GRAD_MODE] = R.GRAD if enabled else 0
    return before


class _GradMode(contextlib.ContextDecorator):
    enabled = True

    def __init__(self):
        self._before = []

    def _recreate_cm(self):
        return self

    def __enter__(self):
        self._before.append(_set(self.enabled))
        _within(1)
        return self

    def __exit__(self, *exc):
        _within(-1)
        _set(self._before.pop())
        return False


class no_grad(_GradMode):
    """Do not record: ``with no_grad():`` or ``@no_grad()``. What is computed inside does not require gradients."""

    enabled = False

    def __new__(cls, function=None):
        self = object.__new__(cls)
        if function is None:
            return self
        self.__init__()
        return self(function)


class enable_grad(_GradMode):
    """Record again inside a ``no_grad`` block."""


class set_grad_enabled(_GradMode):
    """Switch recording on or off, at once; as a context manager, until the block ends."""

    def __init__(self, mode: bool):
        super().__init__()
        self.enabled = bool(mode)
        self._outer = _set(self.enabled)

    def __enter__(self):
        _set(self.enabled)
        return self

    def __exit__(self, *exc):
        _set(self._outer)
        return False

    def __call__(self, function):
        _set(self._outer)
        return super().__call__(function)


class inference_mode(_GradMode):
    """``no_grad`` under the name that says that no gradient will be wanted; ``inference_mode(False)`` switches recording on."""

    def __new__(cls, mode=True):
        self = object.__new__(cls)
        if not callable(mode):
            return self
        self.__init__()
        return self(mode)

    def __init__(self, mode=True):
        super().__init__()
        self.enabled = not mode


def is_inference_mode_enabled() -> bool:
    """Whether operations of this thread go unrecorded; there is no other difference between inference mode and ``no_grad``."""
    return not is_grad_enabled()
