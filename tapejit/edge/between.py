"""Code that Python runs by itself between the instructions of other code: callbacks, finalizers, handlers."""

import sys


def runs_in_between(frame) -> bool:
    """Whether Python called a frame by itself: a callback of the collector, a finalizer, a handler of a signal, a tracer."""
    code = frame.f_code
    if code.co_name == "__del__":
        return True
    values = frame.f_locals
    arguments = [values.get(name) for name in code.co_varnames[: code.co_argcount]]
    if frame.f_back is not None and any(x is frame.f_back for x in arguments):
        return True
    if len(arguments) < 2:
        return False
    phase, told = arguments[-2:]
    is_callback = isinstance(phase, str) and isinstance(told, dict)
    return is_callback and phase in ("start", "stop") and set(told) == {"generation", "collected", "uncollectable"}


def in_between() -> bool:
    """Whether such code runs now, anywhere below the caller: what it interrupted may be in the middle of something."""
    frame = sys._getframe(1)
    while frame is not None and not runs_in_between(frame):
        frame = frame.f_back
    return frame is not None
