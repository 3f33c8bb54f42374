"""Functions of functions: ``tapejit.func`` has the names of ``torch.func``."""

from tapejit.nn.stateless import functional_call, stack_module_state
from tapejit.replay.jacobianpasses import hessian
from tapejit.replay.torchfunc import grad_and_value, jacfwd, jacrev, jvp, linearize, vjp
from tapejit.replay.transforms import grad
from tapejit.replay.vmap import vmap

__all__ = [
    "functional_call", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize", "stack_module_state",
    "vjp", "vmap",
]  # fmt: skip
