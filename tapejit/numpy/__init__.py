"""NumPy's names for tensors: ``import tapejit.numpy as np``.

Functions take arrays, lists and tensors and give tensors. Of what is not named here NumPy's own is given; with a
differentiated tensor it raises TypeError.
"""

import numpy as _np

from tapejit.eager.numpyspace import names as _names
from tapejit.numpy import linalg, random

globals().update(_names())
__all__ = [name for name in globals() if not name.startswith("_")]


def __getattr__(name):
    return getattr(_np, name)


def __dir__():
    return sorted({*__all__, *dir(_np)})
