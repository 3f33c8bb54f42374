"""What all distributions have in common: parameters, shapes, checks."""

import types

import tapejit as tj
from tapejit.distributions import constraints


def parameters(**constraints):
    """The names of parameters with where they lie."""
    return types.MappingProxyType(constraints)


class derived:
    """A parameter that is worked out of another one where it was not given itself."""

    def __init__(self, rule):
        self.rule, self.__doc__ = rule, rule.__doc__

    def __get__(self, owner, kind=None):
        return self if owner is None else self.rule(owner)


class Distribution:
    """Base of the distributions, with PyTorch's names and shapes: samples have ``sample_shape + batch_shape + event_shape``.

    A subclass names its parameters and where they lie in ``arg_constraints``; those of a batch are broadcast together.

    Args:
        given: numbers, arrays or tensors; None for those that are worked out of others.
        validate_args: False to leave parameters and values unchecked: a check looks at numbers, which ``vmap`` does not allow.

    Raises:
        ValueError: for parameters outside of their constraints.
    """

    arg_constraints = parameters()
    support = None
    has_rsample = False
    has_enumerate_support = False
    _validate_args = True

    def __init__(self, validate_args=None, **given):
        if validate_args is not None:
            self._validate_args = validate_args
        given = {name: value for name, value in given.items() if value is not None}
        self._given = tuple(given)
        dims = [self.arg_constraints[name].event_dim for name in given]
        tensors = as_tensors(*given.values())
        for name, t, d in zip(given, tensors, dims, strict=True):
            if t.ndim < d:
                raise ValueError(f"{name} of {type(self).__name__} has at least {d} dimensions, got shape {tuple(t.shape)}")
        batch = tj.broadcast_shapes(*(t.shape[: t.ndim - d] for t, d in zip(tensors, dims, strict=True)))
        for name, t, d in zip(given, tensors, dims, strict=True):
            shape = (*batch, *t.shape[t.ndim - d :])
            setattr(self, name, t if tuple(t.shape) == shape else t.expand(shape))
        self.batch_shape = tj.Size(batch)
        if self._validate_args:
            for name in given:
                if not constraints.is_dependent(self.arg_constraints[name]):
                    self._check(name, getattr(self, name), self.arg_constraints[name])

    @staticmethod
    def set_default_validate_args(value) -> None:
        """Whether parameters and values are checked where ``validate_args`` does not say."""
        Distribution._validate_args = bool(value)

    def _check(self, what, value, constraint):
        if not bool(constraint.check(value).all()):
            raise ValueError(f"{what} of {type(self).__name__} must satisfy the constraint {constraint}, got {value}")

    def _value(self, value):
        """A value as a tensor, checked."""
        (value,) = as_tensors(value, like=self._like())
        if self._validate_args:
            try:
                tj.broadcast_shapes(value.shape, (*self.batch_shape, *self.event_shape))
            except (RuntimeError, ValueError) as error:
                raise ValueError(f"the value does not fit {self}: {error}") from None
            if self.support is not None:
                self._check("the value", value, self.support)
        return value

    def _like(self):
        """A parameter, whose dtype is that of samples."""
        return getattr(self, self._given[0])

    @property
    def event_shape(self):
        """The shape of one sample."""
        return tj.Size(())

    def _shape(self, sample_shape):
        return (*sample_shape, *self.batch_shape, *self.event_shape)

    def expand(self, batch_shape):
        """The same distribution with its batch broadcast to another shape."""
        parts = {}
        for name in self._given:
            t, d = getattr(self, name), self.arg_constraints[name].event_dim
            parts[name] = t.expand((*batch_shape, *t.shape[t.ndim - d :]))
        return type(self)(**parts, **self._options(), validate_args=self._validate_args)

    def _options(self):
        """Arguments beside the parameters."""
        return {}

    def sample(self, sample_shape=()):
        """A sample, or a whole shape of them, without derivatives."""
        with tj.no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape=()):
        """A sample that is a differentiable function of the parameters.

        Raises:
            NotImplementedError: for a distribution that has no such function.
        """
        raise NotImplementedError(f"{type(self).__name__} has no samples that are differentiable functions of its parameters")

    def sample_n(self, n):
        """``sample((n,))``"""
        return self.sample((n,))

    def log_prob(self, value):
        """The logarithm of the density or probability at a value."""
        raise NotImplementedError(f"{type(self).__name__}.log_prob")

    def cdf(self, value):
        """The probability of values up to one."""
        raise NotImplementedError(f"{type(self).__name__}.cdf")

    def icdf(self, value):
        """The value up to which the probability is a given one."""
        raise NotImplementedError(f"{type(self).__name__}.icdf")

    def entropy(self):
        """The mean of -log_prob, in nats."""
        raise NotImplementedError(f"{type(self).__name__}.entropy")

    def enumerate_support(self, expand=True):
        """All values, along a new first dimension."""
        raise NotImplementedError(f"{type(self).__name__} has no finite support")

    def perplexity(self):
        """exp(entropy)"""
        return tj.exp(self.entropy())

    @property
    def mean(self):
        """The mean."""
        raise NotImplementedError(f"{type(self).__name__}.mean")

    @property
    def mode(self):
        """The most probable value."""
        raise NotImplementedError(f"{type(self).__name__}.mode")

    @property
    def variance(self):
        """The variance of each element."""
        raise NotImplementedError(f"{type(self).__name__}.variance")

    @property
    def stddev(self):
        """The square root of the variance."""
        return tj.sqrt(self.variance)

    def __repr__(self):
        shown = (f"{name}: {constraints._shown(getattr(self, name))}" for name in self._given)
        return f"{type(self).__name__}({', '.join(shown)})"


def as_tensors(*values, like=None):
    """Numbers, arrays and tensors as tensors of floats, numbers with the dtype of the tensors among them."""
    tensors = [x for x in (*values, like) if isinstance(x, tj.Tensor) and x.is_floating_point()]
    dtype = tensors[0].dtype if tensors else tj.get_default_dtype()
    return [_floats(x, dtype) for x in values]


def _floats(x, dtype):
    if isinstance(x, tj.Tensor):
        return x if x.is_floating_point() else x.to(dtype)
    return tj.as_tensor(x, dtype=dtype) if isinstance(x, (int, float)) else tj.as_tensor(x).to(dtype)


def one_of(name, **given):
    """Check that of some parameters exactly one is given.

    Raises:
        ValueError: else.
    """
    if sum(value is not None for value in given.values()) != 1:
        raise ValueError(f"{name} takes one of {', '.join(given)}")
