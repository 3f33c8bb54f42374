"""``scipy.integrate.odeint`` of tensors."""

from tapejit.implicit import odeint as _integrate

__all__ = ["odeint"]


def odeint(func, y0, t, args=(), *, rtol=1e-8, atol=1e-8, **options):
    """The solution of y' = func(y, t, *args) at the times t, from y0 at the first: (times, *shape of y0).

    Differentiable in ``y0``, ``t`` and ``args``, through the steps that were taken (``tapejit.implicit.odeint``).
    """
    return _integrate(func, y0, t, *args, rtol=rtol, atol=atol, **options)
