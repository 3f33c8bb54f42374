"""Where parameters and values of distributions may lie: ``constraint.check(x)`` gives a bool for each event."""

import tapejit as tj

__all__ = [
    "Constraint", "boolean", "greater_than", "greater_than_eq", "half_open_interval", "independent",
    "integer_interval", "interval", "less_than", "lower_cholesky", "lower_triangular", "multinomial", "nonnegative",
    "nonnegative_integer", "one_hot", "positive", "positive_definite", "positive_integer", "real", "real_vector", "simplex",
    "square", "symmetric", "unit_interval",
]  # fmt: skip


class Constraint:
    """A set of numbers, vectors or matrices.

    Args:
        name: for messages.
        holds: ``f(x)``, a bool for each element or event.
        event_dim: the dimensions that make one event.
        is_discrete: whether it has integers only.
    """

    def __init__(self, name, holds, event_dim=0, is_discrete=False):
        self.name, self._holds, self.event_dim, self.is_discrete = name, holds, event_dim, is_discrete

    def check(self, value):
        """Whether each event lies within."""
        return self._holds(value)

    def __repr__(self):
        return self.name


def _whole(x):
    return x % 1 == 0


def greater_than(bound):
    """Numbers above a bound."""
    return Constraint(f"greater_than({_shown(bound)})", lambda x: x > bound)


def greater_than_eq(bound):
    """Numbers from a bound on."""
    return Constraint(f"greater_than_eq({_shown(bound)})", lambda x: x >= bound)


def less_than(bound):
    """Numbers below a bound."""
    return Constraint(f"less_than({_shown(bound)})", lambda x: x < bound)


def interval(low, high):
    """Numbers from one bound to another."""
    return Constraint(f"interval({_shown(low)}, {_shown(high)})", lambda x: (x >= low) & (x <= high))


def half_open_interval(low, high):
    """Numbers from one bound on, below another."""
    return Constraint(f"half_open_interval({_shown(low)}, {_shown(high)})", lambda x: (x >= low) & (x < high))


def integer_interval(low, high):
    """Integers from one bound to another."""
    name = f"integer_interval({_shown(low)}, {_shown(high)})"
    return Constraint(name, lambda x: _whole(x) & (x >= low) & (x <= high), is_discrete=True)


def independent(base, count):
    """Events of ``count`` more dimensions, all of whose elements satisfy a constraint."""
    def holds(x):
        inside = base.check(x)
        return inside.reshape(*inside.shape[: inside.ndim - count], -1).all(-1)

    return Constraint(f"independent({base}, {count})", holds, base.event_dim + count, base.is_discrete) if count else base


def multinomial(total):
    """Vectors of counts that sum up to at most a total."""
    return Constraint(
        f"multinomial({_shown(total)})", lambda x: ((x >= 0) & _whole(x)).all(-1) & (x.sum(-1) <= total), 1, True
    )


def _shown(bound):
    if not isinstance(bound, tj.Tensor):
        return bound
    return bound.item() if bound.numel() == 1 else f"tensor of shape {tuple(bound.shape)}"


def _is_simplex(x):
    return (x >= 0).all(-1) & ((x.sum(-1) - 1).abs() < 1e-6)


def _is_lower(x):
    return (x.tril() == x).reshape(*x.shape[:-2], -1).all(-1)


def _is_symmetric(x):
    return tj.isclose(x, x.mT, atol=1e-6).reshape(*x.shape[:-2], -1).all(-1)


def _is_positive_definite(x):
    return _is_symmetric(x) & (tj.linalg.cholesky_ex(x.detach()).info == 0)


real = Constraint("real", lambda x: x == x)  # false for NaN
real_vector = independent(real, 1)
positive, nonnegative, unit_interval = greater_than(0.0), greater_than_eq(0.0), interval(0.0, 1.0)
boolean = Constraint("boolean", lambda x: (x == 0) | (x == 1), is_discrete=True)
nonnegative_integer = Constraint("nonnegative_integer", lambda x: _whole(x) & (x >= 0), is_discrete=True)
positive_integer = Constraint("positive_integer", lambda x: _whole(x) & (x >= 1), is_discrete=True)
simplex = Constraint("simplex", _is_simplex, 1)
one_hot = Constraint("one_hot", lambda x: ((x == 0) | (x == 1)).all(-1) & (x.sum(-1) == 1), 1, True)
square = Constraint("square", lambda x: tj.full(x.shape[:-2], x.shape[-1] == x.shape[-2]), 2)
symmetric = Constraint("symmetric", _is_symmetric, 2)
lower_triangular = Constraint("lower_triangular", _is_lower, 2)
lower_cholesky = Constraint(
    "lower_cholesky", lambda x: _is_lower(x) & (tj.linalg.diagonal(x) > 0).all(-1), 2
)
positive_definite = Constraint("positive_definite", _is_positive_definite, 2)
