"""Random tensors of given distributions, and tensors filled with random numbers in place: constants, without derivatives."""

import numpy as np

from tapejit.core import dtypes
from tapejit.core.layout import checked
from tapejit.core.plans import broadcast_shapes
from tapejit.eager.dispatch import from_array
from tapejit.eager.random import _make, drawing, refused
from tapejit.eager.tensor import Tensor
from tapejit.eager.views import shape_argument


def _values(x):
    return x.detach()._array() if isinstance(x, Tensor) else x


def normal(mean=0.0, std=1.0, size=None, *, dtype=None, requires_grad=False, generator=None) -> Tensor:
    """Numbers drawn from normal distributions: of a mean and a deviation for each element, or of one for a whole size.

    Raises:
        RuntimeError: for a negative deviation.
    """
    centre, width = _values(mean), _values(std)
    if np.any(np.asarray(width) < 0):
        raise RuntimeError("normal() needs a standard deviation of at least 0")
    shape = broadcast_shapes(np.shape(centre), np.shape(width)) if size is None else shape_argument((size,))
    if dtype is None:
        dtype = next((t.dtype for t in (mean, std) if isinstance(t, Tensor)), None)
    numbers = drawing(generator).standard_normal(checked(tuple(shape), dtypes.float64))
    return _make(centre + width * numbers, dtype, requires_grad)


def bernoulli(x: Tensor, p=None, *, generator=None) -> Tensor:
    """1 with the probability that each element says (or ``p``), else 0.

    Raises:
        RuntimeError: for a probability outside of [0, 1].
    """
    chance = _values(x if p is None else p)
    if np.any((np.asarray(chance) < 0) | (np.asarray(chance) > 1)):
        raise RuntimeError("bernoulli() needs probabilities from 0 to 1")
    return from_array(drawing(generator).random(tuple(x.shape)) < chance, x.dtype)


def multinomial(x: Tensor, num_samples: int, replacement=False, *, generator=None) -> Tensor:
    """The places drawn from each row, with probabilities in proportion to its elements: int64.

    Raises:
        RuntimeError: for integers, negative elements, fewer positive ones than are to be drawn without replacement, or none
            to be drawn.
    """
    if not x.dtype.is_floating_point or num_samples < 1:
        raise RuntimeError(f"multinomial() draws 1 or more places by weights in floats, got {num_samples} and {x.dtype}")
    rows = np.atleast_2d(_values(x)).astype(np.float64)
    if x.ndim not in (1, 2) or (rows < 0).any() or not np.isfinite(rows).all() or (rows.sum(1) <= 0).any():
        raise RuntimeError(f"multinomial() takes rows of weights that are not negative and not all 0, got shape {x.shape}")
    if not replacement and ((rows > 0).sum(1) < num_samples).any():
        raise RuntimeError(f"multinomial() cannot draw {num_samples} different places from a row with fewer positive weights")
    numbers = drawing(generator)
    found = [numbers.choice(row.size, num_samples, replacement, row / row.sum()) for row in rows]
    return from_array(np.array(found, np.int64).reshape((*x.shape[:-1], num_samples)))


def poisson(x: Tensor, *, generator=None) -> Tensor:
    """Counts drawn from Poisson distributions with each element as the mean."""
    with refused():
        return from_array(drawing(generator).poisson(_values(x)), x.dtype)


# In place


def _filler(name, draw, doc):
    def method(x, *args, generator=None, **kwargs):
        with refused():
            drawn = draw(drawing(generator), tuple(x.shape), *args, **kwargs)
        x.copy_(from_array(np.asarray(drawn).astype(x.dtype.numpy)))
        return x

    method.__name__ = method.__qualname__ = name
    method.__doc__ = doc + ", in place."
    return method


def _integers(numbers, shape, low=0, high=None):
    low, high = (0, low) if high is None else (low, high)
    return numbers.integers(low, high if high > low else 1 << 24, shape)


def _even(numbers, shape, low=0.0, high=1.0, **bounds):
    return numbers.uniform(bounds.get("from", low), bounds.get("to", high), shape)


FILLERS = {
    f.__name__: f
    for f in (
        _filler("normal_", lambda r, shape, mean=0.0, std=1.0: r.normal(mean, std, shape), "Normal numbers"),
        _filler("uniform_", _even, "Numbers drawn evenly between two bounds"),
        _filler("bernoulli_", lambda r, shape, p=0.5: r.random(shape) < _values(p), "1 with probability p, else 0"),
        _filler("exponential_", lambda r, shape, lambd=1.0: r.exponential(1 / lambd, shape), "Exponential numbers of a rate"),
        _filler("geometric_", lambda r, shape, p: r.geometric(p, shape), "Numbers of trials up to a success"),
        _filler("cauchy_", lambda r, shape, median=0.0, sigma=1.0: median + sigma * r.standard_cauchy(shape), "Cauchy numbers"),
        _filler("log_normal_", lambda r, shape, mean=1.0, std=2.0: r.lognormal(mean, std, shape), "exp of normal numbers"),
        _filler("random_", _integers, "Integers from [0, high) or [low, high)"),
    )
}
METHODS = "bernoulli multinomial".split()
FUNCTIONS_ONLY = "normal poisson".split()
ALIASES = {}
