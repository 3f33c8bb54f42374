"""Special functions that are composed of others, and checked calls of those in the table (``spec.special``)."""

import math

from tapejit.eager.dispatch import apply, from_array
from tapejit.eager.functional import FUNCTIONS, clamp, logsigmoid, where
from tapejit.eager.inplace import inplace_method
from tapejit.eager.reductions import amax, logsumexp
from tapejit.eager.tensor import Tensor, method, method_as
from tapejit.spec import special as ops


def zeta(x, q=1.0) -> Tensor:
    """Hurwitz's zeta function, the sum of ``(q + k) ** -x`` over k = 0, 1, ..., for x > 1; Riemann's for q = 1.

    It has derivatives in both arguments: of all orders in ``q``, up to the second in ``x``, where q > 0 (beyond: NaN).
    """
    return apply(ops.zeta, x, q)


def lambertw(z, k=0) -> Tensor:
    """The real w with ``w * exp(w) = z``: for k = 0 the branch of w >= -1, for k = -1 that of w <= -1; NaN where there is none.

    SciPy's function of this name gives complex numbers, whose real part this is.

    Raises:
        ValueError: for another branch, which is nowhere real.
    """
    if k not in (0, -1):
        raise ValueError(f"lambertw(z, k) has real values for k = 0 and k = -1 only, got k = {k}")
    return apply(ops.lambertw_lower, z) if k else FUNCTIONS["lambertw"](z)


@method
def igamma(input, other) -> Tensor:
    """``tapejit.special.gammainc`` under PyTorch's shorter name."""
    return FUNCTIONS["gammainc"](input, other)


@method
def igammac(input, other) -> Tensor:
    """``tapejit.special.gammaincc`` under PyTorch's shorter name."""
    return FUNCTIONS["gammaincc"](input, other)


@method
def logit(input, eps=None, *, out=None) -> Tensor:
    """log(x / (1 - x)), elementwise; with ``eps`` the input is first brought into [eps, 1 - eps].

    Outside of these bounds the derivative is 0; without them and outside of [0, 1] the value is NaN.
    """
    if eps is not None:
        input = clamp(input if isinstance(input, Tensor) else from_array(input), eps, 1.0 - eps)
    return FUNCTIONS["logit"](input, out=out)


@method
def polygamma(n, input) -> Tensor:
    """The n-th derivative of ``digamma``, for an integer n >= 0.

    Raises:
        ValueError: for another n.
    """
    if isinstance(n, Tensor):  # as a method, the tensor comes first
        n, input = input, n
    if n != int(n) or n < 0:
        raise ValueError(f"polygamma(n, x) is for integers n >= 0, got {n}")
    n = int(n)
    if n == 0:
        return FUNCTIONS["digamma"](input)
    return (-1.0) ** (n + 1) * math.factorial(n) * apply(ops.zeta, n + 1.0, input)


def multigammaln(a, d) -> Tensor:
    """The logarithm of the multivariate gamma function of dimension d, for a > (d - 1) / 2."""
    if d != int(d) or d < 1:
        raise ValueError(f"multigammaln(a, d) is for integers d >= 1, got {d}")
    total = sum(FUNCTIONS["lgamma"](a - 0.5 * j) for j in range(1, int(d)))
    return FUNCTIONS["lgamma"](a) + total + d * (d - 1) / 4 * math.log(math.pi)


@method
def mvlgamma(input, p) -> Tensor:
    """``multigammaln`` under PyTorch's name."""
    return multigammaln(input, p)


def log_expit(x) -> Tensor:
    """log(sigmoid(x)) without overflow."""
    return logsigmoid(x)


def kl_div(x, y) -> Tensor:
    """x * log(x / y) - x + y, elementwise: what ``rel_entr`` and this sum to is the same for probabilities."""
    return FUNCTIONS["rel_entr"](x, y) - x + y


def logsumexp_weighted(a, axis=None, b=None, keepdims=False) -> Tensor:
    """log(sum(b * exp(a))) over some dimensions (all for None), without overflow; without weights ``b`` they count as 1."""
    a = a if isinstance(a, Tensor) else from_array(a)
    dims = tuple(range(a.ndim)) if axis is None else axis
    if b is None:
        return logsumexp(a, dims, keepdims)
    top = amax(a.detach(), dims, keepdim=True)
    top = where(FUNCTIONS["abs"](top) < math.inf, top, 0.0)
    total = FUNCTIONS["log"]((b * FUNCTIONS["exp"](a - top)).sum(dims, keepdim=True)) + top
    return total if keepdims else total.reshape([n for d, n in enumerate(total.shape) if d not in _counted(dims, a.ndim)])


def _counted(dims, ndim):
    return {d % ndim for d in (dims if isinstance(dims, (tuple, list)) else (dims,))}


for _function in (logit, mvlgamma, igamma, igammac):
    method_as(f"{_function.__name__}_")(inplace_method(_function, True))
method_as("mvlgamma")(mvlgamma)
