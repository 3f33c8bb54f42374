"""Short loops inside of others are written out, where code says how many passes they have: ``for k in range(3)``.

An expression is one statement on the tape as far as its basic block goes, and only innermost loops are recorded in strips (see
``strips``). With a loop over three coordinates, or over the elements of a small kernel, written out, the loop around it is
arithmetic.
"""

from tapejit.edge.compiler import (
    build_definitions,
    compute_cfg_from_blocks,
    find_const,
    get_definition,
    guard,
    rename_labels,
    simplify_CFG,
)
from tapejit.edge.compiler import numba_ir as ir
from tapejit.nopython.regions import region, variables_read

LONGEST = 16  # passes
MOST = 400  # instructions that one loop becomes
IN_ALL = 1600  # and those of a function


def write_short_loops_out(func_ir):
    """Change a function's code; it has no versions of variables yet. Whether there was such a loop."""
    names = (inst.value for block in func_ir.blocks.values() for inst in block.find_insts(ir.Assign))
    if any(isinstance(value, ir.Global) and value.name == "exception_check" for value in names):
        return False
    written = 0
    while written < IN_ALL:
        loop = _short_loop(func_ir)
        if loop is None:
            break
        written += loop.write_out(written)
        func_ir._definitions = build_definitions(func_ir.blocks)
    if written:
        func_ir.blocks = rename_labels(simplify_CFG(func_ir.blocks))
        func_ir._definitions = build_definitions(func_ir.blocks)
    return bool(written)


def _short_loop(func_ir):
    loops = compute_cfg_from_blocks(func_ir.blocks).loops()
    for header, loop in loops.items():
        inside = any(header in other.body for other in loops.values() if other.header != header)
        if inside and len(loop.entries) == 1:
            found = _ShortLoop(func_ir, header, next(iter(loop.entries)))
            if found.fits():
                return found
    return None


class _ShortLoop:
    """A loop over a range, from the block before it to its end."""

    def __init__(self, func_ir, header, entry):
        self.func_ir = func_ir
        self.blocks = func_ir.blocks
        self.header = header
        self.entry = entry
        self.counters = set()  # names that have the counter's value in the header
        self.iterators = set()  # names of what is only there to count
        self.body = None

    def fits(self):
        """Whether it is to be written out."""
        branch = self.blocks[self.header].terminator
        if not isinstance(self.blocks[self.entry].terminator, ir.Jump) or not isinstance(branch, ir.Branch):
            return False
        iterator = self._read_header()
        self.passes = self._passes(iterator) if iterator else None
        if not self.passes or len(self.passes) > LONGEST:
            return False
        self.body, self.behind = region(self.blocks, branch.truebr, self.header), branch.falsebr
        if self.body is None:
            return False
        instructions = [inst for block in self.body.blocks.values() for inst in block.body]
        if len(instructions) * len(self.passes) > MOST or not all(map(_is_known, instructions)):
            return False
        assigned = {inst.target.name for inst in instructions if isinstance(inst, ir.Assign)}
        self.own = {name for name in assigned if name.startswith("$")}
        return not (self._read_outside() & (self.own | self.counters | self.iterators))

    def _read_header(self):
        """The variable of the iterator, where the header does nothing but count."""
        iterator, parts = None, {}
        for inst in self.blocks[self.header].body[:-1]:
            if isinstance(inst, ir.Del):
                continue
            value = inst.value if isinstance(inst, ir.Assign) else None
            if isinstance(value, ir.Var) and value.name in self.counters:
                self.counters.add(inst.target.name)
            elif isinstance(value, ir.Expr) and value.op == "iternext" and iterator is None:
                iterator = value.value
                parts[inst.target.name] = True
            elif isinstance(value, ir.Expr) and value.op == "pair_first" and value.value.name in parts:
                self.counters.add(inst.target.name)
            elif not (isinstance(value, ir.Expr) and value.op == "pair_second" and value.value.name in parts):
                return None
        return iterator if self.counters else None

    def _passes(self, variable):
        """The counter's values, if they stand in the code."""
        value = variable
        while isinstance(value, ir.Var):
            self.iterators.add(value.name)
            value = self._definition(value)
        if not isinstance(value, ir.Expr) or value.op != "getiter":
            return None
        self.iterators.add(value.value.name)
        call = self._definition(value.value)
        if not isinstance(call, ir.Expr) or call.op != "call" or call.kws or call.vararg:
            return None
        function = guard(get_definition, self.func_ir, call.func)
        if not isinstance(function, (ir.Global, ir.FreeVar)) or function.value is not range:
            return None
        given = [guard(find_const, self.func_ir, argument) for argument in call.args]
        known = 0 < len(given) <= 3 and all(type(value) is int for value in given) and 0 not in given[2:]
        return range(*given) if known else None

    def _definition(self, variable):
        """What the one assignment of a variable assigns, another variable perhaps; None if there are several."""
        values = self.func_ir._definitions[variable.name]
        return values[0] if len(values) == 1 else None

    def _read_outside(self):
        """Names that are read outside of the loop, but by what counts."""
        names = set()
        for label, block in self.blocks.items():
            if label == self.header or label in self.body.blocks:
                continue
            for inst in block.body:
                counts = isinstance(inst, ir.Assign) and inst.target.name in self.iterators
                if not counts and not isinstance(inst, ir.Del):
                    names |= {variable.name for variable in variables_read(inst)}
        return names

    def write_out(self, written):
        """Put the passes one behind the other in the loop's place; how many instructions they are."""
        body, blocks = self.body, self.blocks
        free = max(blocks) + 1
        starts = [free + k * len(body.blocks) for k in range(len(self.passes))]
        count = 0
        for k, (value, start) in enumerate(zip(self.passes, starts, strict=True)):
            labels = {label: start + j for j, label in enumerate(body.blocks)}
            labels[self.header] = starts[k + 1] if k + 1 < len(starts) else self.behind
            for label, block in self._pass(value, f".{written}.{k}", labels).items():
                blocks[label] = block
                count += len(block.body)
        entry = blocks[self.entry]
        entry.body = [
            inst for inst in entry.body[:-1] if not (isinstance(inst, ir.Assign) and inst.target.name in self.iterators)
        ]
        entry.append(ir.Jump(starts[0], entry.loc))
        for label in (self.header, *body.blocks):
            del blocks[label]
        return count

    def _pass(self, value, suffix, labels):
        """One pass: its blocks, with temporaries of their own."""
        scope = self.blocks[self.header].scope
        first = self.blocks[self.body.first]
        counter = scope.define(f"$counter{suffix}", first.loc)
        variables = dict.fromkeys(self.counters, counter)

        def own(variable):
            if variable.name in self.own and variable.name not in variables:
                variables[variable.name] = scope.define(variable.name + suffix, variable.loc)
            return variables.get(variable.name, variable)

        copies = {}
        for label, block in self.body.blocks.items():
            copies[labels[label]] = new = ir.Block(scope, block.loc)
            if label == self.body.first:
                new.append(ir.Assign(ir.Const(value, block.loc), counter, block.loc))
            new.body += [_copy(inst, own, labels) for inst in block.body if not isinstance(inst, ir.Del)]
        return copies


def _is_known(inst):
    if isinstance(inst, ir.Assign):
        return isinstance(inst.value, (ir.Var, ir.Const, ir.Global, ir.FreeVar)) or (
            isinstance(inst.value, ir.Expr) and inst.value.op not in ("phi", "yield", "make_function")
        )
    return isinstance(inst, (ir.SetItem, ir.StaticSetItem, ir.Jump, ir.Branch, ir.Del))


def _copy(inst, own, labels):
    """An instruction with other variables and labels."""
    if isinstance(inst, ir.Jump):
        return ir.Jump(labels[inst.target], inst.loc)
    if isinstance(inst, ir.Branch):
        return ir.Branch(own(inst.cond), labels[inst.truebr], labels[inst.falsebr], inst.loc)
    if isinstance(inst, ir.SetItem):
        return ir.SetItem(own(inst.target), own(inst.index), own(inst.value), inst.loc)
    if isinstance(inst, ir.StaticSetItem):
        index = inst.index_var and own(inst.index_var)
        return ir.StaticSetItem(own(inst.target), inst.index, index, own(inst.value), inst.loc)
    value = inst.value
    if isinstance(value, ir.Var):
        value = own(value)
    elif isinstance(value, ir.Expr):
        value = ir.Expr(value.op, value.loc, **{key: renamed(v, own) for key, v in value._kws.items()})
    return ir.Assign(value, own(inst.target), inst.loc)


def renamed(value, own):
    """A part of an expression with other variables."""
    if isinstance(value, ir.Var):
        return own(value)
    if isinstance(value, (list, tuple)):
        return type(value)(renamed(v, own) for v in value)
    return value
