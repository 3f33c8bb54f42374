# %% [markdown]
# # First gradients
#
# Mark what you want derivatives for, compute, call `backward()`, read `.grad`. Everything here is PyTorch's API with PyTorch's
# meanings, so `import tapejit as torch` works as well. What is shown below a cell was computed when the site was built.

# %%
import numpy as np

import tapejit as tj

x = tj.arange(4.0)
x.requires_grad_()
y = 2 * tj.dot(x, x)
y

# %% [markdown]
# `y` knows how it was computed. `backward()` walks that way back and adds to `x.grad`, here `4 * x`.

# %%
y.backward()
x.grad

# %% [markdown]
# ## Gradients add up
#
# A second `backward()` is added to `.grad`. Reset it in between with `zero_()`.

# %%
x.grad.zero_()
x.sum().backward()
x.grad

# %% [markdown]
# ## Constants on purpose
#
# `detach()` gives the same values without their history.

# %%
x.grad.zero_()
u = (x * x).detach()
(u * x).sum().backward()
x.grad

# %% [markdown]
# ## Python's own control flow
#
# The graph is what was computed. Loops and branches need no special form.


# %%
def f(a):
    b = a * 2
    while b.norm() < 1000:
        b = b * 2
    return b if b.sum() > 0 else 100 * b


a = tj.tensor(-0.7, requires_grad=True)
d = f(a)
d.backward()
a.grad, d / a

# %% [markdown]
# ## Recorded, the same function runs as machine code
#
# `tj.value_and_grad` records `f` once. Each decision is checked at every later call; another one takes another path.

# %%
g = tj.value_and_grad(f)
g(np.array(-0.7)), g(np.array(0.3))

# %% [markdown]
# ## Derivatives of derivatives
#
# Transforms compose. The second derivative of $\sin$ at 1 is $-\sin 1$.

# %%
tj.grad(tj.grad(tj.sin))(1.0), -np.sin(1.0)
