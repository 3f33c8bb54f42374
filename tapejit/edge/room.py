"""Memory for LLVM, asked for before it is entered: where it finds none it ends the process."""

import mmap

LLVM = 48 << 20  # bytes of address space; what compiling the largest functions of the engine takes


def ask(nbytes=LLVM):
    """
    Raises:
        MemoryError: if the system would not give so much memory now. None of it is touched, and it is given back.
    """
    try:
        if hasattr(mmap, "MAP_PRIVATE"):
            mmap.mmap(-1, nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
        else:
            mmap.mmap(-1, nbytes).close()
    except (OSError, ValueError, MemoryError):
        raise MemoryError(
            f"tapejit: no memory to compile what is needed now ({nbytes >> 20} MB); free tensors, or let it be compiled before "
            "memory is short: tapejit.warm()"
        ) from None
