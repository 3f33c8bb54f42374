"""What is exchanged in a function before it is typed for active arguments.

np.zeros and its like get active elements, calls to jitted functions go to their twins, in-place operators on arrays
go to ours. Everything is exchanged for a function that, called without active values, does what the original does.
"""

import operator
import types as pytypes

import numpy as np
from numba.core import types
from numba.core.errors import NumbaError

from tapejit.edge.compiler import (
    CPUDispatcher,
    FunctionPass,
    NopythonTypeInference,
    build_definitions,
    find_const,
    get_definition,
    guard,
    register_pass,
)
from tapejit.edge.compiler import numba_ir as ir
from tapejit.nopython.becoming import Becoming
from tapejit.nopython.exchange import CASTS, FUNCTIONS, INPLACE, METHODS, SQUARED_NORM, supplied
from tapejit.nopython.explain import DifferentiationError, explain, located
from tapejit.nopython.inlining import write_out
from tapejit.nopython.regions import drop_ways_to_loops
from tapejit.nopython.shortloops import write_short_loops_out
from tapejit.nopython.types import has_active, structure_of
from tapejit.replay.customrules import Custom


@register_pass(mutates_CFG=False, analysis_only=False)
class ActivePass(FunctionPass):
    _name = "tapejit_active_pass"

    def __init__(self):
        FunctionPass.__init__(self)

    def run_pass(self, state):
        structure = structure_of(state.args)
        if structure is None or is_own_module(state.func_id.func):
            return False
        func_ir = state.func_ir
        drop_ways_to_loops(func_ir.blocks)
        write_short_loops_out(func_ir)
        write_out(state)
        rewrite = Rewrite(func_ir, supplied.allocators(structure))
        state.typingctx.refresh()  # a structure seen for the first time has just registered its allocators
        for block in func_ir.blocks.values():
            block.body = [new for inst in block.body for new in rewrite.instruction(block, inst)]
        func_ir._definitions = build_definitions(func_ir.blocks)
        return True


def is_own_module(function):
    return (function.__module__ or "").startswith("tapejit.nopython")


class Rewrite:
    def __init__(self, func_ir, replaced):
        self.func_ir = func_ir
        self.replaced = replaced
        self.methods = METHODS | {name: replaced[name] for name in ("copy", "astype")}
        self.count = 0

    def instruction(self, block, inst):
        """The instructions that stand for ``inst``."""
        if not isinstance(inst, ir.Assign):
            return [inst]
        value = inst.value
        if isinstance(value, (ir.Global, ir.FreeVar)):
            other = self._replacement(value.value)
            if other is not None:
                inst.value = ir.Global(value.name, other, value.loc)
        elif isinstance(value, ir.Expr) and value.op == "inplace_binop" and value.fn in INPLACE:
            value.fn = INPLACE[value.fn]
        elif isinstance(value, ir.Expr) and value.op == "binop" and value.fn is operator.pow:
            return self._square(block, inst, value)
        elif isinstance(value, ir.Expr) and value.op == "getattr":
            other = self._replacement(self._static(inst.value))
            if other is not None:
                inst.value = ir.Global(value.attr, other, value.loc)
        elif isinstance(value, ir.Expr) and value.op == "call":
            return self._method_call(block, inst, value)
        return [inst]

    def _square(self, block, inst, power):
        """``norm(x) ** 2`` is the sum of squares, which has derivatives where the norm has none."""
        norm = self._definition(power.lhs)
        if not isinstance(norm, ir.Expr) or norm.op != "call" or len(norm.args) != 1 or norm.kws:
            return [inst]
        known = self._value(self._definition(norm.func)) in (np.linalg.norm, FUNCTIONS[np.linalg.norm])
        if not known or guard(find_const, self.func_ir, power.rhs) != 2:
            return [inst]
        return self._call_of(block, inst, norm, SQUARED_NORM, [])

    def _extremes_of_two(self, block, inst, call):
        """``max`` and ``min`` of more than two are those of two and two, in expressions and strips."""
        first, instructions = call.args[0], []
        for other in call.args[1:]:
            target = self._variable(block, inst) if len(instructions) < len(call.args) - 2 else inst.target
            value = ir.Expr.call(call.func, [first, other], (), call.loc)
            instructions.append(ir.Assign(value, target, inst.loc))
            first = target
        return instructions

    def _method_call(self, block, inst, call):
        """Methods of arrays that have active forms become functions of the array; so do casts by a type's name."""
        method = self._definition(call.func)
        named = self._value(method)
        if any(named is fn for fn in (max, min)) and len(call.args) > 2 and not call.kws:
            return self._extremes_of_two(block, inst, call)
        cast = CASTS.get(named) if isinstance(named, (type, types.Float)) else None
        if cast is not None:
            return self._call_of(block, inst, call, cast, [])
        if not (isinstance(method, ir.Expr) and method.op == "getattr" and method.attr in self.methods):
            return [inst]
        if self._static(self._definition(method.value)) is not None:
            return [inst]
        return self._call_of(block, inst, call, self.methods[method.attr], [method.value])

    def _call_of(self, block, inst, call, function, first):
        """The instructions of a call of another function, with further arguments in front."""
        variable = self._variable(block, inst)
        inst.value = ir.Expr.call(variable, [*first, *call.args], call.kws, call.loc)
        return [ir.Assign(ir.Global(function.__name__, function, inst.loc), variable, inst.loc), inst]

    def _variable(self, block, inst):
        """A new one."""
        self.count += 1
        return ir.Var(block.scope, f"$tapejit_call.{self.count}", inst.loc)

    def _value(self, definition):
        """What a definition stands for: a global, or an attribute of a module."""
        if isinstance(definition, (ir.Global, ir.FreeVar)):
            return definition.value
        return self._static(definition)

    def _definition(self, variable):
        return guard(get_definition, self.func_ir, variable)

    def _static(self, value):
        """What a definition stands for, if it is a module or an attribute of one; None else."""
        if isinstance(value, (ir.Global, ir.FreeVar)):
            return value.value if isinstance(value.value, pytypes.ModuleType) else None
        if isinstance(value, ir.Expr) and value.op == "getattr":
            owner = self._static(self._definition(value.value))
            if isinstance(owner, pytypes.ModuleType):
                return getattr(owner, value.attr, None)
        return None

    def _replacement(self, value):
        if value is None:
            return None
        if isinstance(value, Custom):
            value = supplied.compiled(value)
        if isinstance(value, CPUDispatcher):
            return supplied.twin_of(value)
        try:
            return self.replaced.get(value, FUNCTIONS.get(value)) if not isinstance(value, str) else None
        except TypeError:
            return None


@register_pass(mutates_CFG=True, analysis_only=False)
class ActiveTypeInference(NopythonTypeInference):
    _name = "tapejit_type_inference"

    def run_pass(self, state):
        structure = structure_of(state.args)
        own = structure is None or is_own_module(state.func_id.func)
        becoming = None if own else Becoming(state.func_ir, supplied.allocators(structure))
        result = self._typed(state, becoming)
        for expr, sig in state.calltypes.items():
            refuse_inspection(state, expr, sig)
        inst = becoming and becoming.written(state.typemap)
        if inst:
            raise DifferentiationError(located(*WRITTEN, inst.loc, state.func_id.func_name))
        return result

    def _typed(self, state, becoming):
        """Typing, and again after each variable that is made to begin as an active one."""
        while True:
            try:
                return super().run_pass(state)
            except DifferentiationError:
                raise
            except NumbaError as error:
                if becoming is None or not becoming.mended(error):
                    raise explain(error, state.func_ir) from None


WRITTEN = (
    "writing into an array of plain numbers that becomes differentiated under one of its names",
    "begin with a copy (x = x0.copy())",
)

# These would see the active type instead of a float, and quietly give another answer than the plain function.
_INSPECTING = (
    str,
    repr,
    isinstance,
    hash,
    type,
    hasattr,
    getattr,
    issubclass,
    np.isscalar,
    np.isreal,
    np.iscomplex,
)


def refuse_inspection(state, expr, sig):
    if sig is None or not any(map(has_active, sig.args)):
        return
    if isinstance(expr, ir.Print):
        name, remedy = "print", "print outside the function, or print int(1000 * x)"
    elif isinstance(expr, ir.Expr) and expr.op == "call":
        key = getattr(state.typemap[expr.func.name], "typing_key", None)
        if not any(key is fn for fn in _INSPECTING):
            return
        name, remedy = key.__name__, "take the decision outside of the differentiated function"
    else:
        return
    if not is_own_module(state.func_id.func):
        raise DifferentiationError(located(name, remedy, expr.loc, state.func_id.func_name))
