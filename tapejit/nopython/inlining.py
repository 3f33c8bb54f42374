"""A user's small helper functions are written out where loops call them.

A call says nothing of what it does, so a loop with one in it would be recorded pass by pass: its body has to be arithmetic
to be recorded in strips (see ``strips``). Only helpers without branches and loops are written out, whose instructions
can stand in the caller's block as they are.
"""

from numba.core.errors import NumbaError

from tapejit.edge.compiler import (
    CPUDispatcher,
    FastMathOptions,
    GenericRewrites,
    build_definitions,
    compute_cfg_from_blocks,
    get_definition,
    guard,
    run_frontend,
)
from tapejit.edge.compiler import numba_ir as ir
from tapejit.nopython.exchange import supplied

LONGEST = 100  # instructions of a helper
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
    for label in inside:
        inlining.block(func_ir.blocks[label])
    if inlining.count:
        func_ir._definitions = build_definitions(func_ir.blocks)
        GenericRewrites().run_pass(state)  # as Numba does before a function's calls are looked at
        func_ir._definitions = build_definitions(func_ir.blocks)


class _Inlining:
    def __init__(self, func_ir, flags):
        self.func_ir = func_ir
        self.flags = flags
        self.count = 0  # calls written out
        self.written = 0  # instructions

    def block(self, block):
        body = []
        for inst in block.body:
            body += self._instruction(block, inst, ()) or [inst]
        if len(body) > len(block.body):
            block.body = _unpacked(body)

    def _instruction(self, block, inst, around):
        """What is written in place of an instruction; None if it stays. ``around``: the helpers that this one is from."""
        if not isinstance(inst, ir.Assign) or not isinstance(inst.value, ir.Expr) or inst.value.op != "call":
            return None
        call = inst.value
        callee = (
            guard(get_definition, self.func_ir, call.func)
            if not around
            else around[-1][1].get(call.func.name)
        )
        helper = getattr(callee, "value", None)
        if (
            len(around) == DEEPEST
            or any(helper is other for other, _ in around)
            or not self._fits(helper, call)
        ):
            return None
        code = _straight(helper.py_func)
        if code is None or self.written + len(code) > MOST:
            return None
        self.count += 1
        self.written += len(code)
        return self._copies(block, inst, helper, code, around)

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

    def _copies(self, block, inst, helper, code, around):
        """The helper's instructions with variables of the caller's, and calls in them written out too."""
        prefix = f"${helper.py_func.__name__}.{self.count}."
        variables, globals_, body = {}, {}, []

        def own(variable):
            if variable.name not in variables:
                variables[variable.name] = block.scope.define(prefix + variable.name, variable.loc)
            return variables[variable.name]

        for old in code:
            if isinstance(old, ir.Return):
                body.append(ir.Assign(own(old.value), inst.target, inst.loc))
                continue
            value = old.value
            if isinstance(value, ir.Arg):
                value = inst.value.args[value.index]
            elif isinstance(value, ir.Var):
                value = own(value)
            elif _is_expression(old, "cast"):
                value = own(value.value)  # of what is returned, which is assigned here
            elif isinstance(value, ir.Expr):
                value = ir.Expr(
                    value.op, value.loc, **{key: _renamed(v, own) for key, v in value._kws.items()}
                )
            else:
                globals_[own(old.target).name] = value
            new = ir.Assign(value, own(old.target), old.loc)
            body += self._instruction(block, new, (*around, (helper, globals_))) or [new]
        return body


def _renamed(value, own):
    """A part of an expression with variables of the caller's."""
    if isinstance(value, ir.Var):
        return own(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_renamed(v, own) for v in value)
    return value


def _straight(function):
    """The instructions of a function that is one block of arithmetic; None for any other."""
    known = getattr(function, "_tapejit_straight", None)
    if known is None or known[0] is not function.__code__:
        known = function._tapejit_straight = function.__code__, _instructions(function)
    return known[1]


def _instructions(function):
    if function.__code__.co_flags & 0x20 or len(function.__code__.co_code) > 40 * LONGEST:
        return None  # a generator, or too long
    try:
        blocks = list(run_frontend(function).blocks.values())
    except NumbaError:
        return None
    body = [inst for inst in blocks[0].body if not isinstance(inst, ir.Del)]
    fits = len(blocks) == 1 and len(body) <= LONGEST and isinstance(body[-1], ir.Return)
    return body if fits and all(map(_is_arithmetic, body[:-1])) else None


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
