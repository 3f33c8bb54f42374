"""``torch.backends.cudnn``: it is not there, and what is set has no effect."""

benchmark = deterministic = enabled = allow_tf32 = False


def is_available() -> bool:
    """False."""
    return False


def version():
    """None."""
