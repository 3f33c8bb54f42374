"""Helpers under ``torch.utils``' names."""

from tapejit.utils import data

__all__ = ["data"]
