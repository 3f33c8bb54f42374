"""``tapejit.signal`` has the names of ``torch.signal``."""

from tapejit.signal import windows

__all__ = ["windows"]
