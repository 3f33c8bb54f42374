"""``compile`` under PyTorch's name and with its keywords: it is ``jit``."""

from tapejit.replay.transforms import jit


def compile(model=None, *, fullgraph=False, dynamic=None, backend=None, mode=None, options=None, disable=False):
    """``jit(model)``, also as a decorator with or without keywords, which only ``disable=True`` gives a meaning."""
    if model is None:
        return lambda function: compile(function, disable=disable)
    return model if disable else jit(model)
