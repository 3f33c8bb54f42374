"""``scipy.stats.multivariate_normal`` as a module, so that it can be imported as one."""

from tapejit.scipy.multivariate import multivariate_normal as _distribution

logpdf, pdf = _distribution.logpdf, _distribution.pdf

__all__ = ["logpdf", "pdf"]
