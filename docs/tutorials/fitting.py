# %% [markdown]
# # From data to an answer
#
# A decaying oscillation is measured with noise; its frequency and damping are wanted, with error bars.

# %%
import numpy as np

import tapejit as tj

rng = np.random.default_rng(5)
t = np.linspace(0, 10, 80)


def model(t, size, damping, frequency, phase):
    return size * tj.exp(-damping * t) * tj.cos(frequency * t + phase)


truth = np.array([2.0, 0.3, 2.5, 0.4])
seen = model(t, *truth) + 0.05 * rng.normal(size=t.size)

# %% [markdown]
# SciPy's `curve_fit`, with the exact Jacobian of the model in place of differences:

# %%
start = [1.5, 0.2, 2.4, 0.0]
p, cov = tj.optimize.curve_fit(model, t, seen, p0=start)
for name, value, error, true in zip(
    ["size", "damping", "frequency", "phase"], p, np.sqrt(np.diag(cov)), truth, strict=True
):
    print(f"{name:10s} {value:8.4f} ± {error:.4f}   (truth {true})")

# %% [markdown]
# The same by the likelihood: a function of the parameters, its minimum, and the error bars from the inverse of the
# Hessian (Laplace's approximation). Here the noise is a parameter as well.


# %%
def negative_log_likelihood(p):
    noise = tj.exp(p[4])
    z = (seen - model(t, p[0], p[1], p[2], p[3])) / noise
    return 0.5 * (z * z).sum() + t.size * p[4]


found = tj.optimize.minimize(negative_log_likelihood, np.array([*start, np.log(0.1)]), method="BFGS")
errors = np.sqrt(np.diag(np.linalg.inv(tj.hessian(negative_log_likelihood)(found.x))))
print(found.x.round(4), errors.round(4), "noise", np.exp(found.x[4]).round(4), sep="\n")

# %% [markdown]
# How sensitive is a prediction to the parameters? That is one more gradient.

# %%
tj.grad(lambda p: model(12.0, p[0], p[1], p[2], p[3]))(p)
