"""A shorter way through Numba's compiler for the functions of the engine, which are plain loops over numbers and addresses.

Passes that find nothing there are left out (closures, context managers, literals, array expressions, annotations), and what is
compiled are parts (see ``parts``).
"""

from numba.core import typed_passes, untyped_passes
from numba.core.compiler_machinery import PassManager

from tapejit.edge import parts

_UNTYPED = "TranslateByteCode FixupArgs IRProcessing DeadBranchPrune GenericRewrites ReconstructSSA DeadBranchPrune".split()
_TYPED = "NopythonTypeInference PreLowerStripPhis IRLegalization".split()


class Lean(parts.PartCompiler):
    """Numba's compiler with the passes that the engine's functions need."""

    def define_pipelines(self):
        manager = PassManager("tapejit")
        for name in _UNTYPED:
            manager.add_pass(getattr(untyped_passes, name), name)
        for name in _TYPED:
            manager.add_pass(getattr(typed_passes, name), name)
        manager.add_pass(typed_passes.NativeLowering, "native lowering")
        manager.add_pass(typed_passes.NoPythonBackend, "nopython mode backend")
        manager.finalize()
        return [manager]


def complete() -> bool:
    """Whether Numba has what this module uses."""
    passes = all(hasattr(untyped_passes, n) for n in _UNTYPED) and all(hasattr(typed_passes, n) for n in _TYPED)
    return passes and parts.complete()
