"""Containers under HIPS autograd's names: Python's own, as arguments and results may nest them."""

dict, list, tuple = dict, list, tuple
isinstance = isinstance

__all__ = ["dict", "isinstance", "list", "tuple"]
