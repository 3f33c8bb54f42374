"""What a function writes into: which variables may hold the same array, or a part of it, and which of them it changes."""

import functools

import numpy as np
from numba.core import types

from tapejit.edge.compiler import Dispatcher, get_definition, guard, reconstruct_ssa, run_frontend
from tapejit.edge.compiler import numba_ir as ir
from tapejit.nopython.types import Active

# What gives a part of an array, or the array itself; any other function of NumPy makes a new one.
_VIEWS = frozenset(
    "T reshape ravel transpose view swapaxes squeeze flat asarray ascontiguousarray asfortranarray atleast_1d atleast_2d "
    "atleast_3d broadcast_to broadcast_arrays expand_dims become become_whole".split()
)
_WRITERS = frozenset("fill sort partition put fill_diagonal copyto shuffle setflat append extend".split())
_PARTS = ("getitem", "static_getitem", "getattr", "getiter", "iternext", "pair_first", "exhaust_iter", "cast")


class Flow:
    """What flows into what without being computed anew, in the code of one function.

    Args:
        func_ir: the function's code.
        typemap: the types of its variables, or None where they are not known: then each may hold an array.
    """

    def __init__(self, func_ir, typemap=None):
        self.func_ir = func_ir
        self.typemap = typemap
        self.into = {}  # a name -> those it flows into
        self.writes = []  # (a name, the instruction that writes into what it holds)
        for block in func_ir.blocks.values():
            for inst in block.body:
                self._enter(inst)

    def written(self, names):
        """An instruction that writes into what these variables hold, before they hold it or behind them; None without one."""
        sources = {}
        for name, others in self.into.items():
            for other in others:
                sources.setdefault(other, set()).add(name)
        return self.written_behind(_closure(names, sources))

    def written_behind(self, names):
        """The same from where they hold it on."""
        reached = _closure(names, self.into)
        return next((inst for name, inst in self.writes if name in reached), None)

    def _enter(self, inst):
        if isinstance(inst, (ir.SetItem, ir.StaticSetItem, ir.DelItem)):
            self.writes.append((inst.target.name, inst))
        if not isinstance(inst, ir.Assign):
            return
        value, target = inst.value, inst.target.name
        if isinstance(value, ir.Var):
            self._flows([value], target)
        elif isinstance(value, ir.Arg):
            self.into.setdefault(value.name, set()).add(target)
        elif isinstance(value, ir.Expr):
            if value.op in _PARTS:
                self._flows([value.value], target)
            elif value.op == "phi":
                self._flows([v for v in value.incoming_values if isinstance(v, ir.Var)], target)
            elif value.op in ("build_tuple", "build_list"):
                self._flows(value.items, target)
            elif value.op == "inplace_binop":
                self._flows([value.lhs], target)
                if self._may_hold(value.lhs.name):
                    self.writes.append((value.lhs.name, inst))
            elif value.op == "call":
                self._call(inst, value, target)

    def _flows(self, variables, target):
        for variable in variables:
            if self._may_hold(target) and self._may_hold(variable.name):
                self.into.setdefault(variable.name, set()).add(target)

    def _may_hold(self, name):
        return self.typemap is None or _holds_arrays(self.typemap[name])

    def _call(self, inst, call, target):
        function = guard(get_definition, self.func_ir, call.func)
        given = [*call.args, *(v for _, v in call.kws), *([call.vararg] if call.vararg else [])]
        callee = function.value if isinstance(function, (ir.Global, ir.FreeVar)) else None
        if isinstance(callee, Dispatcher):
            changed = written_parameters(callee.py_func)
            self._flows(given, target)
            names = callee.py_func.__code__.co_varnames
            told = [(names[k], v) for k, v in enumerate(call.args)] + list(call.kws)
            if call.vararg:
                told += [(name, call.vararg) for name in names[len(call.args) :]]
            self.writes += [(v.name, inst) for name, v in told if name in changed]
            return
        name = _name(function)
        receiver = [function.value] if isinstance(function, ir.Expr) and function.op == "getattr" else []
        if name in _VIEWS:
            self._flows([*receiver, *given], target)
        if name in _WRITERS:
            self.writes += [(v.name, inst) for v in [*receiver, *given[:1]]]
        if isinstance(callee, np.ufunc) and len(call.args) > callee.nin:
            self.writes += [(v.name, inst) for v in call.args[callee.nin :]]
        self.writes += [(v.name, inst) for key, v in call.kws if key == "out"]


def _closure(names, edges):
    found, todo = set(names), list(names)
    while todo:
        for other in edges.get(todo.pop(), ()):
            if other not in found:
                found.add(other)
                todo.append(other)
    return found


def _name(function):
    """The last part of a called function's or method's name."""
    if isinstance(function, ir.Expr):
        return getattr(function, "attr", None)
    name = getattr(getattr(function, "value", None), "__name__", None) or ""
    return name.removesuffix("()").rpartition(".")[2]


def _holds_arrays(ty):
    if isinstance(ty, types.BaseTuple):
        return any(map(_holds_arrays, ty))
    return not isinstance(ty, (types.Number, Active, types.Module, types.Callable, types.NoneType))


@functools.lru_cache(1024)
def written_parameters(function):
    """The names of the parameters that a function may write into: all of them, where it calls itself."""
    code = function.__code__
    names = frozenset(code.co_varnames[: code.co_argcount])
    if function in _UNDERWAY:
        return names
    _UNDERWAY.append(function)
    try:
        flow = Flow(reconstruct_ssa(run_frontend(function)))
        return frozenset(name for name in names if flow.written_behind([name]))
    finally:
        _UNDERWAY.pop()


_UNDERWAY = []
