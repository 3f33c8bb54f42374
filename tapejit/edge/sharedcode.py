"""Object code of the engine's functions that code made later calls, in this process and in those after it.

An object on disk is named by a digest of what it is and never changes, so whoever was made against it finds the same code under
the same symbols, or nothing: then what needs it is compiled again.
"""

import ctypes
import hashlib
import pickle

import llvmlite.binding as llvm
from numba.core.compiler import lookup_environment

from tapejit.edge import room, store
from tapejit.edge.numba import caching, cpu_target

_ENVIRONMENT = "_ZN08NumbaEnv"  # begins the variables that hold a function's Python objects
_objects = {}  # name -> object
_where = {}  # symbol -> name of the object that defines it


class Missing(Exception):
    """An object that code was made against is gone."""


class _Object:
    """Object code, the symbols it defines, and the objects that it needs; in the engine once somebody needs it."""

    def __init__(self, code, symbols, environments, needs):
        self.code, self.symbols, self.environments, self.needs = code, symbols, environments, needs
        self.inside = False


def object_code(module) -> bytes:
    """The machine code of an optimised module."""
    room.ask()
    return cpu_target.target_context.codegen()._tm.emit_object(module)


def described(module):
    """(the symbols that a module defines, Python objects of its functions, the objects whose code it calls)."""
    functions = list(module.functions)
    variables = list(module.global_variables)
    symbols = [x.name for x in (*functions, *variables) if not x.is_declaration and x.linkage != llvm.Linkage.internal]
    found = [lookup_environment(v.name) for v in variables if v.name.startswith(_ENVIRONMENT)]
    for environment in filter(None, found):  # Numba finds it again by a module's name, which generated functions may lack
        environment.globals.setdefault("__name__", __name__)
    needs = {_where[f.name]: None for f in functions if f.is_declaration and f.name in _where}
    return symbols, [e for e in found if e is not None], tuple(needs)


def run(code, symbols, environments, needs) -> None:
    """Put object code into Numba's engine, after the objects that it needs."""
    for name in needs:
        need(name)
    generator = cpu_target.target_context.codegen()
    engine = generator._engine
    engine._ee.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    engine._defined_symbols.update(symbols)
    generator._rtlinker._defined.update(symbols)  # what is called by its name, a recursive function, is here from now on
    defined = set(symbols)
    for environment in environments:
        if environment.env_name in defined:
            address = engine.get_global_value_address(environment.env_name)
            ctypes.c_void_p.from_address(address).value = id(environment)


def make(module, symbols) -> None:
    """Make an object of an optimised module, for this process and on disk, whose functions ``symbols`` others may call."""
    defined, environments, needs = described(module)
    code = object_code(module)
    kept = [e for e in environments if e.can_cache()]
    contents = caching.dumps((code, defined, kept, needs, tuple(symbols)))
    name = f"shared-{hashlib.blake2b(contents, digest_size=16).hexdigest()}.nbo"
    store.write(name, contents)
    _know(name, _Object(code, defined, environments, needs), symbols)


def _know(name, known, symbols):
    _objects[name] = known
    _where.update(dict.fromkeys(symbols, name))


def where(symbol) -> str:
    """The name of the object that defines a function."""
    return _where[symbol]


def find(name) -> None:
    """Read an object and those that it needs, where that has not been done.

    Raises:
        Missing: if one of them is gone.
    """
    if name in _objects:
        return
    contents = store.read(name)
    if contents is None:
        raise Missing(name)
    *known, symbols = pickle.loads(contents)
    known = _Object(*known)
    for other in known.needs:
        find(other)
    _know(name, known, symbols)


def need_function(symbol) -> None:
    """Put the object that defines a function into the engine, if there is one."""
    if symbol in _where:
        need(_where[symbol])


def need(name) -> None:
    """Put an object into the engine, unless it is there.

    Raises:
        Missing: if it is gone.
    """
    find(name)
    known = _objects[name]
    if not known.inside:
        known.inside = True
        run(known.code, known.symbols, known.environments, known.needs)
        known.code = None
