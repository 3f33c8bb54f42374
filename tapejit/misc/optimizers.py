"""Plain descent on nested parameters: each calls ``grad(x, i)`` and ``callback(x, i, gradient)`` at every step i."""

import numpy as np

from tapejit.misc.flatten import flatten


def _descend(grad, x0, callback, num_iters, rule):
    """Steps of ``rule(x, g, i)`` on the vector of the parameters."""
    x, unflatten = flatten(x0)
    x = np.array(x, float)
    for i in range(num_iters):
        g = np.asarray(flatten(grad(unflatten(x), i))[0])
        if callback:
            callback(unflatten(x), i, unflatten(g))
        x = rule(x, g, i)
    return unflatten(x)


def sgd(grad, x0, callback=None, num_iters=200, step_size=0.1, mass=0.9):
    """Gradient descent with momentum."""
    velocity = 0.0

    def rule(x, g, i):
        nonlocal velocity
        velocity = mass * velocity - (1.0 - mass) * g
        return x + step_size * velocity

    return _descend(grad, x0, callback, num_iters, rule)


def rmsprop(grad, x0, callback=None, num_iters=100, step_size=0.1, gamma=0.9, eps=1e-8):
    """Gradient descent divided by the root of a running mean of squared gradients, which is 1 at first."""
    square = 1.0

    def rule(x, g, i):
        nonlocal square
        square = gamma * square + (1.0 - gamma) * g * g
        return x - step_size * g / (np.sqrt(square) + eps)

    return _descend(grad, x0, callback, num_iters, rule)


def adam(grad, x0, callback=None, num_iters=100, step_size=0.001, b1=0.9, b2=0.999, eps=1e-8):
    """Adam (Kingma and Ba, 2015)."""
    mean = square = 0.0

    def rule(x, g, i):
        nonlocal mean, square
        mean = (1.0 - b1) * g + b1 * mean
        square = (1.0 - b2) * g * g + b2 * square
        unbiased = mean / (1.0 - b1 ** (i + 1))
        return x - step_size * unbiased / (np.sqrt(square / (1.0 - b2 ** (i + 1))) + eps)

    return _descend(grad, x0, callback, num_iters, rule)
