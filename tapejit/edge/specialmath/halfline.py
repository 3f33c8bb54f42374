"""Nodes and weights of an integral over 0 < s < inf of a smooth function that falls off exponentially.

The trapezoidal rule after s = exp(v - exp(-v)) (Takahasi and Mori, 1974, Publ. RIMS 9, 721): the nodes lie evenly in the
logarithm of s, so that a function with features of several scales needs no other rule. They are for a function whose first
feature is of scale 1; ``SMALL`` is where it counts as gone.
"""

import numpy as np

_STEP = 1 / 16
_v = np.arange(-3.5, 34.0, _STEP)
NODES = np.exp(_v - np.exp(-_v))
WEIGHTS = _STEP * NODES * (1.0 + np.exp(-_v))
SMALL = -50.0  # the logarithm
