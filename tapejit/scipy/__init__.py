"""SciPy's functions of tensors, under its names: ``tapejit.scipy.special`` and ``tapejit.scipy.stats``."""

from tapejit.scipy import special, stats

__all__ = ["special", "stats"]
