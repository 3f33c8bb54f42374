"""Where parameters and values of distributions may lie: ``constraint.check(x)`` gives a bool for each event."""

import tapejit as tj

__all__ = [
    "Constraint", "boolean", "cat", "corr_cholesky", "dependent", "dependent_property", "greater_than", "greater_than_eq",
    "half_open_interval", "independent", "integer_interval", "interval", "is_dependent", "less_than", "lower_cholesky",
    "lower_triangular", "multinomial", "nonnegative", "nonnegative_integer", "one_hot", "positive", "positive_definite",
    "positive_integer", "positive_semidefinite", "real", "real_vector", "simplex", "square", "stack", "symmetric",
    "unit_interval",
]  # fmt: skip


class Constraint:
    """A set of numbers, vectors or matrices; a subclass gives ``check(value)``, a bool for each event.

    Attributes:
        event_dim: the dimensions that make one event.
        is_discrete: whether it has integers only.
    """

    event_dim = 0
    is_discrete = False
    _shows = ()  # the attributes that make its name

    def check(self, value):
        """Whether each event lies within."""
        raise NotImplementedError(f"{type(self).__name__}.check")

    def __repr__(self):
        name = type(self).__name__.strip("_")
        return f"{name}({', '.join(str(_shown(getattr(self, a))) for a in self._shows)})" if self._shows else name


def _shown(bound):
    if not isinstance(bound, tj.Tensor):
        return bound
    return bound.item() if bound.numel() == 1 else f"tensor of shape {tuple(bound.shape)}"


def _whole(x):
    return x % 1 == 0


def _all(x, dims):
    """Whether all elements of the last dimensions are true."""
    return x.reshape(*x.shape[: x.ndim - dims], -1).all(-1)


# Numbers


class greater_than(Constraint):
    """Numbers above a bound."""

    _shows = ("lower_bound",)

    def __init__(self, lower_bound):
        self.lower_bound = lower_bound

    def check(self, value):
        return value > self.lower_bound


class greater_than_eq(greater_than):
    """Numbers from a bound on."""

    def check(self, value):
        return value >= self.lower_bound


class less_than(Constraint):
    """Numbers below a bound."""

    _shows = ("upper_bound",)

    def __init__(self, upper_bound):
        self.upper_bound = upper_bound

    def check(self, value):
        return value < self.upper_bound


class interval(Constraint):
    """Numbers from one bound to another."""

    _shows = ("lower_bound", "upper_bound")

    def __init__(self, lower_bound, upper_bound):
        self.lower_bound, self.upper_bound = lower_bound, upper_bound

    def check(self, value):
        return (value >= self.lower_bound) & (value <= self.upper_bound)


class half_open_interval(interval):
    """Numbers from one bound on, below another."""

    def check(self, value):
        return (value >= self.lower_bound) & (value < self.upper_bound)


class integer_interval(interval):
    """Integers from one bound to another."""

    is_discrete = True

    def check(self, value):
        return _whole(value) & super().check(value)


class _real(Constraint):
    def check(self, value):
        return value == value  # false for NaN


class _boolean(Constraint):
    is_discrete = True

    def check(self, value):
        return (value == 0) | (value == 1)


class _integers(greater_than):
    """Integers from a bound on."""

    is_discrete = True

    def check(self, value):
        return _whole(value) & (value >= self.lower_bound)


# Of several numbers


class independent(Constraint):
    """Events of ``count`` more dimensions, all of whose elements satisfy a constraint."""

    _shows = ("base_constraint", "reinterpreted_batch_ndims")

    def __init__(self, base_constraint, reinterpreted_batch_ndims):
        self.base_constraint, self.reinterpreted_batch_ndims = base_constraint, reinterpreted_batch_ndims
        self.event_dim = base_constraint.event_dim + reinterpreted_batch_ndims
        self.is_discrete = base_constraint.is_discrete

    def check(self, value):
        inside = self.base_constraint.check(value)
        return _all(inside, self.reinterpreted_batch_ndims)


class multinomial(Constraint):
    """Vectors of counts that sum up to at most a total."""

    event_dim = 1
    is_discrete = True
    _shows = ("upper_bound",)

    def __init__(self, upper_bound):
        self.upper_bound = upper_bound

    def check(self, value):
        return ((value >= 0) & _whole(value)).all(-1) & (value.sum(-1) <= self.upper_bound)


class _parts(Constraint):
    """Several constraints, each of its part of a dimension."""

    def __init__(self, cseq, dim=0):
        self.cseq, self.dim = list(cseq), dim

    @property
    def event_dim(self):
        """The largest of its parts'."""
        return max(c.event_dim for c in self.cseq)

    @property
    def is_discrete(self):
        """Whether one of its parts is."""
        return any(c.is_discrete for c in self.cseq)


class cat(_parts):
    """One constraint after another along a dimension, each of as many as ``lengths`` says."""

    _shows = ("cseq", "dim", "lengths")

    def __init__(self, cseq, dim=0, lengths=None):
        super().__init__(cseq, dim)
        self.lengths = [1] * len(self.cseq) if lengths is None else list(lengths)

    def check(self, value):
        parts = tj.split(value, self.lengths, self.dim)
        return tj.cat([c.check(x) for c, x in zip(self.cseq, parts, strict=True)], self.dim)


class stack(_parts):
    """One constraint for each place of a dimension."""

    _shows = ("cseq", "dim")

    def check(self, value):
        parts = tj.unbind(value, self.dim)
        return tj.stack([c.check(x) for c, x in zip(self.cseq, parts, strict=True)], self.dim)


class _simplex(Constraint):
    event_dim = 1

    def check(self, value):
        return (value >= 0).all(-1) & ((value.sum(-1) - 1).abs() < 1e-6)


class _one_hot(Constraint):
    event_dim = 1
    is_discrete = True

    def check(self, value):
        return ((value == 0) | (value == 1)).all(-1) & (value.sum(-1) == 1)


class _square(Constraint):
    event_dim = 2

    def check(self, value):
        return tj.full(value.shape[:-2], value.shape[-1] == value.shape[-2])


class _symmetric(_square):
    def check(self, value):
        return _all(tj.isclose(value, value.mT, atol=1e-6), 2)


class _positive_semidefinite(_symmetric):
    def check(self, value):
        inside = super().check(value)
        least = tj.linalg.eigvalsh(value.detach())[..., 0]
        return inside & (least >= -1e-12 * value.detach().abs().amax((-2, -1)))


class _positive_definite(_symmetric):
    def check(self, value):
        return super().check(value) & (tj.linalg.cholesky_ex(value.detach()).info == 0)


class _lower_triangular(Constraint):
    event_dim = 2

    def check(self, value):
        return _all(value.tril() == value, 2)


class _lower_cholesky(_lower_triangular):
    def check(self, value):
        return super().check(value) & (tj.linalg.diagonal(value) > 0).all(-1)


class _corr_cholesky(_lower_cholesky):
    """Factors of matrices of correlations: lower triangular with a positive diagonal and rows of length 1."""

    def check(self, value):
        slack = tj.finfo(value.dtype).eps * value.shape[-1] * 10
        return super().check(value) & ((value.detach() ** 2).sum(-1).sub(1).abs() < slack).all(-1)


# Those that depend on a distribution's parameters


class _dependent(Constraint):
    """Given by the parameters of a distribution: it cannot check a value by itself."""

    def __init__(self, *, is_discrete=False, event_dim=0):
        self.is_discrete, self.event_dim = is_discrete, event_dim

    def __call__(self, *, is_discrete=None, event_dim=None):
        """The same with other attributes."""
        kind = self.is_discrete if is_discrete is None else is_discrete
        return _dependent(is_discrete=kind, event_dim=self.event_dim if event_dim is None else event_dim)

    def check(self, value):
        raise ValueError("a constraint that depends on parameters is checked by its distribution")


class dependent_property(property, _dependent):
    """Decorator of a method that gives a constraint from an object's parameters; of the class, it is such a constraint.

    ``@dependent_property`` or ``@dependent_property(is_discrete=False, event_dim=1)``.
    """

    def __init__(self, fn=None, *, is_discrete=False, event_dim=0):
        super().__init__(fn)
        _dependent.__init__(self, is_discrete=is_discrete, event_dim=event_dim)

    def __call__(self, fn):
        """Decorate a method, once the attributes are given."""
        return dependent_property(fn, is_discrete=self.is_discrete, event_dim=self.event_dim)


def is_dependent(constraint) -> bool:
    """Whether a constraint depends on parameters, or contains one that does."""
    parts = [getattr(constraint, "base_constraint", None), *getattr(constraint, "cseq", ())]
    return isinstance(constraint, _dependent) or any(map(is_dependent, filter(None, parts)))


dependent = _dependent()
real, boolean = _real(), _boolean()
real_vector = independent(real, 1)
positive, nonnegative, unit_interval = greater_than(0.0), greater_than_eq(0.0), interval(0.0, 1.0)
nonnegative_integer, positive_integer = _integers(0), _integers(1)
simplex, one_hot = _simplex(), _one_hot()
square, symmetric = _square(), _symmetric()
positive_semidefinite, positive_definite = _positive_semidefinite(), _positive_definite()
lower_triangular, lower_cholesky, corr_cholesky = _lower_triangular(), _lower_cholesky(), _corr_cholesky()
