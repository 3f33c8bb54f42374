"""Who is to know when a tensor begins, or ceases, to require a gradient: recordings that took it as it was."""

import weakref

_told: dict = {}  # id of a tensor -> (a reference to it, those that are told)


def tell(tensor, listener) -> None:
    """Have ``listener.gradients_changed()`` called when ``tensor.requires_grad`` changes; neither is kept alive by that."""
    known = _told.get(id(tensor))
    if known is None or known[0]() is not tensor:
        key = id(tensor)
        reference = weakref.ref(tensor, lambda dead: _told.pop(key, None) if _told.get(key, (None,))[0] is dead else None)
        known = _told[key] = reference, weakref.WeakSet()
    known[1].add(listener)


def changed(tensor) -> None:
    """``tensor.requires_grad`` is another now."""
    known = _told.get(id(tensor))
    if known is not None and known[0]() is tensor:
        for listener in list(known[1]):
            listener.gradients_changed()
