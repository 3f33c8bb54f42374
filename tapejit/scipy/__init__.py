"""SciPy's functions of tensors, under its names: ``special``, ``stats``, ``integrate`` and ``signal``."""

from tapejit.scipy import integrate, signal, special, stats

__all__ = ["integrate", "signal", "special", "stats"]
