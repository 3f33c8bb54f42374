"""``torch.autograd.function`` as a module, so that it can be imported as one."""

from tapejit.eager.userfunction import Function, once_differentiable

__all__ = ["Function", "once_differentiable"]
