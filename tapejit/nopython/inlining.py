"""A user's small helper functions are written out where loops call them.

A call says nothing of what it does, so a loop with one in it would be recorded pass by pass: its body has to be arithmetic
to be recorded in strips (see ``strips``). Helpers without loops are written out: the instructions of a straight one stand in
the caller's block as they are; one with branches divides it.
"""

import operator

from numba.core.errors import NumbaError

from tapejit.edge.compiler import (
    CPUDispatcher,
    FastMathOptions,
    GenericRewrites,
    build_definitions,
    compute_cfg_from_blocks,
    dead_branch_prune,
    get_definition,
    guard,
    rename_labels,
    run_frontend,
)
from tapejit.edge.compiler import numba_ir as ir
from tapejit.nopython.exchange import supplied
from tapejit.nopython.shortloops import renamed

LONGEST = 100  # instructions of a helper
MOST_BRANCHES = 8  # blocks of a helper
DEEPEST = 4  # helpers that call helpers
MOST = 1000  # instructions that one function gets
_OPS = frozenset(
    "binop inplace_binop unary call getattr getitem static_getitem build_tuple exhaust_iter cast".split()
)


def write_out(state):
    """Write out the helpers that a function's loops call."""
    func_ir = state.func_ir
    inlining = _Inlining(func_ir, state.flags)
    loops = compute_cfg_from_blocks(func_ir.blocks).loops().values()
    inside = set().union(*(loop.body for loop in loops)) if loops else ()
    for label in sorted(inside):
        inlining.block(label)
    if inlining.count:
        func_ir.blocks = rename_labels(func_ir.blocks)  # in the order in which they are run through
        func_ir._definitions = build_definitions(func_ir.blocks)
        dead_branch_prune(func_ir, state.args)
        GenericRewrites().run_pass(state)  # as Numba does before a function's calls are looked at
        func_ir._definitions = build_definitions(func_ir.blocks)


class _Inlining:
    def __init__(self, func_ir, flags):
        self.func_ir = func_ir
        self.flags = flags
        self.count = 0  # calls written out
        self.written = 0  # instructions
        self.origins = {}  # id of a call that is a copy -> (it, the helpers it is from, what the innermost calls by name)
        globals_ = (inst.value for block in func_ir.blocks.values() for inst in block.find_insts(ir.Assign))
        self.catches = any(isinstance(v, ir.Global) and v.name == "exception_check" for v in globals_)

    def block(self, label):
        block = self.func_ir.blocks[label]
        body, todo = [], block.body[::-1]
        while todo:
            inst = todo.pop()
            helper, code = self._called(inst)
            if code and len(code) == 1:
                (copies,) = self._copies(block, inst, helper, code).values()
                todo += copies[::-1]
            else:
                body.append(inst)
        if len(body) > len(block.body):
            block.body = _unpacked(body)
        for k, inst in enumerate(block.body):
            helper, code = self._called(inst)
            if code and not self.catches:
                self._divide(label, block, k, helper, code)
                return

    def _divide(self, label, block, k, helper, code):
        """Put a helper's blocks in place of instruction ``k``, and what stands behind it into a block of its own."""
        blocks, inst = self.func_ir.blocks, block.body[k]
        labels = {old: max(blocks) + 1 + j for j, old in enumerate(code)}
        rest = max(blocks) + 1 + len(code)
        copies = self._copies(block, inst, helper, code, labels, rest)
        blocks[rest] = ir.Block(block.scope, inst.loc)
        blocks[rest].body = block.body[k + 1 :]
        block.body = [*block.body[:k], ir.Jump(labels[min(code)], inst.loc)]
        for old, body in copies.items():
            blocks[labels[old]] = ir.Block(block.scope, inst.loc)
            blocks[labels[old]].body = body
        for new in (*labels.values(), rest):
            self.block(new)

    def _called(self, inst):
        """(the helper that an instruction calls, its code), where it is to be written out; or (None, None)."""
        if not _is_expression(inst, "call"):
            return None, None
        call = inst.value
        _, around, names = self.origins.get(id(inst), (inst, (), None))
        callee = (
            guard(get_definition, self.func_ir, call.func) if names is None else names.get(call.func.name)
        )
        helper = getattr(callee, "value", None)
        if len(around) == DEEPEST or any(helper is other for other in around) or not self._fits(helper, call):
            return None, None
        code = _code_of(helper.py_func)
        if code is None or self.written + sum(map(len, code.values())) > MOST:
            return None, None
        return helper, code

    def _fits(self, helper, call):
        """Whether a call is of a user's function that is compiled as its caller is, with its parameters one by one."""
        twin = supplied.twin_of(helper) if isinstance(helper, CPUDispatcher) else None
        if twin is None or twin.py_func is not helper.py_func:  # it has a rule of its own, or a checkpoint
            return False
        options = helper.targetoptions
        code = helper.py_func.__code__
        return (
            not (call.kws or call.vararg or call.varkwarg or code.co_kwonlyargcount or code.co_flags & 0x0C)
            and len(call.args) == code.co_argcount
            and FastMathOptions(options.get("fastmath", False)) == self.flags.fastmath
            and options.get("error_model", "python") == self.flags.error_model
            and bool(options.get("boundscheck")) == bool(self.flags.boundscheck)
        )

    def _copies(self, block, inst, helper, code, labels=None, rest=None):
        """label -> the helper's instructions with variables of the caller's, its result assigned in place of ``inst``."""
        self.count += 1
        self.written += sum(map(len, code.values()))
        prefix = f"${helper.py_func.__name__}.{self.count}."
        around = (*self.origins.get(id(inst), (inst, (), None))[1], helper)
        variables, names, copies = {}, {}, {}

        def own(variable):
            if variable.name not in variables:
                variables[variable.name] = block.scope.define(prefix + variable.name, variable.loc)
            return variables[variable.name]

        for label, body in code.items():
            copies[label] = new = []
            for old in body:
                if isinstance(old, ir.Return):
                    new.append(ir.Assign(own(old.value), inst.target, inst.loc))
                    if labels:
                        new.append(ir.Jump(rest, inst.loc))
                elif isinstance(old, ir.Jump):
                    new.append(ir.Jump(labels[old.target], old.loc))
                elif isinstance(old, ir.Branch):
                    new.append(ir.Branch(own(old.cond), labels[old.truebr], labels[old.falsebr], old.loc))
                else:
                    copy = ir.Assign(_value(old, inst.value.args, own), own(old.target), old.loc)
                    if isinstance(old.value, (ir.Global, ir.FreeVar)):
                        names[copy.target.name] = old.value
                    self.origins[id(copy)] = copy, around, names
                    new.append(copy)
        return copies


def _value(old, args, own):
    """What a copy of an assignment assigns."""
    value = old.value
    if isinstance(value, ir.Arg):
        return args[value.index]
    if isinstance(value, ir.Var):
        return own(value)
    if _is_expression(old, "cast"):
        return own(value.value)  # of what is returned, which is assigned here
    if isinstance(value, ir.Expr):
        return ir.Expr(value.op, value.loc, **{key: renamed(v, own) for key, v in value._kws.items()})
    return value


def _code_of(function):
    """label -> the instructions of a function that is arithmetic without loops; None for any other."""
    known = getattr(function, "_tapejit_code", None)
    if known is None or known[0] is not function.__code__:
        known = function._tapejit_code = function.__code__, _blocks(function)
    return known[1]


def _blocks(function):
    code = function.__code__
    if code.co_flags & 0x20 or len(code.co_code) > 40 * LONGEST or function.__name__ in code.co_names:
        return None  # a generator, too long, or recursive
    try:
        blocks = run_frontend(function).blocks
    except NumbaError:
        return None
    code = {
        label: [inst for inst in block.body if not isinstance(inst, ir.Del)]
        for label, block in blocks.items()
    }
    branches = len(code) > 1
    if len(code) > MOST_BRANCHES or sum(map(len, code.values())) > LONGEST:
        return None
    if branches and compute_cfg_from_blocks(blocks).loops():
        return None
    return code if all(_fits_in(inst, branches) for body in code.values() for inst in body) else None


def _fits_in(inst, branches):
    """Whether an instruction may be written out; ``branches``: as one of several blocks."""
    if isinstance(inst, ir.Return):
        return True
    if isinstance(inst, (ir.Jump, ir.Branch)):
        return branches
    return _is_arithmetic(inst) and not (branches and _is_of_types(inst.value))


def _is_of_types(value):
    """Whether Numba may leave out branches because of this, where it is of a function's own arguments; or it is a tuple."""
    if isinstance(value, ir.Global):
        return value.value is len
    if not isinstance(value, ir.Expr):
        return False
    kws = value._kws
    by_type = kws.get("fn") in (operator.is_, operator.is_not) or kws.get("attr") == "ndim"
    return by_type or value.op == "build_tuple"


def _is_arithmetic(inst):
    if not isinstance(inst, ir.Assign):
        return False
    value = inst.value
    if isinstance(value, ir.Expr):
        return value.op in _OPS
    return isinstance(value, (ir.Arg, ir.Var, ir.Const, ir.Global, ir.FreeVar))


def _unpacked(body):
    """A block's instructions where tuples that are made only to be taken apart are neither."""
    made = _Tuples(body)
    result = []
    for inst in body:
        if id(inst) in made.gone:
            continue
        if id(inst) in made.items:
            inst = ir.Assign(made.items[id(inst)], inst.target, inst.loc)
        result.append(inst)
    return result


class _Tuples:
    """Tuples of one block that are only taken apart there.

    Attributes:
        gone: the ids of the instructions that make them, pass them on and look at their length.
        items: the id of an instruction that takes an item -> the variable it was made of.
    """

    def __init__(self, body):
        self.gone, self.items = set(), {}
        uses, assigned = {}, {}
        for inst in body:
            if isinstance(inst, ir.Assign):
                assigned.setdefault(inst.target.name, []).append(inst)
            for variable in inst.list_vars():
                if not (isinstance(inst, ir.Assign) and variable is inst.target):
                    uses.setdefault(variable.name, []).append(inst)
        self.uses, self.assigned = uses, assigned
        for inst in body:
            if _is_expression(inst, "build_tuple"):
                gone, items = {id(inst)}, {}
                if self._follow(inst.target.name, inst.value.items, gone, items) and items:
                    self.gone |= gone
                    self.items |= items

    def _follow(self, name, made_of, gone, items):
        """Whether all that is done with a tuple is to take it apart; what does it."""
        if not name.startswith("$") or len(self.assigned[name]) != 1:
            return False  # a variable of the user's may be read in other blocks, or later
        if name not in self.uses:
            return False  # nor is it known of one that is read in other blocks only
        for inst in self.uses.get(name, ()):
            if _is_expression(inst, "static_getitem") and isinstance(inst.value.index, int):
                if any(len(self.assigned.get(v.name, ())) != 1 for v in made_of):
                    return False
                items[id(inst)] = made_of[inst.value.index]
                continue
            copies = isinstance(inst, ir.Assign) and isinstance(inst.value, ir.Var)
            if not (copies or _is_expression(inst, "cast") or _is_expression(inst, "exhaust_iter")):
                return False
            gone.add(id(inst))
            if not self._follow(inst.target.name, made_of, gone, items):
                return False
        return True


def _is_expression(inst, op):
    return isinstance(inst, ir.Assign) and isinstance(inst.value, ir.Expr) and inst.value.op == op
