"""Names of machine code that no two processes give to different code.

Numba numbers the functions that a process compiles, and the number is what tells symbols of one name and one signature
apart. Code kept on disk outlives the process: two that come together in a third under one symbol would be one function for
both. So counting starts at a random number of 62 bits, anew in a child after a fork.
"""

import itertools
import os
import secrets

from numba.core.bytecode import FunctionIdentity


def renumber() -> None:
    """Let the functions compiled from now on have numbers of their own."""
    FunctionIdentity._unique_ids = itertools.count(secrets.randbits(62))


renumber()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=renumber)
