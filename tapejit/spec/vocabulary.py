"""The functions in which derivative rules are written: whoever runs the rules supplies them.

``eager.tensorops`` supplies functions of tensors. A rule calls ``ops.matmul(...)`` and knows nothing of what it is given, so
this room needs no other.
"""

from types import SimpleNamespace

ops = SimpleNamespace()


def supply(**functions) -> None:
    """Say what the names mean."""
    vars(ops).update(functions)
