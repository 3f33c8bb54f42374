"""Machine code linked into the process: many programs share an execution engine, and equal programs their code.

An engine takes 0.75 MB, however little code is in it. Its code is given back when none of its programs is left.
"""

import collections
import hashlib
import threading
import weakref

import llvmlite.binding as llvm

from tapejit.core import forks
from tapejit.edge import optimiser

PER_ENGINE = 32  # programs, so that one which is kept does not hold on to the code of many that are not
RECENT = 4  # engines that stay without any program: the next closure over the same code finds it there
NAME = "tapejit_program"

_known = weakref.WeakValueDictionary()  # digest of a program's code -> the engine that has it
_recent = collections.deque(maxlen=RECENT)


class _Linking:
    """Held while LLVM changes what all threads share. A fork waits for it, so that a child finds it whole."""


linking = _Linking()
forks.renewed(linking, "lock", threading.RLock)
forks.register(lambda: linking.lock.acquire(), lambda: linking.lock.release(), optimiser.in_child)


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
    """The engine with the code of a module, and the address of its function ``tapejit_program``.

    The caller keeps the engine as long as it uses the address.

    Args:
        text: the module.
        joins: see ``optimiser.object_code``.
    """
    digest = hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
    engine = _known.get(digest)
    if engine is None:
        named = text.replace(f"@{NAME}(", f"@{_symbol(digest)}(").replace(f'@"{NAME}"(', f'@"{_symbol(digest)}"(')
        engine = _entered(digest, optimiser.object_code(named, joins))
    return engine, engine.addresses[digest]


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
