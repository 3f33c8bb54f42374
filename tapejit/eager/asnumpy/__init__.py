"""NumPy's functions on tensors that are more than another name: with NumPy's arguments, defaults and meanings.

``numpytable`` names them, beside those that are another function under another name. Arguments called ``a``, ``x`` and the like
are tensors already.
"""

from tapejit.eager.asnumpy import (
    applying,
    asking,
    choosing,
    curves,
    moments,
    multiplying,
    placing,
    selective,
    shaping,
)

_MODULES = (selective, applying, asking, choosing, curves, moments, multiplying, placing, shaping)


def named(name):
    """The function of that name."""
    return next(getattr(module, name) for module in _MODULES if hasattr(module, name))
