"""Helpers under ``torch.utils``' names."""

from tapejit.utils import checkpoint, data

__all__ = ["checkpoint", "data"]
