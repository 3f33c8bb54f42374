"""Whether the interpreter and Numba are such as this package needs, said in one sentence before anything depends on it.

``at_import`` refuses what cannot work; ``at_first_use`` tries what the engine relies on. What has a fallback is not refused:
the native door stays shut where objects look otherwise (``capi.layouts_hold``), code is compiled in each process where Numba
does not ask for our cache.
"""

import functools
import importlib

from tapejit.edge.cpython import check_interpreter

TRIED = "Numba 0.68"  # the releases that the tests were run with
_INSTALLED = ("numba", "symbols", "caching")  # to be in place before the first function is compiled


def at_import() -> None:
    """Put our names and our cache in place.

    Raises:
        ImportError: where the interpreter or Numba cannot be used.
    """
    check_interpreter()
    try:
        for name in _INSTALLED:
            importlib.import_module(f"tapejit.edge.{name}")
    except (ImportError, AttributeError) as error:
        raise ImportError(f"{_mismatch()}: {error}") from error
    check_jit()


def check_jit() -> None:
    """Refuse to start where Numba is told to leave functions as they are.

    Raises:
        ImportError: if NUMBA_DISABLE_JIT is set.
    """
    from tapejit.edge.numba import config

    if config.DISABLE_JIT:
        raise ImportError(
            "tapejit's engine is compiled by Numba, which NUMBA_DISABLE_JIT=1 (or numba.config.DISABLE_JIT) switches off: "
            "unset it; to debug a function of your own, call the undecorated function"
        )


@functools.cache
def at_first_use() -> None:
    """Try the undocumented parts of Numba that the engine stands on.

    Raises:
        RuntimeError: if one of them is not what it was.
    """
    from numba import njit
    from numba.core.bytecode import FunctionIdentity

    from tapejit.edge import lean, optimiser
    from tapejit.edge.numba import cpu_target

    check_jit()

    def probe(x):
        return x

    first, second = (FunctionIdentity.from_function(probe).unique_id for _ in range(2))
    context = cpu_target.target_context
    parts = {
        "numbers of functions": second > first > 1 << 16,
        "description of the processor": len(context.codegen().magic_tuple()) == 3,
        "compiled overloads": hasattr(njit(probe), "overloads"),
        "passes of the compiler": lean.complete(),
        "LLVM's functions": optimiser.reachable(),
        "code libraries": hasattr(context.codegen(), "unserialize_library"),
    }
    wrong = [name for name, holds in parts.items() if not holds]
    if wrong:
        raise RuntimeError(f"{_mismatch()}: {', '.join(wrong)}")


def _mismatch():
    import numba

    return f"tapejit was tried with {TRIED}; Numba {numba.__version__} differs in a part that it needs, so install one of those"
