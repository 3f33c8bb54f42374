"""Which counted loops can be recorded in strips: many passes at once, one record for each of their statements.

A statement in a loop over arrays looks the same at every pass: the same number of terms, and, where the arrays were
filled in order, operands whose statements are numbered in order too. Such a *strip* of passes needs no index and no
count per pass, and its part of the reverse sweep is a few loops that vectorise (see ``stripcode``, ``stripsweep``).

This module decides from the typed code alone; ``striprows`` on the loop around, whose rows may go in one strip. A loop
qualifies if it is innermost, every pass runs to the loop's end (``if`` and ``continue``, but no ``break``),
and

- what it reads and writes of active arrays has indices that are affine in the loop's counter, or remainders of such;
- an element that is the same at every pass is written to by additions only, or by each pass before it reads it;
- no active scalar is carried from pass to pass, but running sums (see ``accumulate``); one may have its value of several
  branches (see ``stripmerging``);
- all else in it is arithmetic on numbers.

Whether the numbers are in order, and that no pass reads what another pass of the strip writes, is checked at run time;
passes for which it does not hold are recorded one by one.
"""

from numba.core import types

from tapejit.edge.compiler import numba_ir as ir
from tapejit.nopython.affine import Affine, Affinities
from tapejit.nopython.regions import region, variables_read
from tapejit.nopython.scalars import ARITHMETIC, PREDICATES, result_type
from tapejit.nopython.types import Active, Tape, is_active, is_active_array, is_number

_COUNTERS = (types.range_iter64_type, types.unsigned_range_iter64_type)
_PLAIN_MODULES = ("math", "numpy", "builtins", "_operator", "operator")


class Access:
    """One element of an active array that a pass reads or writes."""

    __slots__ = ("array", "indices", "is_before", "is_held", "is_one", "is_own", "is_store", "label", "order", "stored")

    def __init__(self, array, indices, order, label, is_store):
        self.array = array
        self.indices = indices
        self.order = order  # position in the body
        self.label = label  # of its block
        self.is_store = is_store
        self.stored = False  # whether the pass has just stored what is read here
        self.is_one = False  # whether it is one element for all passes, in which they store
        self.is_before = False  # whether it is a read at the pass's beginning, which no instruction asks for
        self.is_held = False  # whether the pass stores it at its end, whatever ways it has gone through the body
        self.is_own = False  # whether each of them stores there before it reads; they add to others

    @property
    def key(self):
        return self.array, tuple(index.key for index in self.indices)

    @property
    def moves(self):
        return any(part.counter for part in self.indices)

    @property
    def is_dense(self):
        """Whether passes go from an element to the next one, where the array's last axis is dense."""
        return self.indices[-1].counter == 1 and not any(part.counter for part in self.indices[:-1])

    def line(self):
        """(what all accesses along the same line share, the place in the line at the first pass)."""
        moving = [part for part in self.indices if part.counter]
        if len(moving) != 1 or moving[0].counter != 1:
            return self.key, 0
        own = moving[0]
        shared = tuple((1, 0, part.variables) if part is own else part.key for part in self.indices)
        return (self.array, shared), own.constant


class Loop:
    """A loop that qualifies."""

    def __init__(self, header, iterator, counters, body):
        self.header = header  # label of the block with the loop's condition
        self.iterator = iterator  # name of the range iterator
        self.counters = counters  # names of the counter's value
        self.body = body  # a ``Region``
        self.accesses = {}  # id(instruction or expression) -> Access; of itself, where there is neither
        self.remainders = {}  # id(expression) -> its value, an Affine, which needs no division
        self.assigned = set()
        self.merged = set()  # names of active scalars that have their values of several branches
        self.shared = set()  # names of active scalars that are assigned in one block and used in another
        self.rows = None  # the ``Rows`` around it (see ``striprows``)
        self.sinks = {}  # name of an active scalar -> what a pass stores, or adds to a sum, that depends on it


class Unfit(Exception):
    """The loop does not qualify."""


def strip_loops(blocks, typeof, local, sums, uses):
    """{label of the body: Loop}; ``local``: names that live in one block, ``sums``: of running sums, ``uses``: see ``Uses``."""
    found = {}
    for label, block in blocks.items():
        loop = _counted(blocks, label, block, typeof)
        if loop is None:
            continue
        try:
            Body(loop, typeof, local, sums, uses).run()
        except Unfit:
            continue
        if any(a.is_store for a in loop.accesses.values()) or (loop.accesses and loop.assigned & sums):
            found[loop.body.first] = loop
    return found


def counting(header, typeof):
    """(the iterator, names of the counter's value) of a block that is the condition of a ``for`` over a range; or None."""
    branch = header.body[-1]
    if not isinstance(branch, ir.Branch) or branch.truebr == branch.falsebr:
        return None
    iterator, pairs, counters = None, set(), set()
    for inst in header.body[:-1]:
        if not isinstance(inst, ir.Assign):
            continue
        value, target = inst.value, inst.target.name
        if isinstance(value, ir.Expr) and value.op == "iternext" and typeof(value.value.name) in _COUNTERS:
            iterator = value.value.name
            pairs.add(target)
        else:
            first = isinstance(value, ir.Expr) and value.op == "pair_first" and value.value.name in pairs
            if first or (isinstance(value, ir.Var) and value.name in counters):
                counters.add(target)
    return (iterator, counters) if iterator and counters else None


def _counted(blocks, label, header, typeof):
    """The loop of such a block, if it is an innermost one; or None."""
    found = counting(header, typeof)
    body = region(blocks, header.body[-1].truebr, label) if found else None
    return Loop(label, *found, body) if body else None


class Body:
    """Walks through a body in order; raises Unfit at the first thing that strips cannot hold."""

    def __init__(self, loop, typeof, local, sums, uses):
        self.loop = loop
        self.uses = uses
        self.typeof = typeof
        self.local = local
        self.sums = sums
        self.numbers = Affinities(loop, typeof, uses)
        self.stored = {}  # array -> the element stored last
        self.given = {}  # label -> what has a value of this pass at the block's end, by whatever way it comes

    def run(self):
        for block in self.loop.body.blocks.values():
            for inst in block.find_insts(ir.Assign):
                self.loop.assigned.add(inst.target.name)
        self._require(not self.loop.assigned & self.loop.counters)
        order = 0
        for label, block in self.loop.body.blocks.items():
            self.label = label
            before = [self.given[other] for other in self.loop.body.before[label]]
            self.given[label] = set.intersection(*before) if before else set()
            self.stored.clear()  # by another way in, the pass may not have stored it
            for inst in block.body:
                order += 1
                self._instruction(order, inst)
        self.loop.sinks = sinks(self.loop.body.blocks.values(), self.typeof, self.sums)
        elements = {}
        for access in self.loop.accesses.values():
            elements.setdefault(access.key, []).append(access)
        self._find_single_elements(elements)
        self._find_held_elements(elements)

    def _find_held_elements(self, elements):
        """Which elements of their own passes store in some branches only, or read in a later block.

        One that a pass does not store first is read before.
        """
        stored = {}
        for access in self.loop.accesses.values():
            if access.is_store:
                stored.setdefault(access.array, set()).add(access.key)
        for accesses in elements.values():
            stores = [access for access in accesses if access.is_store]
            if not stores or not stores[0].moves or len(stored[stores[0].array]) > 1:
                continue
            always = all(access.label in self.loop.body.always for access in stores)
            if always and not any(a.order > stores[0].order and not (a.is_store or a.stored) for a in accesses):
                continue
            for access in accesses:
                access.is_held = True
            first = accesses[0]
            if not (first.is_store and first.label in self.loop.body.always):
                before = Access(first.array, first.indices, 0, self.loop.body.first, False)
                before.is_before = True
                self.loop.accesses[id(before)] = before

    def _find_single_elements(self, elements):
        """Which elements all passes store in, and which of them are each pass's own."""
        for accesses in elements.values():
            stores = [access for access in accesses if access.is_store and not access.moves]
            own = bool(stores) and accesses[0].is_store and self._come_behind(accesses, stores)
            for access in accesses:
                access.is_one, access.is_own = bool(stores), own

    def _come_behind(self, accesses, stores):
        """Whether passes come to an element by way of its first store, and to the others in its block or always."""
        body, first = self.loop.body, stores[0].label
        if first in body.always:
            return all(access.label in body.always for access in stores)
        return all(access.label == first for access in stores) and all(
            first in body.dominators[access.label] for access in accesses
        )

    def _instruction(self, order, inst):
        if isinstance(inst, ir.Assign):
            self._assign(order, inst)
        elif isinstance(inst, (ir.SetItem, ir.StaticSetItem)):
            self._store(order, inst)
        elif isinstance(inst, ir.Branch):
            self._require(is_number(self.typeof(inst.cond.name)))
        else:
            self._require(isinstance(inst, (ir.Del, ir.Jump)))

    def _require(self, condition):
        if not condition:
            raise Unfit

    def _assign(self, order, inst):
        target, value = inst.target.name, inst.value
        ty = self.typeof(target)
        if isinstance(ty, Active):
            self._require(isinstance(ty, Tape) and not is_active(ty.scalar))
            if target in self.sums:
                pass  # a sum has a slot of its own: other blocks read it there, and do not add again what was added to it
            elif self.uses.shared(target, self.label, self.loop.body):
                self.loop.shared.add(target)
            elif target not in self.local:
                self._require(self.uses.within(target, self.loop.body))
                self.loop.merged.add(target)
        else:
            self._require(not isinstance(ty, types.Array) or isinstance(value, (ir.Global, ir.FreeVar)))
        if isinstance(value, ir.Var):
            self._read(value)
        elif isinstance(value, ir.Expr):
            self._expression(order, ty, value)
        else:
            self._require(isinstance(value, (ir.Const, ir.Global, ir.FreeVar)))
        self.numbers.note(target, value)
        self.given[self.label].add(target)

    def _read(self, variable):
        """An active scalar must not come from the pass before."""
        name = variable.name
        if is_active(self.typeof(name)) and name in self.loop.assigned and name not in self.given[self.label]:
            self._require(name in self.sums)

    def _expression(self, order, ty, expr):
        if expr.op in ("getitem", "static_getitem"):
            self._element(order, ty, expr)
            return
        if expr.op == "getattr":
            owner = self.typeof(expr.value.name)
            self._require(
                isinstance(owner, types.Module) or (isinstance(owner, types.Array) and _numbers(ty))
            )
            return
        if expr.op == "build_tuple":
            self._require(all(is_number(self.typeof(v.name)) for v in expr.items))
            return
        if expr.op == "cast":
            self._require(is_number(ty))
            return
        if expr.op in ("binop", "inplace_binop"):
            fn = expr.fn if expr.op == "binop" else expr.immutable_fn
            variables = [expr.lhs, expr.rhs]
        elif expr.op == "unary":
            fn, variables = expr.fn, [expr.value]
        elif expr.op == "call" and not expr.kws and expr.vararg is None:
            function = self.typeof(expr.func.name)
            self._require(isinstance(function, types.Function))
            fn, variables = function.typing_key, expr.args
        else:
            raise Unfit
        for variable in variables:
            self._read(variable)
        tys = [self.typeof(v.name) for v in variables]
        if any(map(is_active, tys)):
            try:
                known = fn in ARITHMETIC or fn in PREDICATES
            except TypeError:
                known = False
            self._require(known and result_type(fn, tys) is not None)
        else:
            self._require(is_number(ty) and all(map(is_number, tys)))
            self._require(getattr(fn, "__module__", None) in _PLAIN_MODULES or isinstance(fn, type))

    def _element(self, order, ty, expr):
        owner = self.typeof(expr.value.name)
        if is_active_array(owner):
            self._require(is_active(ty))
            index = expr.index if expr.op == "static_getitem" else expr.index.name
            self.loop.accesses[id(expr)] = self._access(expr.value.name, index, order, False)
        else:
            self._require(is_number(ty) and isinstance(owner, (types.Array, types.BaseTuple)))
            self._require(not isinstance(owner, types.BaseTuple) or _numbers(owner))

    def _store(self, order, inst):
        owner, value = self.typeof(inst.target.name), self.typeof(inst.value.name)
        if is_active_array(owner):
            self._read(inst.value)
            self._require(is_active(value) or is_number(value))
            index = inst.index if isinstance(inst, ir.StaticSetItem) else inst.index.name
            self.loop.accesses[id(inst)] = self._access(inst.target.name, index, order, True)
        else:
            self._require(isinstance(owner, types.Array) and is_number(owner.dtype) and is_number(value))

    def _access(self, array, index, order, is_store):
        ty = self.typeof(array)
        self._require(array not in self.loop.assigned)
        self._require(isinstance(ty.dtype, Tape) and not is_active(ty.dtype.scalar) and ty.ndim <= 3)
        if isinstance(index, str):
            parts = self.numbers.tuples.get(index) or [self.numbers.of(index)]
        else:
            parts = [Affine(constant=k) for k in (index if isinstance(index, tuple) else (index,))
                     if isinstance(k, int)]  # fmt: skip
        self._require(len(parts) == ty.ndim and None not in parts)
        access = Access(array, parts, order, self.label, is_store)
        if is_store:
            self.stored[array] = access.key  # another element of the array may be the same one
        else:
            access.stored = self.stored.get(array) == access.key
        return access


def sinks(blocks, typeof, sums):
    """For each active scalar the instructions that record something which depends on it: stores, and additions to sums."""
    found = {}
    for block in reversed(list(blocks)):
        for inst in reversed(block.body):
            if isinstance(inst, (ir.SetItem, ir.StaticSetItem)):
                found.setdefault(inst.value.name, set()).add(id(inst))
            elif isinstance(inst, ir.Assign) and is_active(typeof(inst.target.name)):
                own = {id(inst)} if inst.target.name in sums else found.get(inst.target.name, set())
                for variable in variables_read(inst):
                    found.setdefault(variable.name, set()).update(own)
    return found


def _numbers(ty):
    return is_number(ty) or (isinstance(ty, types.BaseTuple) and all(map(_numbers, ty)))
