"""Expressions of whole arrays are one loop, and one statement an element, in place of one for each operator.

``a * np.exp(-d / b) + c`` of arrays would otherwise make four arrays, each with its statements on the tape. After a function
is typed, an operator whose result is used once, by another operator, goes into the loop of that one:

    row[k] = add(mul(a[k], exp(div(neg(d[k]), b))), c[k])

It is computed where the last operator of its expression stands, later than written: nothing in between may write to an array.
Where shapes may differ, what is broadcast is computed again for each element: only what costs little is fused there.
"""

import operator
from collections import Counter

import numpy as np
from numba.core import types

from tapejit.edge.compiler import get_definition, guard
from tapejit.edge.compiler import numba_ir as ir
from tapejit.nopython.exchange import FUNCTIONS, METHODS, supplied
from tapejit.nopython.regions import variables_read
from tapejit.nopython.scalars import ARITHMETIC, arity_of, result_type
from tapejit.nopython.types import has_active, is_active_array, scalar_type

MOST_OPERANDS = 12  # of one expression
MOST_TERMS = 6  # operands that are differentiated
_EXACT = {operator.add, operator.sub, operator.mul, operator.neg, np.add, np.subtract, np.multiply}  # of plain numbers, too
_CHEAP = _EXACT | {operator.truediv, np.divide}
_READING = {"reshape", "ravel", "transpose", "copy", "flatten", "astype", "item", "sum", "mean", "max", "min"}
_WRITING = {"fill_diagonal", "copyto", "put", "place", "putmask", "shuffle", "fill", "sort", "partition", "setflags"}
_INPUTS = {"dot": 2, "clip": 3, "round": 2, "around": 2, "round_": 2, "nan_to_num": 1}  # what is given beyond is written to
_HARMLESS = {"unary", "binop", "getattr", "getitem", "static_getitem", "build_tuple", "exhaust_iter", "cast"}


class Expression:
    """An operator, with those whose results it alone uses.

    Attributes:
        parts: its operands: variables, texts of numbers, expressions.
        shape: a token that is the same for two results that have the same shape.
        fused: whether it is a part of another one.
        leaves: name -> variable, all that goes in.
        active: the names of those that are differentiated.
    """

    def __init__(self, fn, parts, shape, is_active):
        self.fn = fn
        self.parts = parts
        self.shape = shape
        self.fused = False
        self.leaves, self.active, self.operators, self.cheap = {}, set(), 1, fn in _CHEAP
        for part in parts:
            if isinstance(part, Expression):
                self.leaves |= part.leaves
                self.active |= part.active
                self.operators += part.operators
                self.cheap &= part.cheap
            elif isinstance(part, ir.Var):
                self.leaves[part.name] = part
                self.active |= {part.name} if is_active(part) else set()

    def written(self, names, functions):
        """The text, with its functions added to a list."""
        if self.fn not in functions:
            functions.append(self.fn)
        inner = []
        for part in self.parts:
            if isinstance(part, Expression):
                inner.append(part.written(names, functions))
            else:
                inner.append(f"{{{names[part.name]}}}" if isinstance(part, ir.Var) else part)
        return f"f{functions.index(self.fn)}({', '.join(inner)})"

    def numbers(self):
        """The numbers that are written in it."""
        for part in self.parts:
            yield from part.numbers() if isinstance(part, Expression) else [part] * isinstance(part, str)


class Fusing:
    """Fuses the expressions of one typed function."""

    def __init__(self, state):
        self.func_ir = state.func_ir
        self.typemap = state.typemap
        self.calltypes = state.calltypes
        self.typingctx = state.typingctx
        insts = [inst for block in self.func_ir.blocks.values() for inst in block.body]
        self.uses = Counter(v.name for inst in insts for v in variables_read(inst))
        self.changed = False

    def run(self):
        """Whether anything was changed."""
        for block in self.func_ir.blocks.values():
            found = self._expressions(block)
            if any(e.operators > 1 for e in found.values()):
                block.body = [new for inst in block.body for new in self._instructions(block, inst, found)]
                self.changed = True
        return self.changed

    def _expressions(self, block):
        """id of an instruction -> the expression that it computes."""
        found, waiting = {}, {}  # waiting: name -> an expression that an operator may still take in
        for inst in block.body:
            expression = self._expression(inst, waiting)
            if expression is None and self._may_write(inst):
                waiting.clear()
            if isinstance(inst, ir.Assign):
                name = inst.target.name
                waiting = {k: e for k, e in waiting.items() if k != name and name not in e.leaves}
            if expression is not None:
                found[id(inst)] = expression
                if self.uses[name] == 1:
                    waiting[name] = expression
        return found

    def _expression(self, inst, waiting):
        if not isinstance(inst, ir.Assign) or not isinstance(inst.value, ir.Expr):
            return None
        fn, operands = self._operator(inst.value)
        result = self.typemap[inst.target.name]
        if fn is None or not isinstance(result, types.Array) or result.ndim > 3:
            return None
        if not self._is_elementwise(fn, result, [self.typemap[v.name] for v in operands]):
            return None
        arrays = [v for v in operands if isinstance(self.typemap[v.name], types.Array)]
        shapes = {waiting[v.name].shape if v.name in waiting else v.name for v in arrays}
        alike = len(shapes) == 1 or all(self.typemap[v.name].ndim == 1 for v in arrays)
        shape = shapes.pop() if len(shapes) == 1 else inst.target.name
        parts = [self._constant(v) or v for v in operands]
        for k, part in enumerate(parts):
            inner = waiting.get(getattr(part, "name", None))
            if inner is None or not (alike or (inner.cheap and len(inner.active) < 2)):
                continue
            whole = Expression(fn, [*parts[:k], inner, *parts[k + 1 :]], shape, self._is_active)
            if len(whole.leaves) <= MOST_OPERANDS and len(whole.active) <= MOST_TERMS:
                parts[k] = inner
        expression = Expression(fn, parts, shape, self._is_active)
        for part in parts:
            if isinstance(part, Expression):
                part.fused = True
        return expression

    def _operator(self, expr):
        """(a function of one element or two, its operands), or (None, ())."""
        if expr.op == "binop":
            fn, operands = expr.fn, [expr.lhs, expr.rhs]
        elif expr.op == "unary":
            fn, operands = expr.fn, [expr.value]
        elif expr.op == "call" and not expr.kws and expr.vararg is None:
            fn, operands = getattr(self.typemap[expr.func.name], "typing_key", None), expr.args
        else:
            return None, ()
        known = _is_in(fn, ARITHMETIC) and arity_of(fn) == len(operands)
        return (fn, operands) if known else (None, ())

    def _is_elementwise(self, fn, result, tys):
        """Whether there is a loop for it; of plain numbers only what has the same bits in a loop of ours."""
        if not is_active_array(result):
            return result.dtype == types.float64 and fn in _EXACT and all(map(_is_double, tys))
        elements = [scalar_type(ty) for ty in tys]
        return None not in elements and result_type(fn, elements) is not None

    def _constant(self, variable):
        """The text of a number that stands in the program."""
        definition = guard(get_definition, self.func_ir, variable)
        value = definition.value if isinstance(definition, ir.Const) else None
        return repr(value) if type(value) in (int, float) and abs(value) < np.inf else None

    def _is_active(self, variable):
        return has_active(self.typemap[variable.name])

    def _may_write(self, inst):
        """Whether an instruction may write to an array."""
        if not isinstance(inst, ir.Assign):
            return not isinstance(inst, (ir.Jump, ir.Branch, ir.Return, ir.Del))
        value = inst.value
        if not isinstance(value, ir.Expr) or value.op in _HARMLESS:
            return False
        if value.op == "inplace_binop":
            return isinstance(self.typemap[inst.target.name], types.Array)
        if value.op != "call" or value.kws or value.vararg is not None:
            return True
        return not _is_pure(self.typemap[value.func.name], len(value.args))

    def _instructions(self, block, inst, found):
        """What stands for an instruction."""
        expression = found.get(id(inst))
        if expression is None or (expression.operators == 1 and not expression.fused):
            return [inst]
        if expression.fused:
            return []
        variables = list(expression.leaves.values())
        tys = [types.unliteral(self.typemap[v.name]) for v in variables]
        letters = {v.name: f"x{k}" for k, v in enumerate(variables)}
        functions = []
        text = expression.written(letters, functions)
        names = tuple(letters.values())
        sample = " + ".join([*(f"{{{name}}}" for name in names), *expression.numbers()])
        arrays = tuple(n for n, ty in zip(names, tys, strict=True) if isinstance(ty, types.Array))
        ndim = self.typemap[inst.target.name].ndim
        dispatcher = supplied.each(tuple(functions), text, sample, names, arrays, ndim)
        return self._call(block, inst, dispatcher, variables, tys)

    def _call(self, block, inst, dispatcher, variables, tys):
        function = dispatcher._numba_type_
        name = ir.Var(block.scope, f"$tapejit_each.{inst.target.name}", inst.loc)
        self.typemap[name.name] = function
        call = ir.Expr.call(name, variables, (), inst.loc)
        typed = function.get_call_type(self.typingctx, tys, {})
        if typed.return_type != self.typemap[inst.target.name]:  # it would be read as what it is not
            raise AssertionError(f"{inst}: a loop of {typed.return_type} for {self.typemap[inst.target.name]}")
        self.calltypes[call] = typed
        enter = ir.Assign(ir.Global(dispatcher.py_func.__name__, dispatcher, inst.loc), name, inst.loc)
        return [enter, ir.Assign(call, inst.target, inst.loc)]


def _is_in(key, table):
    try:
        return key in table
    except TypeError:
        return False


def _is_double(ty):
    """Whether a plain operand takes part in double precision: an array of it, a float or an integer."""
    if isinstance(ty, types.Array):
        return ty.dtype == types.float64
    return types.unliteral(ty) in (types.float64, types.int64)


def _is_pure(function, count):
    """Whether a call of a function with so many arguments leaves all arrays as they are."""
    if isinstance(function, types.NumberClass):
        return True
    key = getattr(function, "typing_key", None)
    if isinstance(function, types.BoundFunction):
        return isinstance(key, str) and key.rpartition(".")[2] in _READING
    if isinstance(key, np.ufunc):
        return count <= key.nin
    name = getattr(key, "__name__", "").removeprefix("the method .").rstrip("()").rpartition(".")[2]
    known = (getattr(key, "__module__", None) or "").split(".")[0] in ("numpy", "math", "builtins", "_operator")
    stands_in = any(key is other for table in (FUNCTIONS, METHODS) for other in table.values())
    return (known or stands_in) and name not in _WRITING and count <= _INPUTS.get(name, count)
