"""Assertions on tensors: ``tapejit.testing`` has the names of ``torch.testing``."""

from tapejit.eager.comparing import assert_allclose, assert_close

__all__ = ["assert_allclose", "assert_close"]
