"""Derivatives of functions, eager: ``tapejit.autograd.functional`` has the names of ``torch.autograd.functional``."""

from tapejit.eager.autogradfunctional import hessian, hvp, jacobian, jvp, vhp, vjp

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]
