"""What gradients are compared with: central finite differences of the plain function."""

import numpy as np


def differences(f, x, step=1e-6):
    """The gradient of ``f`` at a float64 array; ``f`` gets a fresh copy at each call."""
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        values = []
        for sign in (1, -1):
            moved = x.copy()
            moved[index] += sign * step
            values.append(f(moved))
        gradient[index] = (values[0] - values[1]) / (2 * step)
    return gradient
