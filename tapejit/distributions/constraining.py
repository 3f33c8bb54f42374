"""From unconstrained numbers to where a constraint holds: ``biject_to(constraint)`` and ``transform_to(constraint)``."""

from tapejit.distributions import constraints
from tapejit.distributions.bijections import (
    AffineTransform,
    ComposeTransform,
    ExpTransform,
    IndependentTransform,
    SigmoidTransform,
    SoftmaxTransform,
    StickBreakingTransform,
    identity_transform,
)
from tapejit.distributions.factorings import (
    CorrCholeskyTransform,
    LowerCholeskyTransform,
    PositiveDefiniteTransform,
)
from tapejit.distributions.rearranging import CatTransform, StackTransform

__all__ = ["ConstraintRegistry", "biject_to", "transform_to"]


class ConstraintRegistry:
    """Makes a transform for a constraint, by the constraint's class."""

    def __init__(self):
        self._makers = {}

    def register(self, constraint, factory=None):
        """Say what makes the transform of constraints of a class (or of an object's class); also a decorator.

        Raises:
            TypeError: for what is no constraint.
        """
        if factory is None:
            return lambda factory: self.register(constraint, factory)
        kind = type(constraint) if isinstance(constraint, constraints.Constraint) else constraint
        if not isinstance(kind, type) or not issubclass(kind, constraints.Constraint):
            raise TypeError(f"register takes a constraint or its class, got {constraint!r}")
        self._makers[kind] = factory
        return factory

    def __call__(self, constraint):
        """The transform.

        Raises:
            NotImplementedError: if nothing is registered for the constraint's class.
        """
        for kind in type(constraint).__mro__:
            if kind in self._makers:
                return self._makers[kind](constraint)
        raise NotImplementedError(f"no transform is registered for the constraint {constraint}: see register")


biject_to, transform_to = ConstraintRegistry(), ConstraintRegistry()


def _both(*kinds):
    """Decorator: the function makes the transform of both registries, ``f(constraint, registry)``."""

    def enter(make):
        for registry in (biject_to, transform_to):
            for kind in kinds:
                registry.register(kind, lambda constraint, registry=registry: make(constraint, registry))
        return make

    return enter


@_both(constraints.real)
def _of_numbers(constraint, registry):
    return identity_transform


@_both(constraints.independent)
def _of_events(constraint, registry):
    return IndependentTransform(registry(constraint.base_constraint), constraint.reinterpreted_batch_ndims)


@_both(constraints.greater_than)
def _above(constraint, registry):
    low = constraint.lower_bound
    return ExpTransform() if _is(low, 0) else ComposeTransform([ExpTransform(), AffineTransform(low, 1)])


@_both(constraints.less_than)
def _below(constraint, registry):
    return ComposeTransform([ExpTransform(), AffineTransform(constraint.upper_bound, -1)])


@_both(constraints.interval)
def _between(constraint, registry):
    low, high = constraint.lower_bound, constraint.upper_bound
    if _is(low, 0) and _is(high, 1):
        return SigmoidTransform()
    return ComposeTransform([SigmoidTransform(), AffineTransform(low, high - low)])


def _is(bound, number):
    return isinstance(bound, (int, float)) and bound == number


@_both(constraints.integer_interval, type(constraints.nonnegative_integer), constraints.multinomial)
def _of_integers(constraint, registry):
    raise NotImplementedError(f"no differentiable transform leads to the integers of {constraint}")


biject_to.register(constraints.simplex, lambda constraint: StickBreakingTransform())
transform_to.register(constraints.simplex, lambda constraint: SoftmaxTransform())


transform_to.register(constraints.lower_cholesky, lambda constraint: LowerCholeskyTransform())
for _kind in (constraints.positive_definite, constraints.positive_semidefinite):
    transform_to.register(_kind, lambda constraint: PositiveDefiniteTransform())


@_both(constraints.corr_cholesky)
def _of_correlations(constraint, registry):
    return CorrCholeskyTransform()


@_both(constraints.cat)
def _after_each_other(constraint, registry):
    return CatTransform(map(registry, constraint.cseq), constraint.dim, constraint.lengths)


@_both(constraints.stack)
def _beside_each_other(constraint, registry):
    return StackTransform(map(registry, constraint.cseq), constraint.dim)
