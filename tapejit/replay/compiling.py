"""``compile``, and what ``torch.jit`` is asked for, under PyTorch's names and with its keywords: all of it is ``jit``."""

from tapejit.core import tape as tapes
from tapejit.replay.transforms import jit


def compile(model=None, *, fullgraph=False, dynamic=None, backend=None, mode=None, options=None, disable=False):
    """``jit(model)``, also as a decorator with or without keywords, which only ``disable=True`` gives a meaning."""
    if model is None:
        return lambda function: compile(function, disable=disable)
    return model if disable else jit(model)


def trace(func, example_inputs=None, **options):
    """``jit(func)``, called once with the examples, a tuple or one argument.

    Unlike PyTorch's it takes branches as they come: another decision, or another shape, is recorded when it is met.
    """
    traced = jit(func)
    if example_inputs is not None:
        traced(*(example_inputs if isinstance(example_inputs, (tuple, list)) else (example_inputs,)))
    return traced


def script(obj, **options):
    """``jit(obj)``: the function, or the module, is recorded where it is called."""
    return jit(obj)


def _as_it_is(function=None, **options):
    """The function itself."""
    return (lambda function: function) if function is None else function


def is_scripting() -> bool:
    """False: functions are always run by Python when they are recorded."""
    return False


def tracing_state():
    """What records the caller, or None: libraries ask before they look at numbers."""
    return tapes.current().recorder


def is_tracing() -> bool:
    """Whether the caller is being recorded."""
    return tracing_state() is not None


def annotate(the_type, the_value):
    """The value."""
    return the_value


jit.trace, jit.script, jit.is_scripting, jit.is_tracing, jit.annotate = trace, script, is_scripting, is_tracing, annotate
jit.ignore = jit.export = jit.unused = _as_it_is
