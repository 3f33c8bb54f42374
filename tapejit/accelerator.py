"""What programs ask before they use an accelerator, under ``torch.accelerator``'s names. There is none."""

__all__ = ["current_accelerator", "current_device_index", "device_count", "is_available", "synchronize"]


def is_available() -> bool:
    """False."""
    return False


def current_accelerator(check_available=False):
    """None."""


def device_count() -> int:
    """0."""
    return 0


def current_device_index() -> int:
    """
    Raises:
        RuntimeError: always.
    """
    raise RuntimeError("there is no accelerator: tapejit computes on the CPU")


def synchronize(device=None) -> None:
    """Nothing: work on the CPU is done when a call returns."""
