"""Special functions of tensors, in every way in: ``tapejit.special`` has the names of ``torch.special`` and SciPy's.

Values are SciPy's, called from compiled kernels, or to a few ulp our own; each has derivatives of all orders.
"""

from tapejit.eager.functional import FUNCTIONS as _functions
from tapejit.eager.polynomials import POLYNOMIALS as _polynomials
from tapejit.eager.polynomials import spherical_bessel_j0
from tapejit.eager.reductions import log_softmax, softmax
from tapejit.eager.specialfunctions import kl_div, lambertw, log_expit, logit, multigammaln, polygamma, zeta
from tapejit.eager.specialfunctions import logsumexp_weighted as logsumexp

_SAME = (
    "beta betainc betaln dawsn digamma entr erf erfc erfcinv erfcx erfinv exp2 expm1 gamma gammainc gammaincc i0 i0e i1 "
    "i1e j0 j1 k0 k0e k1 k1e lgamma log1p log_ndtr ndtr ndtri rel_entr sinc voigt_profile xlog1py xlogy y0 y1"
).split()
globals().update({name: _functions[name] for name in _SAME})
gammaln, psi, expit = _functions["lgamma"], _functions["digamma"], _functions["sigmoid"]
_ALSO = {  # PyTorch's names
    "bessel_j0": "j0", "bessel_j1": "j1", "bessel_y0": "y0", "bessel_y1": "y1",
    "modified_bessel_i0": "i0", "modified_bessel_i1": "i1", "modified_bessel_k0": "k0", "modified_bessel_k1": "k1",
    "scaled_modified_bessel_k0": "k0e", "scaled_modified_bessel_k1": "k1e",
}  # fmt: skip
globals().update({name: _functions[op] for name, op in _ALSO.items()})
globals().update(_polynomials)

__all__ = sorted([
    *_SAME, *_ALSO, *_polynomials, "expit", "gammaln", "kl_div", "lambertw", "log_expit", "log_softmax", "logit", "logsumexp",
    "multigammaln", "polygamma", "psi", "softmax", "spherical_bessel_j0", "zeta",
])  # fmt: skip
