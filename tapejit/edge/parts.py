"""Libraries of compiled functions whose machine code is made when somebody asks for an address in it, and not before.

Numba makes a function machine code, together with all that it calls, also where only other compiled code will ever call it:
a gradient of six lines has more than two hundred such parts, each of them optimised again in all that use it. Here a
part stays what it was written as. The first function that Python calls is made of all its parts at once.

Parts that ``caching`` keeps are the engine's. They are made machine code once, in one object for all that are new (see
``sharedcode``), and code made later calls them there. Only the short ones are put in place of their calls.
"""

import contextlib
import re
import weakref

import llvmlite.binding as llvm
from numba.core import codegen, cpu
from numba.core.compiler import Compiler, CompilerBase

from tapejit.edge import sharedcode
from tapejit.edge.numba import cpu_target

LONG = 60  # instructions of a function from which on it is called where it is, and not put in place of its calls
_UNRESOLVED = codegen.RuntimeLinker.PREFIX  # begins the names of functions that are called before they are compiled
_WRAPPERS = ("_ZN7cpython", "cfunc.")  # begin the names of those that Python and C call
_new = []  # parts that are to be kept
_finalized = weakref.WeakValueDictionary()  # function -> the part that defines it
_HEAD = re.compile(r'@"?([^"(]+)"?\(')


class _NoEnvironment:
    """Numba's code generator where functions have their Python objects from ``sharedcode.run``."""

    def __init__(self, generator):
        self._generator = generator

    def __getattr__(self, name):
        return getattr(self._generator, name)

    def set_env(self, name, environment):
        """Nothing: what has no machine code yet has no place for it either."""


class Part(codegen.JITCodeLibrary):
    """A library that is optimised and made machine code on demand.

    Attributes:
        symbol: the function that other code calls, once the part is to be kept.
        write: called with the part's state when it is settled (see ``settle``), to keep it on disk.
        settled: whether it is known to be shared or not.
        shared: whether its code is in a shared object.
        called: whether C calls it although Python does not.
    """

    symbol = write = None
    settled = shared = called = False
    _made = False
    _joined = _contents = _bitcode = None
    _empty = True

    @property
    def codegen(self):
        return _NoEnvironment(self._codegen)

    def add_llvm_module(self, module):
        module.data_layout = self._codegen._data_layout
        if self._empty:
            self._final_module, self._empty = module, False
        else:
            self._final_module.link_in(module)

    def finalize(self):
        self._raise_if_finalized()
        self._finalize_dynamic_globals()
        if self._dynamic_globals:  # mostly names of functions, whose values nobody reads
            _run(self._codegen, self._final_module, "sroa", "aggressive_dce", "global_dead_code_eliminate")
            self._dynamic_globals.clear()
            self._finalize_dynamic_globals()
        self._finalized = True
        for library in self._linking_libraries:
            self._reload_init.update(library._reload_init)
        self.defined = _defined(self._final_module)
        for name in self.defined:
            self._final_module.get_function(name).linkage = "weak_odr"
        _finalized.update((name, self) for name in self.defined)
        awaited = self._codegen._rtlinker._unresolved
        if any(name in awaited for name in self.defined) or self.asks_by_name():
            self._make()  # a recursive function: its address is asked for by name

    def asks_by_name(self):
        """Whether functions in it are called before they are compiled, as recursive ones are."""
        return any(v.name.startswith(_UNRESOLVED) for part in self.parts() for v in part.module.global_variables)

    def parts(self):
        """This part and all that it calls, each once, without shared ones."""
        found = {}
        waiting = [self]
        while waiting:
            part = waiting.pop()
            if isinstance(part, Part) and not part.shared and id(part) not in found:
                found[id(part)] = part
                waiting.extend(reversed(part._linking_libraries))
        return list(found.values())

    @property
    def has_dynamic_globals(self):
        self._ensure_finalized()
        parts = self.parts()
        return any(p._dynamic_globals for p in parts) or any(b.has_dynamic_globals for b in _others(parts))

    def is_called_from_outside(self):
        """Whether it has functions that Python or C calls."""
        names = self.defined if self._finalized else _defined(self._final_module)
        return any(name.startswith(_WRAPPERS) for name in names)

    def get_pointer_to_function(self, name):
        self._ensure_finalized()
        if name not in self.defined:
            return 0
        self._make()
        return self._codegen._engine.get_function_address(name)

    def _make(self):
        """Machine code of it, for this process."""
        if self._made:
            return
        linker, engine = self._codegen._rtlinker, self._codegen._engine
        if self._contents is None:
            settle()
            module = joined(self._codegen, [self])
            self._final_module = optimised(self._codegen, module)
            self._linking_libraries = []
            symbols, environments, needs = sharedcode.described(module)
            self._contents = sharedcode.object_code(module), symbols, environments, needs
            linker.scan_unresolved_symbols(module, engine)
        elif _UNRESOLVED.encode() in (self._bitcode or b""):
            linker.scan_unresolved_symbols(self.module, engine)
        sharedcode.run(*self._contents)
        self._made = True
        for name in list(linker._unresolved):  # what was compiled before, and is asked for by name now
            if name in _finalized and not _finalized[name].shared:
                _finalized[name]._make()
            else:
                sharedcode.need_function(name)
        linker.resolve(engine)

    def _get_compiled_object(self):
        self._make()
        return self._contents[0]

    def _get_module_for_linking(self):
        """For a library of Numba's own kind: all that is not shared."""
        self._ensure_finalized()
        if self._joined is None:
            settle()
            self._joined = joined(self._codegen, [self], "linkonce_odr")
            for name in (*self._own_objects(), *sharedcode.described(self._joined)[2]):
                sharedcode.need(name)
        return self._joined

    def keep(self, symbol, write):
        """Have the state written, now or when it is settled."""
        if self.is_called_from_outside() or self._made:
            self._make()
            write(self._state())
        else:
            self.symbol, self.write = symbol, write
            _new.append(self)

    def _own_objects(self):
        """The shared object that it is in, if it is in one."""
        return (sharedcode.where(self.symbol),) if self.shared else ()

    def _state(self):
        """What ``loaded`` makes it of again, in another process."""
        if self.shared:
            return self.name, self.defined, None, self._own_objects(), self.symbol
        module = joined(self._codegen, [self], "weak_odr")
        return self.name, self.defined, module.as_bitcode(), sharedcode.described(module)[2], self._contents

    @classmethod
    def loaded(cls, generator, state):
        """A part that another process has kept.

        Raises:
            sharedcode.Missing: if what its code calls is gone.
        """
        name, defined, bitcode, needs, contents = state
        for needed in needs:
            sharedcode.find(needed)
        self = cls(generator, name)
        self.settled, self.shared, self._finalized = True, bitcode is None, True
        self.defined, self._bitcode = defined, bitcode
        if self.shared:
            self.symbol = contents
        else:
            self._contents = contents
        _finalized.update((name, self) for name in self.defined)
        return self

    @property
    def module(self):
        """Its own code, or, of one that was loaded, all that is not shared."""
        if self._bitcode is not None:
            self._final_module, self._bitcode = llvm.parse_bitcode(self._bitcode), None
        return self._final_module


def _defined(module):
    return [f.name for f in module.functions if not f.is_declaration and f.linkage == llvm.Linkage.external]


def _others(parts):
    """The libraries of Numba's own kind that parts call."""
    return {id(b): b for part in parts for b in part._linking_libraries if not isinstance(b, Part)}.values()


def joined(generator, roots, linkage="external"):
    """One module of the code of parts and all that they call and is not shared."""
    parts = list({id(p): p for root in roots for p in root.parts()}.values())
    module = llvm.parse_assembly(str(generator._create_empty_module(roots[0].name)))
    for part in parts:
        module.link_in(part.module, preserve=True)
    for library in _others(parts):
        module.link_in(library._get_module_for_linking(), preserve=True)
    own = {name for root in roots for name in root.defined}
    for function in module.functions:
        if not function.is_declaration and function.linkage in (llvm.Linkage.weak_odr, llvm.Linkage.external):
            function.linkage = linkage if function.name in own else "linkonce_odr"
    return module


def optimised(generator, module):
    """The module, through LLVM's passes in the order in which Numba runs them."""
    library = codegen.JITCodeLibrary(generator, module.name)
    library._final_module = module
    library._optimize_final_module()
    module.verify()
    return module


def _run(generator, module, *names):
    """Run some of LLVM's passes."""
    passes = llvm.create_new_module_pass_manager()
    for name in names:
        getattr(passes, f"add_{name}_pass")()
    passes.run(module, generator._pass_builder(opt=0))


def settle() -> None:
    """Make one shared object of the parts that are new and to be kept, and keep them."""
    fresh = _new[:]
    _new.clear()
    if not fresh:
        return
    generator = fresh[0]._codegen
    module = optimised(generator, joined(generator, fresh))
    lengths = _lengths(module)
    for part in fresh:
        part.settled = True
        part.shared = lengths[part.symbol] >= LONG
        if not part.shared:
            for name in part.defined:
                module.get_function(name).linkage = "linkonce_odr"
    if any(part.shared for part in fresh):
        _run(generator, module, "global_dead_code_eliminate")
        sharedcode.make(module, [part.symbol for part in fresh if part.shared])
    for part in fresh:
        part.write(part._state())
        part.write = None


def _lengths(module):
    """The number of lines of each function's code; none of one that is to be put in place of its calls at any cost."""
    lengths = {}
    name = None
    for line in str(module).splitlines():
        if line.startswith("define "):
            name = _HEAD.search(line).group(1)
            lengths[name] = 0
        elif name is not None:
            lengths[name] += 1
    return lengths


_compilations = 0  # of this package's pipelines under way; Numba has one lock for all threads
_shorter = []  # than Numba's passes: see ``set_shorter``
_generator = cpu_target.target_context.codegen()
_create, _unserialize = _generator.create_library, _generator.unserialize_library


class PartCompiler(CompilerBase):
    """Numba's compiler for functions of which, and of whose parts, machine code is made on demand."""

    def _compile_bytecode(self):
        with on_demand(1):
            state = self.state
            state.library = Part(_generator, state.func_id.func_qualname)
            state.library.called = not state.flags.no_cfunc_wrapper
            for way, unknown in _shorter:
                with contextlib.suppress(unknown):
                    return way(state)
            return super()._compile_bytecode()


class PartsOfNumba(PartCompiler):
    """The same with all of Numba's passes."""

    define_pipelines = Compiler.define_pipelines


def set_shorter(way, unknown) -> None:
    """Have functions compiled by ``way(state)`` instead, unless it raises ``unknown``."""
    _shorter.append((way, unknown))


@contextlib.contextmanager
def on_demand(step):
    global _compilations
    _compilations += step
    try:
        yield
    finally:
        _compilations -= step


def _create_library(name, **options):
    if not _compilations:
        return _create(name, **options)
    return Part(_generator, name)


def _unserialize_library(state):
    with on_demand(-_compilations):
        return _unserialize(state)


def _create_cfunc_wrapper(self, library, *given, **options):
    """Numba's, left out of parts that Python cannot call: C calls them no more than Python."""
    if isinstance(library, Part) and not library.called and not library.is_called_from_outside():
        return
    _wrap(self, library, *given, **options)


_wrap = cpu.CPUContext.create_cfunc_wrapper


def install() -> None:
    """Let Numba's functions be parts where they are compiled for one of this package."""
    _generator.create_library, _generator.unserialize_library = _create_library, _unserialize_library
    cpu.CPUContext.create_cfunc_wrapper = _create_cfunc_wrapper


install()


def complete() -> bool:
    """Whether Numba has what this module uses."""
    library = ("_optimize_final_module", "_finalize_dynamic_globals", "_get_module_for_linking", "_ensure_finalized")
    engine = ("_engine", "_tm", "_rtlinker", "_create_empty_module", "_pass_builder")
    linker = ("_unresolved", "_defined", "scan_unresolved_symbols", "resolve")
    asked = ((codegen.JITCodeLibrary, library), (_generator, engine), (_generator._rtlinker, linker))
    return all(hasattr(owner, name) for owner, names in asked for name in names)
