"""The names of ``torch.autograd.graph`` that speak of what a recorded operation keeps."""

__all__ = ["save_on_cpu", "saved_tensors_hooks"]


class saved_tensors_hooks:
    """There are none: what an operation's derivative needs are addresses in the tape, and never becomes a tensor on the way.

    Raises:
        NotImplementedError: always, with what to use instead.
    """

    def __init__(self, pack_hook, unpack_hook):
        raise NotImplementedError(
            "saved_tensors_hooks: a record of the tape keeps the addresses of its operands, not tensors that hooks could "
            "replace; to keep less memory use tapejit.checkpoint, which computes a part again"
        )


class save_on_cpu:
    """A context in which what is kept lies in the memory of the processor, as it always does here."""

    def __init__(self, pin_memory=False, device_type="cpu"):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return False
