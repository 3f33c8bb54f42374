"""The compiled engine: the jitted core loaded on first use, and the table of kernels filled as ops are met.

Functions of the core are called through entry points of their own, which skips Numba's dispatcher (71 ns against 151). A module
of the core is compiled as one, by ``edge.plain``; by Numba, each function when it is met, where the sources are not there.
"""

import functools
import importlib

import numpy as np
from numba.core import types

from tapejit.core import record as R
from tapejit.edge import collecting, room, selftest, signals
from tapejit.edge.plain import code as plain
from tapejit.edge.plain.operators import DOUBLE, WORD
from tapejit.edge.plain.source import Unknown
from tapejit.spec.table import OPS, VALUES, entered

_MAX_OPS = 512
kernel_table = np.zeros(_MAX_OPS * R.KERNELS_PER_OP, dtype=np.int64)
traits_table = np.zeros(_MAX_OPS, dtype=np.int64)


def compile_slot(slot: int) -> None:
    """Compile, or load from the disk cache, the kernel of one slot of the table."""
    op = OPS[slot // R.KERNELS_PER_OP]
    if op.alias_of is not None:
        twin = slot + (op.alias_of.code - op.code) * R.KERNELS_PER_OP
        if not kernel_table[twin]:
            compile_slot(twin)
        kernel_table[slot] = kernel_table[twin]
        return
    dtype, which = divmod(slot % R.KERNELS_PER_OP, 4)
    room.ask()
    with signals.deferred(), collecting.paused():
        kernel_table[slot] = _build(op, which, dtype)


def build_with(build) -> None:
    """Say what makes kernels: ``build(op, which, dtype)`` answers an address. The kernels' library, above, says it."""
    global _build
    _build = build


def set_traits(op) -> None:
    """Write what the sweep must know about an op into the traits table."""
    if op.code >= _MAX_OPS:
        raise RuntimeError(f"the op table has room for {_MAX_OPS} ops; {op.name!r} is one too many")
    word = 0
    for j, needs in enumerate(op.needs[:3]):
        word |= sum(1 << (4 * j + i) for i, name in enumerate(VALUES) if name in needs)
        word |= (R.T_IDENTITY << j) if op.is_identity(j) else 0
    word |= R.T_ELEMENTWISE if op.elementwise else 0
    word |= R.T_CONDITION if op.condition else 0
    word |= R.T_SCATTER if op.scatter else 0
    word |= R.T_ERASE if op.erase else 0
    word |= R.T_RULE if op.joint else 0
    word |= R.T_STATUS if op.failure else 0
    traits_table[op.code] = word


for _op in OPS:
    set_traits(_op)
entered.append(set_traits)


@functools.cache
def _module(module):
    """The entry points of a module of the core, by name."""
    room.ask()
    functions = {}
    for name in _NAMES[module].split():
        function = getattr(importlib.import_module(f"tapejit.core.{module}"), name)
        functions[name] = function.py_func, tuple(DOUBLE if floats else WORD for floats in _argument_floats(function, name))
    return plain.for_python(f"core_{module}", functions)


def _argument_floats(function, name):
    """For each argument of a core function whether it is a float64."""
    return [i in _FLOATS.get(name, ()) for i in range(function.py_func.__code__.co_argcount)]


def _by_numba(module, name):
    room.ask()
    function = getattr(importlib.import_module(f"tapejit.core.{module}"), name)
    function.enable_caching()
    signature = tuple(types.float64 if floats else types.int64 for floats in _argument_floats(function, name))
    function.compile(signature)
    return function.overloads[signature].entry_point


_NAMES = {
    "append": """unary binary scalar general view value constant external item link_gradient changed
        overwrite inplace fill_inplace settle""",
    "updates": "update",
    "sweep": "prepare give_seed run resume contribute abandon take_adjoint backward_scalar forget",
    "forward": "forward",
    "rote": "sweep_by_lessons run_by_lessons",
    "needed": "mark_needed",
    "recordkinds": "number_rows number_records",
    "recurring": "survey split compared distances recur stretches",
    "reclaim": "reclaim spare give_idle",
}
_FLOATS = {  # the positions of float64 arguments
    "scalar": (3,),
    "inplace": (4,),
    "fill_inplace": (2,),
    "general": (8,),
    "constant": (3,),
}


def core_functions() -> list[str]:
    """The names of all core functions."""
    return " ".join(_NAMES.values()).split()


def load(name):
    """The entry point of a core function, compiled or loaded from the cache.

    Raises:
        MemoryError: if there is no memory for that.
    """
    selftest.at_first_use()
    for module, names in _NAMES.items():
        if name in names.split():
            with signals.deferred(), collecting.paused():
                try:
                    return _module(module)[name]
                except Unknown:
                    return _by_numba(module, name)
    raise AttributeError(f"module 'tapejit.core.engine' has no attribute {name!r}")


def late(namespace: dict, name: str, entry: str):
    """A function that at its first call puts the entry point of a core function in its own place.

    So ``_binary = late(globals(), "_binary", "binary")`` costs nothing at import and a plain global afterwards.
    """

    def stub(*args):
        namespace[name] = function = globals().get(entry) or __getattr__(entry)
        return function(*args)

    return stub


def __getattr__(name):
    """Core functions are loaded when they are first asked for, and then are plain globals of this module."""
    if name.startswith("__"):
        raise AttributeError(name)
    globals()[name] = entry = load(name)
    return entry
