"""Roots, fixed points, minima and linear systems, differentiable to any order.

At a root x of f(., a), with J = df/dx there and all else attached to the tape, each step ``x - J^-1 f(x, a)`` with J held
constant leaves the value as it is and makes one more order of the derivatives in a right: the first step is the implicit
function theorem, the k-th has an error of order k + 1 in the change of a (simplified Newton iterations as a power series).
"""

import numpy as np

from tapejit.eager.creation import as_tensor
from tapejit.eager.functional import where
from tapejit.eager.grad_mode import no_grad
from tapejit.eager.linalg.systems import lu_factor, lu_solve
from tapejit.eager.tensor import Tensor
from tapejit.optimize.objective import kept, vector_of
from tapejit.replay.jacobianpasses import jacobian
from tapejit.replay.transforms import grad
from tapejit.replay.trees import map_tree


def root(f, x0, *params, tol=1e-10, maxiter=100, order=2):
    """The root of a function near a start, by damped Newton steps, as a differentiable function of the parameters.

    Args:
        f: ``f(x, *params)`` gives as many numbers as ``x`` has.
        x0: where to start, an array or a tensor of any shape; the root does not depend on it.
        params: tensors, arrays, numbers and trees of them; tensors that ``f`` closes over count too.
        tol: the largest entry of the last step, relative to the largest entry of x (or 1).
        maxiter: the most Jacobians; there are several steps with one where that pays.
        order: up to which order derivatives are to be right.

    Returns:
        The root, a tensor of the shape of ``x0``.

    Raises:
        ArithmeticError: if the steps do not converge, or f or its Jacobian is not finite.
        numpy.linalg.LinAlgError: if the Jacobian is singular.
    """
    x0 = as_tensor(x0)
    if x0.dtype.is_complex:
        raise TypeError("implicit: the start is complex; give the function real and imaginary parts as numbers of their own")
    x0 = x0 if x0.dtype.is_floating_point else x0.double()
    shape, n, flat = _flat(f, x0)
    constant = tuple(map_tree(_detached, p) for p in params)
    with no_grad():
        slopes = kept(f, ("implicit", shape), lambda: jacobian(flat))
        x, factors = _newton(flat, slopes, x0.detach().reshape(-1), constant, tol, maxiter)
    for _ in range(order):
        x = x - lu_solve(*factors, flat(x, *params).reshape(n, 1)).reshape(n)
    return x.reshape(shape)


def _flat(f, x0):
    """(shape of x, its size, f as a function of a vector that gives a vector)."""
    shape, n = x0.shape, x0.numel()

    def flat(x, *params):
        value = vector_of(f(x.reshape(shape), *params))
        if value.numel() != n:
            raise ValueError(f"implicit: the function gives {value.numel()} numbers for an x of {n}; both must be as many")
        return value

    return shape, n, flat


def _detached(x):
    return x.detach() if isinstance(x, Tensor) else x


def _newton(f, slopes, x, params, tol, maxiter):
    """(the root, the factors of the Jacobian there)."""
    value = f(x, *params)
    point = x, value, (value * value).sum()
    for _ in range(maxiter):
        factors = lu_factor(slopes(point[0], *params))
        step = lu_solve(*factors, point[1].reshape(-1, 1)).reshape(-1)
        share, point = _shorter(f, point, params, step)
        if not point[2] < np.inf:
            raise ArithmeticError("implicit: the function is not finite there, or no step makes it smaller; start nearer")
        done = _small(step * share, point[0], tol)
        if share == 1.0 and not done:
            point, done = _with_old_factors(f, point, params, factors, tol)
        if done:
            return point[0], lu_factor(slopes(point[0], *params))
    raise ArithmeticError(f"implicit: no convergence in {maxiter} steps; start nearer to the solution, or raise maxiter")


def _small(step, x, tol):
    """Whether a step is within a tolerance, or within the rounding of x."""
    tol = max(tol, 4 * float(np.finfo(x.dtype.numpy).eps))
    return step.abs().amax() <= tol * where(x.abs().amax() > 1, x.abs().amax(), 1.0)


def _with_old_factors(f, point, params, factors, tol):
    """(point, whether the steps ended there): steps with factors that are there, while each gains a digit.

    A Jacobian and its factors cost as much as many of these steps (Shamanskii, Ukrainian Math. Journal 19, 1967).
    """
    while True:
        x, value, size = point
        step = lu_solve(*factors, value.reshape(-1, 1)).reshape(-1)
        trial = x - step
        after = f(trial, *params)
        reached = (after * after).sum()
        if _small(step, trial, tol):
            return (trial, after, reached), True
        if not reached <= 0.01 * size:
            return point, False
        point = trial, after, reached


def _shorter(f, point, params, step):
    """(share, the point there): the longest of ten halvings of a step that does not make the function larger."""
    x, _, size = point
    share = 1.0
    for _ in range(10):
        trial = x - step * share
        after = f(trial, *params)
        reached = (after * after).sum()
        if reached <= size:
            return share, (trial, after, reached)
        share *= 0.5
    # At the last digits nothing gets smaller: the full step is as good as any.
    trial = x - step
    after = f(trial, *params)
    close = _small(step, x, 1e-8 if x.dtype.numpy.itemsize > 4 else 1e-4)
    return 1.0, (trial, after, (after * after).sum() if close else np.inf)


def fixed_point(f, x0, *params, tol=1e-10, maxiter=100, order=2):
    """Where ``f(x, *params) == x``, as ``root`` finds it: by Newton steps, so the map need not contract."""
    gap = kept(f, "gap", lambda: lambda x, *p: as_tensor(f(x, *p)) - x)
    return root(gap, x0, *params, tol=tol, maxiter=maxiter, order=order)


def minimize(f, x0, *params, tol=1e-10, maxiter=100, order=2):
    """A stationary point of a scalar function near a start, which is a minimum where the start is near one.

    Arguments and errors as for ``root``, of which this is that of the gradient. To find a minimum from afar, use
    ``tj.optimize.minimize`` and start here with what it gives.
    """
    return root(kept(f, "slope", lambda: grad(f)), x0, *params, tol=tol, maxiter=maxiter, order=order)


def linear_solve(matvec, b, *params, order=2):
    """The solution of ``matvec(x, *params) == b`` for a linear function, differentiable in b and the parameters.

    The matrix is written out (n products for n unknowns); for one that is there as a matrix use ``tj.linalg.solve``.
    """
    b = as_tensor(b)
    start = b.detach() * 0.0
    return root(lambda x, b, *p: as_tensor(matvec(x, *p)) - b, start, b, *params, maxiter=3, order=order)
