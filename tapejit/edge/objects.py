"""Machine code from LLVM modules, kept in ``store`` under a digest of what it was made from."""

import functools
import hashlib
import itertools

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core.runtime import rtsys

from tapejit.edge import optimiser, store
from tapejit.edge.caching import engine_stamp
from tapejit.edge.numba import cpu_target, global_compiler_lock
from tapejit.edge.vecmath import processor

_known = {}  # digest of a module -> the addresses of its functions
_numbers = itertools.count()  # for functions that nothing tells from others of their name


def has_fma() -> bool:
    """Whether the processor that code is made for has fused multiply-add."""
    return processor.has_fma(cpu_target.target_context)


@functools.cache
def _engine():
    """Owns all code of the engine, which is never given back."""
    rtsys.initialize(cpu_target.target_context)
    machine = optimiser.new_machine()
    return llvm.create_mcjit_compiler(llvm.parse_assembly(f'target triple = "{machine.triple}"'), machine)


@global_compiler_lock
def addresses(name: str, key: str, symbols: tuple, write, keep: bool = True, **options) -> tuple:
    """The addresses of functions of a module.

    Args:
        name: of the file on disk.
        key: text that determines the code, besides the engine's own sources, the processor and LLVM's version.
        symbols: the functions, plain identifiers; a digest is added to them.
        write: called with an empty ``llvmlite.ir.Module`` and the full symbols, to write what is not on disk.
        keep: whether the code is looked for on disk and kept there.
        options: of ``optimiser.object_code``.
    """
    material = repr((name, key, symbols, engine_stamp(), optimiser.target()))
    digest = hashlib.blake2b(material.encode(), digest_size=12).hexdigest()
    if keep and digest in _known:  # another thread was first
        return _known[digest]
    full = [f"tapejit_{symbol}_{digest if keep else next(_numbers)}" for symbol in symbols]
    file = f"{name}-{digest}.obj"
    code = store.read(file) if keep else None
    if code is None:
        machine = optimiser.target_machine()
        module = ir.Module(name)
        module.triple = machine.triple
        module.data_layout = str(machine.target_data)
        write(module, full)
        code = optimiser.object_code(str(module), False, **options)
        if keep:
            store.write(file, code)
    engine = _engine()
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    found = tuple(engine.get_function_address(s) for s in full)
    if keep:
        _known[digest] = found
    return found


def compiled_address(name: str, key: str, write) -> int:
    """The address of function ``name`` of a module of its own; arguments as of ``addresses``, ``write`` with its one symbol."""
    return addresses(name, key, (name,), lambda module, symbols: write(module, symbols[0]), level=3)[0]
