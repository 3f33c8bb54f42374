"""LLVM's optimiser and code generator for the text of a module, beside which all other threads go on.

llvmlite calls LLVM under one lock of the process. A module in a context of its own needs none: the three steps that take
long are called without it, so neither Numba in another thread nor a child of a fork waits for them.
"""

import atexit
import contextlib
import ctypes
import functools
import threading

import llvmlite
import llvmlite.binding as llvm
from llvmlite.binding import ffi
from llvmlite.binding.module import ModuleRef

from tapejit.edge import room
from tapejit.edge.numba import cpu_target

LONGEST_EXIT = 5.0  # seconds that the end of the process may wait for LLVM in a thread that nobody waits for

_local = threading.local()


class Ended(BaseException):
    """The process ends: LLVM must not be entered any more by threads that nobody waits for."""


class _Unawaited:
    """LLVM's work in daemon threads: the process must not take LLVM apart meanwhile."""

    def __init__(self):
        self.change = threading.Condition()
        self.inside = 0
        self.ended = False

    @contextlib.contextmanager
    def work(self):
        with self.change:
            if self.ended:
                raise Ended
            self.inside += 1
        try:
            yield
        finally:
            with self.change:
                self.inside -= 1
                self.change.notify_all()

    def end(self):
        with self.change:
            self.ended = True
            self.change.wait_for(lambda: not self.inside, LONGEST_EXIT)


_unawaited = _Unawaited()
atexit.register(lambda: _unawaited.end())


@functools.cache
def target() -> tuple:
    """The processor that Numba compiles for (triple, name, features), and the versions of llvmlite and LLVM."""
    return (*cpu_target.target_context.codegen().magic_tuple(), llvmlite.__version__, llvm.llvm_version_info)


def new_machine():
    """A machine for the processor that Numba compiles for."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    triple, cpu, features, *_ = target()
    return llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, features=features, opt=2, jit=True)


def target_machine():
    """The machine of this thread."""
    if not hasattr(_local, "machine"):
        _local.machine = new_machine()
    return _local.machine


def object_code(text, joins: bool, level: int = 2, inlining: int | None = None) -> bytes:
    """The object code of a module; other threads run meanwhile.

    Args:
        text: of the module.
        level: of LLVM's optimisation, as in -O2.
        inlining: the cost up to which a function is put in place of its call; by default what the level says (225 and more).
        joins: independent scalar operations may become vector operations. That pays for long scalar code only (a third of its
            time), and LLVM has been seen to leave broken code behind, which would end the process later on: so the outcome is
            verified, and made again without.

    Raises:
        RuntimeError: for text that is no module.
        MemoryError: if there is no memory for LLVM.
    """
    room.ask()
    context = llvm.create_context()
    module = _parsed(text, context)
    _optimise(module, joins, level, inlining)
    try:
        module.verify()
    except RuntimeError:
        if not joins:
            raise
        return object_code(text, False, level, inlining)
    return _emitted(module)


def _unlocked(name, *args):
    """Call a function of LLVM without llvmlite's lock."""
    function = getattr(ffi.lib, name)._cfn
    with _unawaited.work() if threading.current_thread().daemon else contextlib.nullcontext():
        return function(*args)


def _parsed(text, context):
    with ffi.OutputString() as message:
        pointer = _unlocked("LLVMPY_ParseAssembly", context, ctypes.c_char_p(text.encode()), message)
        module = ModuleRef(pointer, context)
        if message:
            module.close()
            raise RuntimeError(f"LLVM IR parsing error\n{message}")
    return module


def _optimise(module, joins, level, inlining):
    options = llvm.create_pipeline_tuning_options(speed_level=level)
    if inlining is not None:
        options.inlining_threshold = inlining
    options.loop_vectorization = True
    options.slp_vectorization = joins
    options.loop_unrolling = True
    builder = llvm.create_pass_builder(target_machine(), options)
    passes = builder.getModulePassManager()
    try:
        _unlocked("LLVMPY_RunNewModulePassManager", passes, module, builder)
    finally:
        # Its own close() finds the wrong method and leaves the passes in memory (llvmlite 0.47 to 0.50), 65 kB.
        ffi.lib.LLVMPY_DisposeNewModulePassManger(passes)
        passes.detach()


def _emitted(module):
    with ffi.OutputString() as message:
        buffer = _unlocked("LLVMPY_TargetMachineEmitToMemory", target_machine(), module, 1, message)
        if not buffer:
            raise RuntimeError(str(message))
    try:
        return ctypes.string_at(ffi.lib.LLVMPY_GetBufferStart(buffer), ffi.lib.LLVMPY_GetBufferSize(buffer))
    finally:
        ffi.lib.LLVMPY_DisposeMemoryBuffer(buffer)


def reachable() -> bool:
    """Whether llvmlite has what this module uses."""
    return hasattr(ffi.lib.LLVMPY_RunNewModulePassManager, "_cfn") and hasattr(ffi.lib._lock, "_lock")


def in_child():
    """After a fork: threads that the child does not have may have held llvmlite's lock, or been inside."""
    global _unawaited
    _unawaited = _Unawaited()
    ffi.lib._lock._lock = threading.RLock()
