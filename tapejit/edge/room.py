"""Memory for LLVM, asked for before it is entered: where it finds none it ends the process. And how much there is in all."""

import functools
import mmap
import os

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


@functools.cache
def half_of_memory() -> int:
    """Half of the bytes of the machine's memory, 1 GB where that is not known.

    Windows charges what is reserved, too, so less is taken there.
    """
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return 1 << 30
