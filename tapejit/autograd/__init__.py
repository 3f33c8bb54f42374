"""Gradients of tensors already computed: ``tapejit.autograd`` has the names of ``torch.autograd``."""

from tapejit.eager.autograd import backward, grad

__all__ = ["backward", "grad"]
