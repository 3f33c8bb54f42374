"""Control flow as functions, with JAX's names and signatures, and PyTorch's checkpoint.

Python's own ``for``, ``while`` and ``if`` do the same here: these forms are loops in Python, and a recording finds them again.
"""
