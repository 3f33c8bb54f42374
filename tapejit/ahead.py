"""Compiling ahead: the engine, the kernels of every op, and the native door, so that no first gradient waits for them."""

from collections.abc import Callable, Iterable

from tapejit.core import engine
from tapejit.core import record as R
from tapejit.eager import frameless
from tapejit.edge import capi, store
from tapejit.kernels.library import KERNELS
from tapejit.replay.door import entry
from tapejit.spec.table import OPS

_DTYPES = {"float64": R.F64, "float32": R.F32}


def warm(dtypes: Iterable[str] = ("float64",), progress: Callable[[int, int, str], object] | None = None) -> int:
    """Compile what first gradients would compile, and keep it on disk for all later processes.

    A first run takes half a minute, another one a second. Programs of recorded functions and gradients of nopython depend
    on the user's code and are not among it.

    Args:
        dtypes: the float types whose kernels are compiled, ``"float64"``, ``"float32"`` or both.
        progress: called as ``progress(done, total, name)`` before each piece, and with ``done == total`` at the end.

    Returns:
        How many pieces there are.

    Raises:
        ValueError: for another dtype.
        RuntimeError: if there is no place to keep compiled code.
    """
    unknown = [d for d in dtypes if d not in _DTYPES]
    if unknown:
        raise ValueError(f"dtypes are 'float64' and 'float32', got {unknown[0]!r}")
    if store.folder() is None:
        raise RuntimeError("there is no place to keep compiled code: set NUMBA_CACHE_DIR to a folder that can be written")
    pieces = [*_core(), *_kernels([_DTYPES[d] for d in dtypes]), *_doors()]
    for done, (name, compile_piece) in enumerate(pieces):
        if progress:
            progress(done, len(pieces), name)
        compile_piece()
    if progress:
        progress(len(pieces), len(pieces), "")
    return len(pieces)


def _core():
    for name in engine.core_functions():
        yield name, lambda name=name: getattr(engine, name)


def _kernels(codes):
    for op in OPS[1:]:
        if op.alias_of is not None:
            continue
        rules = (op.value, *op.rules) if op.elementwise else KERNELS[op.name]
        for which, rule in enumerate(rules):
            for code in codes:
                slot = op.code * R.KERNELS_PER_OP + code * 4 + which
                if rule is not None and not engine.kernel_table[slot]:
                    yield op.name, lambda slot=slot: engine.compile_slot(slot)


def _doors():
    if capi.layouts_hold():
        for function in (entry.answer, entry.call, entry.call_into):
            yield f"door {function.__name__}", lambda function=function: entry.address(function)
        yield "operators", frameless.addresses
