"""Errors of two families: code written for PyTorch catches the one, code written for NumPy or Python the other."""

import numpy as np


class ArgumentError(ValueError, RuntimeError):
    """A shape, size or value that does not fit: a ValueError in NumPy, a RuntimeError in PyTorch."""


class OutOfRange(IndexError, RuntimeError):
    """A place that there is not: an IndexError in Python, in PyTorch often a RuntimeError."""


class KindError(TypeError, RuntimeError):
    """A dtype or a kind of object that is not taken: a TypeError in Python, in PyTorch often a RuntimeError."""


class NotOneElement(RuntimeError, TypeError, ValueError):
    """A number was asked for of a tensor that is not one: NumPy raises a TypeError, PyTorch one of the others."""


class LinAlgError(np.linalg.LinAlgError, RuntimeError):
    """A matrix has not what was asked for: NumPy's error, and the RuntimeError that PyTorch's is."""
