"""Machine code linked into the process: many programs share an execution engine, and equal programs their code.

An engine takes 0.75 MB, however little code is in it. Its code is given back when none of its programs is left. What took
LLVM a while is kept on disk for later processes, under a digest of the module, the processor and LLVM's version.
"""

import atexit
import collections
import hashlib
import threading
import time
import weakref

import llvmlite.binding as llvm

from tapejit.core import forks
from tapejit.edge import optimiser, store

PER_ENGINE = 32  # programs, so that one which is kept does not hold on to the code of many that are not
RECENT = 4  # engines that stay without any program: the next closure over the same code finds it there
WORTH_KEEPING = 0.01  # seconds that LLVM took, from which on the code is kept on disk
MOST_BYTES = 1 << 27  # of programs on disk; those that were used last stay
NAME = "tapejit_program"

_known = weakref.WeakValueDictionary()  # digest of a program's code -> the engine that has it
_recent = collections.deque(maxlen=RECENT)


class _Linking:
    """Held while LLVM changes what all threads share, or Numba compiles for a program.

    A fork waits for it, so that a child finds all that whole, and so does the end of the process.
    """


linking = _Linking()
forks.renewed(linking, "lock", threading.RLock)
forks.register(lambda: linking.lock.acquire(), lambda: linking.lock.release(), optimiser.in_child)
# Never given back: a daemon thread that needs it stops there.
atexit.register(lambda: linking.lock.acquire(timeout=optimiser.LONGEST_EXIT))


class Engine:
    """An execution engine, and the addresses of the programs in it."""

    def __init__(self):
        machine = optimiser.new_machine()
        empty = llvm.parse_assembly(f'target triple = "{machine.triple}"')
        self._engine = llvm.create_mcjit_compiler(empty, machine)
        self.addresses = {}

    def add(self, digest, code):
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        self.addresses[digest] = self._engine.get_function_address(_symbol(digest))


def _symbol(digest):
    return f"{NAME}_{digest}"


def linked(text, joins):
    """The digest of a module, and the engine with its code: ``addresses[digest]`` is that of its ``tapejit_program``.

    The caller keeps the engine as long as it uses the address.

    Args:
        text: the module.
        joins: see ``optimiser.object_code``.
    """
    digest = hashlib.blake2b(f"{optimiser.target()} {joins} {text}".encode(), digest_size=12).hexdigest()
    engine = found(digest)
    if engine is None:
        engine = _entered(digest, _object_code(digest, text, joins))
    return digest, engine


def found(digest):
    """The engine with the code of that digest, None if it is neither in this process nor on disk."""
    engine = _known.get(digest)
    if engine is None:
        code = store.read(_file(digest))
        if code is not None:
            store.touch(_file(digest))
            engine = _entered(digest, code)
    return engine


def _file(digest):
    return f"program-{digest}.obj"


def _object_code(digest, text, joins):
    """The object code of a module, kept on disk if it took a while: no address of this process is in it."""
    named = text.replace(f"@{NAME}(", f"@{_symbol(digest)}(").replace(f'@"{NAME}"(', f'@"{_symbol(digest)}"(')
    start = time.perf_counter()
    code = optimiser.object_code(named, joins)
    if time.perf_counter() - start > WORTH_KEEPING:
        store.write(_file(digest), code)
        store.bound("program-", MOST_BYTES)
    return code


def _entered(digest, code):
    """The engine that a program's code is in from now on."""
    with linking.lock:
        engine = _known.get(digest)  # another thread may have made the same
        if engine is None:
            if not _recent or len(_recent[-1].addresses) >= PER_ENGINE:
                _recent.append(Engine())
            engine = _recent[-1]
            engine.add(digest, code)
            _known[digest] = engine
        return engine
