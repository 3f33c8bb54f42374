"""Orthogonal polynomials by their recurrences (DLMF, https://dlmf.nist.gov, section 18.9), differentiable in x."""

from tapejit.eager.functional import FUNCTIONS, where
from tapejit.eager.tensor import Tensor
from tapejit.eager.ufuncs import tensor_of

# name -> (the polynomial of degree 1, the one of degree k + 1 from those of degrees k and k - 1), functions of x
_CHEBYSHEV = {
    "t": lambda x: x, "u": lambda x: 2.0 * x, "v": lambda x: 2.0 * x - 1.0, "w": lambda x: 2.0 * x + 1.0
}  # fmt: skip
_NEXT = {
    "hermite_polynomial_h": (lambda x: 2.0 * x, lambda x, k, p, q: 2.0 * (x * p - k * q)),
    "hermite_polynomial_he": (lambda x: x, lambda x, k, p, q: x * p - k * q),
    "laguerre_polynomial_l": (lambda x: 1.0 - x, lambda x, k, p, q: ((2 * k + 1 - x) * p - k * q) / (k + 1)),
    "legendre_polynomial_p": (lambda x: x, lambda x, k, p, q: ((2 * k + 1) * x * p - k * q) / (k + 1)),
}
for _kind, _first in _CHEBYSHEV.items():
    _NEXT[f"chebyshev_polynomial_{_kind}"] = _first, lambda x, k, p, q: 2.0 * x * p - q


def _polynomial(name, shifted=False):
    first, following = _NEXT[name]

    def polynomial(x, n) -> Tensor:
        x = tensor_of(x)
        x = x if x.dtype.is_floating_point else x.to(float)
        x = 2.0 * x - 1.0 if shifted else x
        degrees = tensor_of(n).detach()
        highest = int(degrees.max()) if degrees.numel() else 0
        p, q = x * 0.0 + 1.0, None
        if not degrees.ndim:
            for k in range(highest):
                p, q = (first(x) if q is None else following(x, k, p, q)), p
            return p if highest >= 0 else p * 0.0
        degrees = FUNCTIONS["trunc"](degrees) if degrees.dtype.is_floating_point else degrees
        result = where(degrees == 0, p, 0.0)
        for k in range(highest):
            p, q = (first(x) if q is None else following(x, k, p, q)), p
            result = where(degrees == k + 1, p, result)
        return result

    prefix = "shifted_" if shifted else ""
    polynomial.__name__ = polynomial.__qualname__ = prefix + name
    polynomial.__doc__ = f"""{(prefix + name).replace("_", " ").capitalize()} of degree n at x{" in [0, 1]" if shifted else ""}.

    Differentiable in x. Degrees are integers, one or as many as x broadcasts with; below 0 the result is 0.
    """
    return polynomial


POLYNOMIALS = {name: _polynomial(name) for name in _NEXT}
POLYNOMIALS |= {f"shifted_{name}": _polynomial(name, True) for name in _NEXT if name.startswith("chebyshev")}


def spherical_bessel_j0(x) -> Tensor:
    """sin(x) / x, 1 at 0."""
    return FUNCTIONS["sinc"](tensor_of(x) / 3.141592653589793)
