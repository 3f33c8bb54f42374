"""``torch.backends.cuda``: it is not there, and what is set has no effect."""

import types

matmul = types.SimpleNamespace(allow_tf32=False)


def is_built() -> bool:
    """False."""
    return False
