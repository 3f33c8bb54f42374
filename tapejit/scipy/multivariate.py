"""The normal distribution of several variables."""

import math

import tapejit as tj


class MultivariateNormal:
    """``multivariate_normal.logpdf(x, mean, cov)``: variables are the last dimension of x, cov is positive definite."""

    def logpdf(self, x, mean=None, cov=1.0):
        """The logarithm of the density.

        Raises:
            numpy.linalg.LinAlgError: if the covariance is not positive definite.
        """
        x = tj.as_tensor(x)
        n = x.shape[-1] if x.ndim else 1
        x = x.reshape(*x.shape[:-1], n) if x.ndim else x.reshape(1)
        d = x if mean is None else x - mean
        cov = tj.as_tensor(cov)
        cov = cov * tj.eye(n) if cov.ndim == 0 else tj.diag(cov) if cov.ndim == 1 else cov
        factor = tj.linalg.cholesky(cov)
        white = tj.linalg.solve_triangular(factor, d.reshape(-1, n).T, upper=False)
        log_det = 2 * tj.log(tj.linalg.diagonal(factor)).sum()
        return (-0.5 * ((white * white).sum(0) + log_det + n * math.log(2 * math.pi))).reshape(d.shape[:-1])

    def pdf(self, x, mean=None, cov=1.0):
        """The density."""
        return tj.exp(self.logpdf(x, mean, cov))


multivariate_normal = MultivariateNormal()
