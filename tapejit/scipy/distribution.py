"""What distributions have in common: parameters as SciPy takes them, and what lies outside of the support."""

import math

import tapejit as tj


class Distribution:
    """A distribution by the logarithms of its density and of its distribution function, as functions of tensors.

    Args:
        name: for messages.
        shapes: the names of its shape parameters, in order.
        log_density: ``f(z, *shapes)`` inside of the support, of the standardised variable.
        inside: ``f(z, *shapes)``, a bool tensor; None where all numbers are.
        middle: ``f(*shapes)``, a point in the support that stands for those outside, whose derivatives are zero.
        log_distribution: ``f(z, *shapes)`` inside of the support; None where there is no formula.
        above: ``f(z, *shapes)``, where the distribution function is 1 already.
    """

    def __init__(
        self, name, shapes, log_density, inside=None, middle=None, log_distribution=None, above=None, discrete=False
    ):  # fmt: skip
        self.name, self.shapes, self.discrete = name, shapes, discrete
        self._log_density, self._inside, self._middle = log_density, inside, middle
        self._log_distribution, self._above = log_distribution, above

    def _parameters(self, args, kwargs):
        """(shapes, loc, scale)"""
        names = [*self.shapes, "loc", *([] if self.discrete else ["scale"])]
        values = dict(zip(names, args, strict=False))
        if len(args) > len(names) or kwargs.keys() - names or kwargs.keys() & values.keys():
            raise TypeError(f"{self.name} takes the parameters {', '.join(names)}; got {[*args, *kwargs]}")
        values.update(kwargs)
        missing = [name for name in self.shapes if name not in values]
        if missing:
            raise TypeError(f"{self.name} needs the parameters {', '.join(missing)}")
        return [_tensor(values[name]) for name in self.shapes], values.get("loc", 0.0), values.get("scale", 1.0)

    def _at(self, x, args, kwargs):
        shapes, loc, scale = self._parameters(args, kwargs)
        z = (_tensor(x) - loc) / scale
        if self._inside is None:
            return z, shapes, scale, None
        inside = self._inside(z, *shapes)
        return tj.where(inside, z, self._middle(*shapes)), shapes, scale, inside

    def _log(self, x, args, kwargs):
        z, shapes, scale, inside = self._at(x, args, kwargs)
        y = self._log_density(z, *shapes) - tj.log(_tensor(scale))
        return y if inside is None else tj.where(inside, y, -math.inf)

    def logcdf(self, x, *args, **kwargs):
        """The logarithm of the probability of values up to x.

        Raises:
            NotImplementedError: where it is an incomplete gamma or beta function.
        """
        if self._log_distribution is None:
            raise NotImplementedError(f"{self.name}.logcdf is an incomplete gamma or beta function, not there yet")
        z, shapes, _, inside = self._at(x, args, kwargs)
        y = self._log_distribution(z, *shapes)
        if inside is None:
            return y
        shapes, loc, scale = self._parameters(args, kwargs)
        outside = -math.inf
        if self._above is not None:
            outside = tj.where(self._above((_tensor(x) - loc) / scale, *shapes), 0.0, -math.inf)
        return tj.where(inside, y, outside)

    def cdf(self, x, *args, **kwargs):
        """exp(logcdf)"""
        return tj.exp(self.logcdf(x, *args, **kwargs))


class Continuous(Distribution):
    """A distribution with a density: ``name.logpdf(x, *shapes, loc=0, scale=1)``, ``pdf``, ``logcdf``, ``cdf``."""

    def logpdf(self, x, *args, **kwargs):
        """The logarithm of the density at x; -inf outside of the support."""
        return self._log(x, args, kwargs)

    def pdf(self, x, *args, **kwargs):
        """exp(logpdf)"""
        return tj.exp(self._log(x, args, kwargs))


class Discrete(Distribution):
    """A distribution of integers: ``name.logpmf(k, *shapes, loc=0)``, ``pmf``."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs, discrete=True)

    def logpmf(self, k, *args, **kwargs):
        """The logarithm of the probability of k; -inf for what is no integer in the support."""
        return self._log(k, args, kwargs)

    def pmf(self, k, *args, **kwargs):
        """exp(logpmf)"""
        return tj.exp(self._log(k, args, kwargs))


def _tensor(x):
    if isinstance(x, tj.Tensor):
        return x if x.is_floating_point() else x.to(tj.get_default_dtype())
    return tj.as_tensor(x).to(tj.float64) if not isinstance(x, (int, float)) else tj.tensor(float(x))
