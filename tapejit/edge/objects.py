"""Machine code from LLVM modules, kept on disk under a digest of what it was made from.

One file per kernel, written under a temporary name and renamed, so that processes that start together cannot read a
half-written one; there is no index that they could disagree about.
"""

import hashlib
import os
import pickle
import uuid

import numba

from tapejit.edge.cache import cache_folder, engine_stamp
from tapejit.edge.numba import cpu_target, global_compiler_lock
from tapejit.kernels.vecmath import processor

_libraries = []  # own the machine code; kernels are never dropped


def has_fma() -> bool:
    """Whether the processor that code is made for has fused multiply-add."""
    return processor.has_fma(cpu_target.target_context)


@global_compiler_lock
def compiled_address(name: str, key: str, write) -> int:
    """The address of function ``name``.

    Args:
        name: the function's symbol, a plain identifier.
        key: text that determines the code, besides the engine's own sources and the processor.
        write: called with an empty ``llvmlite.ir.Module`` to put the function in, when it is in no cache.
    """
    codegen = cpu_target.target_context.codegen()
    material = repr((name, key, engine_stamp(), numba.__version__, codegen.magic_tuple()))
    digest = hashlib.blake2b(material.encode(), digest_size=12).hexdigest()
    symbol = f"tapejit_{name}_{digest}"
    folder = cache_folder()
    path = folder and os.path.join(folder, f"{name}-{digest}.obj")
    library = _load(codegen, path)
    if library is None:
        library = codegen.create_library(symbol)
        library.enable_object_caching()
        module = library.create_ir_module(symbol)
        write(module, symbol)
        library.add_ir_module(module)
        library.finalize()
        _store(path, library.serialize_using_object_code())
    _libraries.append(library)
    return library.get_pointer_to_function(symbol)


def _load(codegen, path):
    try:
        with open(path, "rb") as file:
            return codegen.unserialize_library(pickle.load(file))
    except (OSError, TypeError, EOFError, pickle.UnpicklingError):
        return None


def _store(path, payload):
    if path is None:
        return
    temporary = f"{path}.{uuid.uuid4().hex[:12]}"
    try:
        with open(temporary, "wb") as file:
            pickle.dump(payload, file)
        os.replace(temporary, path)
    except OSError:  # a full or read-only disk costs the next process its compile time, nothing else
        if os.path.exists(temporary):
            os.unlink(temporary)
