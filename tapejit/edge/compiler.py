"""The undocumented parts of Numba's compiler that the nopython mode extends, as ``numba`` those of the engine."""
# ruff: noqa: F401 - names for others

from numba.core import ir as numba_ir
from numba.core import lowering
from numba.core.analysis import compute_cfg_from_blocks, dead_branch_prune
from numba.core.compiler import CompilerBase, DefaultPassBuilder, run_frontend
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.cpu import FastMathOptions
from numba.core.dispatcher import Dispatcher, _FunctionCompiler
from numba.core.extending import lower_getattr
from numba.core.imputils import impl_ret_borrowed, impl_ret_new_ref, lower_cast
from numba.core.ir_utils import (
    build_definitions,
    find_const,
    get_definition,
    guard,
    rename_labels,
    simplify_CFG,
)
from numba.core.registry import CPUDispatcher
from numba.core.sigutils import normalize_signature
from numba.core.ssa import reconstruct_ssa
from numba.core.typeconv import Conversion
from numba.core.typed_passes import (
    BaseNativeLowering,
    NativeLowering,
    NopythonRewrites,
    NopythonTypeInference,
)
from numba.core.typing.templates import AttributeTemplate, builtin_registry, infer_getattr
from numba.core.untyped_passes import GenericRewrites, MakeFunctionToJitFunction
from numba.cpython.rangeobj import make_range_iterator
from numba.np import arraymath, arrayobj

from tapejit.edge.numba import AbstractTemplate, caching, cpu_target, infer_global, signature


def is_known(value) -> bool:
    """Whether compiled code may call, or read, a global object."""
    try:
        return cpu_target.typing_context.resolve_value_type(value) is not None
    except ValueError:  # what has no type
        return False
