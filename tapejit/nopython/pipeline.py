"""Numba's nopython pipeline with the passes of this package."""

from tapejit.edge.compiler import (
    BaseNativeLowering,
    DefaultPassBuilder,
    MakeFunctionToJitFunction,
    NativeLowering,
    NopythonRewrites,
    NopythonTypeInference,
    register_pass,
)
from tapejit.edge.parts import PartCompiler
from tapejit.nopython.fusing import Fusing
from tapejit.nopython.lowering import ActiveLower
from tapejit.nopython.passes import ActivePass, ActiveTypeInference
from tapejit.nopython.types import is_active_array


@register_pass(mutates_CFG=True, analysis_only=False)
class ActiveNativeLowering(BaseNativeLowering):
    _name = "tapejit_native_lowering"

    @property
    def lowering_class(self):
        return ActiveLower


@register_pass(mutates_CFG=True, analysis_only=False)
class ActiveRewrites(NopythonRewrites):
    """Numba makes one loop of several ufuncs, by its own rules for scalars: not where active arrays are about."""

    _name = "tapejit_rewrites"

    def run_pass(self, state):
        if any(map(is_active_array, state.typemap.values())):
            return Fusing(state).run()
        return super().run_pass(state)


class ActiveCompiler(PartCompiler):
    """Compiles a function for active arguments."""

    def define_pipelines(self):
        manager = DefaultPassBuilder.define_nopython_pipeline(self.state)
        exchange = {
            NativeLowering: ActiveNativeLowering,
            NopythonRewrites: ActiveRewrites,
            NopythonTypeInference: ActiveTypeInference,
        }
        manager.passes = [(exchange.get(cls, cls), text) for cls, text in manager.passes]
        manager.add_pass_after(ActivePass, MakeFunctionToJitFunction)
        manager.finalize()
        return [manager]
