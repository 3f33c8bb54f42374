"""A shorter way through Numba's compiler for the functions of the engine, which are plain loops over numbers and addresses.

A first gradient compiles some sixty of them. Passes that find nothing there are left out (closures, context managers,
literals, array expressions, annotations), and a function that only other compiled code calls is neither optimised as a whole
nor made machine code by itself: that happens where it is called, once.
"""

from numba.core import codegen, typed_passes, untyped_passes
from numba.core.compiler import CompilerBase
from numba.core.compiler_machinery import PassManager, register_pass

_UNTYPED = "TranslateByteCode FixupArgs IRProcessing DeadBranchPrune GenericRewrites ReconstructSSA DeadBranchPrune".split()
_TYPED = "NopythonTypeInference PreLowerStripPhis IRLegalization".split()


class _NoEnvironment:
    """Numba's code generator for functions without Python objects."""

    def __init__(self, codegen):
        self._codegen = codegen

    def __getattr__(self, name):
        return getattr(self._codegen, name)

    def set_env(self, name, environment):
        """Nothing: the variable is no machine code, and nobody reads it."""


class _PartLibrary(codegen.JITCodeLibrary):
    """The code of a function that only other compiled code calls."""

    @property
    def codegen(self):
        return _NoEnvironment(self._codegen)

    def _optimize_functions(self, module):
        """Left to those that call it."""

    def _optimize_final_module(self):
        """Left to those that call it."""

    def _finalize_final_module(self):
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name):
        if not self._finalized:
            self.finalize()
        return 0


@register_pass(mutates_CFG=True, analysis_only=False)
class _Lowering(typed_passes.NativeLowering):
    """Lowering, of parts into a library of their own kind."""

    _name = "tapejit_lowering"

    def run_pass(self, state):
        if state.library is None and state.flags.no_cpython_wrapper and state.flags.no_cfunc_wrapper:
            state.library = _PartLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        return super().run_pass(state)


class Lean(CompilerBase):
    """Numba's compiler with the passes that the engine's functions need."""

    def define_pipelines(self):
        manager = PassManager("tapejit")
        for name in _UNTYPED:
            manager.add_pass(getattr(untyped_passes, name), name)
        for name in _TYPED:
            manager.add_pass(getattr(typed_passes, name), name)
        manager.add_pass(_Lowering, "native lowering")
        manager.add_pass(typed_passes.NoPythonBackend, "nopython mode backend")
        manager.finalize()
        return [manager]


def complete() -> bool:
    """Whether Numba has what this module uses."""
    passes = all(hasattr(untyped_passes, n) for n in _UNTYPED) and all(hasattr(typed_passes, n) for n in _TYPED)
    steps = ("_optimize_functions", "_optimize_final_module", "_finalize_final_module", "_finalize_dynamic_globals")
    return passes and all(hasattr(codegen.JITCodeLibrary, n) for n in steps)
