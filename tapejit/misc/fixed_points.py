"""Fixed points with derivatives by the implicit function theorem."""

import tapejit as tj


def fixed_point(f, a, x0, distance, tol):
    """The x with ``f(a)(x) = x``, by iteration from ``x0`` until ``distance(x, previous) <= tol``; its derivative in ``a``
    leaves the iterations out."""

    def converged(a):
        step = f(a)
        with tj.no_grad():
            x, before = step(x0), x0
            while distance(x, before) > tol:
                x, before = step(x), x
        return x

    with tj.no_grad():
        start = converged(tj.as_tensor(a).detach())
    return tj.implicit.fixed_point(lambda x, a: f(a)(x), start, a)
