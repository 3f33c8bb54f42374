"""Machine code from LLVM modules, kept in ``store`` under a digest of what it was made from."""

import hashlib
import pickle

from tapejit.edge import store
from tapejit.edge.caching import engine_stamp
from tapejit.edge.numba import cpu_target, global_compiler_lock
from tapejit.edge.vecmath import processor

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
    material = repr((name, key, engine_stamp(), codegen.magic_tuple()))
    digest = hashlib.blake2b(material.encode(), digest_size=12).hexdigest()
    symbol = f"tapejit_{name}_{digest}"
    contents = store.read(f"{name}-{digest}.obj")
    library = None if contents is None else codegen.unserialize_library(pickle.loads(contents))
    if library is None:
        library = codegen.create_library(symbol)
        library.enable_object_caching()
        module = library.create_ir_module(symbol)
        write(module, symbol)
        library.add_ir_module(module)
        library.finalize()
        store.write(f"{name}-{digest}.obj", pickle.dumps(library.serialize_using_object_code()))
    _libraries.append(library)
    return library.get_pointer_to_function(symbol)

