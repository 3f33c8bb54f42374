"""Compiling a differentiated function: Numba's pipeline with two changes.

1. A pass over the untyped code (``passes``) exchanges array allocation, calls and in-place operators for active forms.
2. Lowering keeps arithmetic on active scalars *pending* inside a basic block (see ``algebra``): a variable that lives in
   one block is a Python object here, and only what leaves the block becomes an LLVM value and a statement on the tape.
   The same array element read twice in a block is read once, so that its terms merge.
"""

from contextlib import contextmanager

from llvmlite import ir as llvm_ir
from llvmlite.ir import instructions
from numba.core import types

from tapejit.edge.compiler import (
    find_const,
    guard,
    lowering,
)
from tapejit.edge.compiler import numba_ir as ir
from tapejit.nopython import scalars
from tapejit.nopython.accumulate import running_sums
from tapejit.nopython.algebra import SINGULAR, DualValue, Pending, algebra
from tapejit.nopython.regions import Uses
from tapejit.nopython.statementtape import counter_scope
from tapejit.nopython.stripcode import Strip
from tapejit.nopython.striprows import rows_around
from tapejit.nopython.strips import strip_loops
from tapejit.nopython.types import Active, is_active, is_active_array, is_number

_KEPT = (Active, types.Integer, types.Array, types.Float)
_WRITES = (ir.SetItem, ir.StaticSetItem, ir.DelItem, ir.SetAttr, ir.StoreMap, ir.Print)


class ActiveLower(lowering.Lower):
    """Lowers one function, with pending expressions for block-local active variables."""

    strip = None  # while a loop's body is written as a strip (see ``stripcode``)

    def pre_lower(self):
        super().pre_lower()
        self._own = (self.func_ir.func_id.func.__module__ or "").startswith("tapejit.nopython")
        self._singular = any(self._has_singular_op(block) for block in self.blocks.values())
        uses = Uses(self.blocks)
        self._sums = running_sums(self.blocks, self.typeof, uses)
        slots = self._sums - self._singly_assigned_vars
        plain = self.flags.boundscheck or self._disable_sroa_like_opt
        self._strips = (
            {} if plain else strip_loops(self.blocks, self.typeof, self._singly_assigned_vars, slots, uses)
        )
        for loop in self._strips.values():
            if not self.catches():  # a row's beginning may raise, with statements before it that are not counted yet
                loop.rows = rows_around(self.blocks, loop, self.typeof, slots, uses)

    def catches(self):
        """Whether the function has a ``try``."""
        names = (inst.value for block in self.blocks.values() for inst in block.find_insts(ir.Assign))
        return any(isinstance(v, ir.Global) and v.name == "exception_check" for v in names)

    def _has_singular_op(self, block):
        """Whether a block holds an op on active scalars whose slope is infinite somewhere."""
        for expr in block.find_exprs():
            fn, variables = self._scalar_arguments(expr) or (None, ())
            if scalars.ARITHMETIC.get(fn) in SINGULAR:
                constant = len(variables) == 2 and guard(find_const, self.func_ir, variables[1])
                if not constant or (constant < 0 and scalars.ARITHMETIC[fn] == "pow"):
                    return True
        return False

    def lower_block(self, block):
        loop = self._strips.get(next(label for label, own in self.blocks.items() if own is block))
        if loop is not None:
            self.pre_block(block)
            Strip(self, loop).emit()
        super().lower_block(block)

    def pre_block(self, block):
        super().pre_block(block)
        self.function.tapejit_singular = self._singular
        self._shared = {}  # running sum -> its value, read in this block
        self._pending = {}
        self._loaded = {}  # variable -> the LLVM value read from its stack slot in this block
        self._elements = {}  # (array, index) -> the element read in this block, until something is written

    def lower_inst(self, inst):
        access = self.strip and self.strip.loop.accesses.get(id(inst))
        if access:
            self.strip.write(access, self.typeof(inst.value.name), self.operand(inst.value.name))
            return
        if isinstance(inst, (ir.SetItem, ir.StaticSetItem)):
            with self._bounds_checked(inst.target):
                super().lower_inst(inst)
        else:
            super().lower_inst(inst)
        if isinstance(inst, _WRITES):
            self._elements.clear()

    @contextmanager
    def _bounds_checked(self, array):
        """An index into a user's active array is checked: what stands behind it would be taken for a statement's number."""
        before = self.context.enable_boundscheck
        checked = is_active_array(self.typeof(array.name)) and not self._own
        self.context.enable_boundscheck = before or checked
        try:
            yield
        finally:
            self.context.enable_boundscheck = before

    def lower_normal_function(self, fndesc):
        super().lower_normal_function(fndesc)
        _mark_user_memory(self.function)

    # variables

    def loadvar(self, name):
        value = self._pending.get(name)
        if value is not None:
            return algebra(self.context, self.builder, self.typeof(name)).pack(value)
        if self._is_sum(name):
            return self._algebra(name).pack(self._read_sum(name))
        if self._is_merged(name):
            return self._algebra(name).pack(self.strip.read_merged(name))
        if self.strip:
            value = self.strip.load(name)
            if value is not None:
                return value
        if name in self._blk_local_varmap or not isinstance(self.typeof(name), _KEPT):
            return super().loadvar(name)
        if name not in self._loaded:
            self._loaded[name] = super().loadvar(name)
        return self._loaded[name]

    def load_slot(self, name):
        """A variable as it is on the stack."""
        return super().loadvar(name)

    def write_again(self, rows, counter):
        """What the body of a loop around a strip computes for each row."""
        for name in rows.counters:
            if name not in self._blk_local_varmap:
                super().storevar(counter, name)
        block = self.blocks[rows.label]
        self.pre_block(block)
        for inst in rows.instructions:
            self.loc = inst.loc
            self.lower_inst(inst)
        self.post_block(block)

    def storevar(self, value, name, argidx=None):
        if self.strip and self._is_sum(name):
            self.strip.write_sum(name, value)
            return
        if self._is_merged(name):
            self._pending[name] = self.strip.write_merged(name, value)
            return
        if self._is_sum(name):
            value = self._algebra(name).sum_of(value)
            self._shared.clear()
            self._alloca_var(name, self.typeof(name))
            self.builder.store(
                value, self.getvar(name)
            )  # Numba's own storevar would read the old value first
            return
        if isinstance(value, (Pending, DualValue)):
            if name in self._singly_assigned_vars:
                if self.strip:
                    self.strip.settle(name, value)
                self._pending[name] = value
                return
            value = algebra(self.context, self.builder, self.typeof(name)).pack(value)
        super().storevar(value, name, argidx)
        self._loaded.pop(name, None)
        if isinstance(self.typeof(name), Active) and name not in self._blk_local_varmap:
            self._loaded[name] = value

    def delvar(self, name):
        if self._pending.pop(name, None) is None:
            self._loaded.pop(name, None)
            self._shared.pop(name, None)
            super().delvar(name)

    def operand(self, name):
        """A variable for arithmetic: a pending value stays pending."""
        value = self._pending.get(name)
        if value is None and self._is_sum(name):
            return self._read_sum(name)
        if value is None and self._is_merged(name):
            return self.strip.read_merged(name)
        return self.loadvar(name) if value is None else value

    def _algebra(self, name):
        return algebra(self.context, self.builder, self.typeof(name))

    def _is_sum(self, name):
        """Whether a variable is a running sum kept in a stack slot (see ``accumulate``)."""
        return name in self._sums and name not in self._singly_assigned_vars

    def _is_merged(self, name):
        """Whether a variable has its value of several branches of a body that is being written as a strip."""
        return bool(self.strip) and name in self.strip.loop.merged

    def _read_sum(self, name):
        if self.strip:
            return self.strip.read_sum(name)
        if name not in self._shared:
            self._shared[name] = self._algebra(name).shared(super().loadvar(name))
        return self._shared[name]

    # expressions

    def lower_assign(self, ty, inst):
        value = inst.value
        if isinstance(value, ir.Var) and value.name in self._pending and self.typeof(value.name) == ty:
            return self._pending[value.name]
        if isinstance(value, ir.Var) and self._is_sum(value.name) and self.typeof(value.name) == ty:
            return self._read_sum(value.name)
        if isinstance(value, ir.Var) and self._is_merged(inst.target.name):
            other = self.typeof(value.name)
            if is_active(other) or is_number(other):
                alg = algebra(self.context, self.builder, ty)
                return alg.lift(types.unliteral(other), self.operand(value.name))
        return super().lower_assign(ty, inst)

    def lower_expr(self, resty, expr):
        names = self._scalar_arguments(expr)
        if names is not None:
            return self._lower_scalar(resty, expr, *names)
        access = self.strip and self.strip.loop.accesses.get(id(expr))
        if access:
            return self.strip.read(access)
        remainder = self.strip and self.strip.remainder(expr)
        if remainder:
            return remainder
        by_constant = expr.op == "static_getitem" and isinstance(expr.index, int) and is_active(resty)
        if by_constant and is_active_array(self.typeof(expr.value.name)):
            key = (id(self.loadvar(expr.value.name)), expr.index)
            return self._element(key, lambda: super(ActiveLower, self).lower_expr(resty, expr))
        result = super().lower_expr(resty, expr)
        if expr.op in ("call", "inplace_binop", "getiter", "iternext"):
            self._elements.clear()
        return result

    def lower_getitem(self, resty, expr, value, index, signature):
        def lower():
            with self._bounds_checked(value):
                return super(ActiveLower, self).lower_getitem(resty, expr, value, index, signature)

        if not (is_active_array(self.typeof(value.name)) and is_active(resty)):
            return lower()
        indices = self.loadvar(index.name)
        return self._element((id(self.loadvar(value.name)), _number(indices)), lower)

    def _element(self, key, lower):
        # The key holds the identity of LLVM objects, so the entry keeps them alive with the function they belong to.
        if key not in self._elements:
            self._elements[key] = lower()
        return self._elements[key]

    def _scalar_arguments(self, expr):
        """(function, argument variables) when an expression is arithmetic or a comparison of active scalars."""
        if expr.op in ("binop", "inplace_binop"):
            fn = expr.fn if expr.op == "binop" else expr.immutable_fn
            variables = [expr.lhs, expr.rhs]
        elif expr.op == "unary":
            fn, variables = expr.fn, [expr.value]
        elif expr.op == "call" and not expr.kws and expr.vararg is None:
            fnty = self.typeof(expr.func.name)
            if not isinstance(fnty, types.Function):
                return None
            fn, variables = fnty.typing_key, expr.args
        else:
            return None
        try:
            known = fn in scalars.ARITHMETIC or fn in scalars.PREDICATES
        except TypeError:
            return None
        tys = [self.typeof(v.name) for v in variables]
        if not known or scalars.result_type(fn, tys) is None:
            return None
        return fn, variables

    def _lower_scalar(self, resty, expr, fn, variables):
        tys = [self.typeof(v.name) for v in variables]
        result = scalars.result_type(fn, tys)
        exponent = None
        if scalars.ARITHMETIC.get(fn) == "pow" and isinstance(tys[1], types.Integer):
            constant = guard(find_const, self.func_ir, variables[1])
            static = expr._kws.get("static_rhs", ir.UNDEFINED)
            known = static if isinstance(static, int) else constant
            exponent = known if isinstance(known, int) and abs(known) < 64 else None
        value = scalars.compute(
            self.context, self.builder, fn, result, tys, [self.operand(v.name) for v in variables], exponent
        )
        if not is_active(result) or result == resty:
            return value
        packed = algebra(self.context, self.builder, result).pack(value)
        return self.context.cast(self.builder, packed, result, resty)


_INTEGER_OPS = ("add", "sub", "mul", "sext", "zext", "trunc")


def _number(value, depth=8):
    """A key that equal integer computations share; ``depth`` bounds how far it looks."""
    if isinstance(value, llvm_ir.Constant):
        return str(value)
    if not depth or not isinstance(value, instructions.Instruction):
        return id(value)
    operands = (_number(operand, depth - 1) for operand in value.operands)
    if value.opname in _INTEGER_OPS:
        return (value.opname, str(value.type), *operands)
    if isinstance(value, instructions.InsertValue):
        return ("insert", *operands, *value.indices)
    if isinstance(value, instructions.ExtractValue):
        return ("extract", *operands, *value.indices)
    return id(value)


def _mark_user_memory(function):
    """Tell LLVM that the function's own loads and stores never touch the tape's counters."""
    if not hasattr(function, "tapejit_states"):
        return
    scope = counter_scope(function.module)
    for block in function.blocks:
        for inst in block.instructions:
            memory = isinstance(inst, (instructions.LoadInstr, instructions.StoreInstr))
            if memory and "alias.scope" not in inst.metadata and "noalias" not in inst.metadata:
                inst.set_metadata("noalias", scope)
