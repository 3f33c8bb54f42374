"""Functions of the user's that a sweep calls with the gradient of a tensor: what is known of a tensor beside the tape.

A record never holds a Python object. The record of such a tensor has the flag HOOKED, which keeps the Tensor alive as long as
the record is, and a sweep stops there; what is known is found by the Tensor. Without hooks nothing is asked and nothing stored.
"""

import itertools
import weakref

from tapejit.core import record as R
from tapejit.core import tape as tapes
from tapejit.core.record import MASK
from tapejit.eager.tensor import Tensor, method

_known: dict = {}  # id of a Tensor -> Beside
_keys = itertools.count()


class Beside:
    """What is known of one tensor: hooks by key, and the line that made it (``eager.anomaly``)."""

    __slots__ = ("after", "before", "line", "reference")

    def __init__(self, tensor):
        key = id(tensor)
        self.reference = weakref.ref(tensor, lambda _: _known.pop(key, None))
        self.before, self.after, self.line = {}, {}, None


class RemovableHandle:
    """What registering a hook gives: ``remove()`` takes the hook away; as a context manager, at the end of the block."""

    def __init__(self, hooks):
        self._hooks, self._key = hooks, next(_keys)

    def remove(self) -> None:
        """Take the hook away; again does nothing."""
        self._hooks.pop(self._key, None)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.remove()


def beside(tensor):
    """What is known of a tensor, to be added to."""
    found = _known.get(id(tensor))
    if found is None:
        found = _known[id(tensor)] = Beside(tensor)
        tensor._set_flags(-1, R.HOOKED)
    return found


def known(tensor):
    """What is known of a tensor, or None."""
    return _known.get(id(tensor))


@method
def register_hook(self, hook) -> RemovableHandle:
    """Let ``hook(gradient)`` be called whenever the gradient of this tensor has been computed, before it goes on.

    What the hook returns, a tensor of the gradient's shape, is the gradient from there on; None leaves it as it is. Under
    ``create_graph=True`` the gradient has a history. Inside a function that is recorded the hook runs once, while it is
    recorded: what it does to the gradient is replayed, what else it does is not.

    Raises:
        RuntimeError: if the tensor does not require a gradient.
    """
    if not self.requires_grad:
        raise RuntimeError("register_hook() needs a tensor with requires_grad=True; this one gets no gradient")
    return _register(beside(self).before, hook)


@method
def register_post_accumulate_grad_hook(self, hook) -> RemovableHandle:
    """Let ``hook(tensor)`` be called when ``backward()`` has added to the ``.grad`` of this leaf.

    Raises:
        RuntimeError: if the tensor is not a leaf that requires a gradient.
    """
    if not (self.requires_grad and self.is_leaf):
        raise RuntimeError("post accumulate grad hooks need a leaf tensor with requires_grad=True")
    return _register(beside(self).after, hook)


def _register(hooks, hook):
    if not callable(hook):
        raise TypeError(f"a hook is a function of one tensor, got {type(hook).__name__}")
    handle = RemovableHandle(hooks)
    hooks[handle._key] = hook
    return handle


def through(tensor, gradient):
    """The gradient after the hooks of a tensor, if it has any.

    Raises:
        RuntimeError: for a hook that gives something else than a tensor of the gradient's shape.
    """
    found = _known.get(id(tensor))
    for hook in list(found.before.values()) if found else ():
        result = hook(gradient)
        if result is None:
            continue
        if not isinstance(result, Tensor) or result.shape != gradient.shape:
            what = f"of shape {tuple(result.shape)}" if isinstance(result, Tensor) else type(result).__name__
            raise RuntimeError(
                f"a hook must return None or a tensor of the gradient's shape {tuple(gradient.shape)}; got {what}"
            )
        gradient = result.to(gradient.dtype)
    return gradient


def accumulated(tensor):
    """Tell the hooks of a leaf that its gradient has been added to."""
    found = _known.get(id(tensor))
    for hook in list(found.after.values()) if found else ():
        hook(tensor)


def stay(tape, tensor):
    """Let what is known of a tensor stay with its record: an in-place change is about to give the tensor another one."""
    k = tensor._r & MASK
    found = _known.pop(id(tensor), None)
    if found is None:
        return
    heir = object.__new__(Tensor)
    heir._r, heir._layout = tensor._r, tensor._layout
    tape.handles[k] = heir
    tape.flags[k] &= ~R.DEAD
    own = beside(heir)
    own.before, own.after, own.line = found.before, found.after, found.line


def leaves(tape):
    """The records of hooked leaves in the sweep that has just ended: their adjoints are to be taken."""
    return (tape.flags[: len(tape)] & (R.CAPTURE | R.LEAF) == R.CAPTURE | R.LEAF).nonzero()[0].tolist()


def on_a_side() -> bool:
    """Whether operations go to the tape beside a sweep that waits: what it lends must be copied to be kept."""
    return isinstance(tapes.current(), tapes.Side)
