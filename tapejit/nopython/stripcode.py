"""Code for a loop in strips: the checks, the loop that records a strip, and the way back to single passes.

The body is written twice. Each pass first asks how many passes from here on can go in one strip:

    body:  few passes left, or strips failed lately ----> one pass as usual
           numbers uneven, or arrays overlap -----------> one pass as usual
           otherwise: the strip's loop, then on with the range behind it
"""

from llvmlite import ir as llvm
from numba.core import cgutils, types

from tapejit.edge.compiler import make_range_iterator
from tapejit.nopython import statementtape, stripsweep
from tapejit.nopython.algebra import Pending, algebra
from tapejit.nopython.real import Real
from tapejit.nopython.stripchecks import I32, I64, Checks, Operand, word
from tapejit.nopython.types import is_active, is_number


class Refused(Exception):
    """Something in the body depends on a statement that no strip knows: the loop keeps its single passes."""


class Count:
    """``per_pass * n + fixed``, for places that are known once n is."""

    def __init__(self, per_pass=0, fixed=0):
        self.per_pass = per_pass
        self.fixed = fixed

    def add(self, per_pass, fixed):
        self.per_pass += per_pass
        self.fixed += fixed

    def value(self, builder, n):
        return builder.add(builder.mul(n, word(self.per_pass)), word(self.fixed))


class Strip(Checks):
    """Writes the strip of one loop into the function that ``lower`` is lowering."""

    def __init__(self, lower, loop, block):
        self.lower = lower
        self.loop = loop
        self.block = block
        self.builder = lower.builder
        self.context = lower.context
        self.coef = algebra(self.context, self.builder, types.float64, coefficients=True)
        self.known = {}  # id(LLVM value of a statement's number) -> Operand
        self.kept = []  # those values, so that no id is used twice
        self.outside = {}  # variable -> its value, loaded before the loop
        self.streams = {}  # key of an access -> the mark that stands for its statements' numbers
        self.stored = {}  # key of an access -> (value, number) stored by this pass
        self.sums = {}  # id of a running sum's mark -> [mark, its statement, the same once added to]
        self.slots = {}  # variable of a running sum, once assigned in the body -> mark
        self.groups = []
        self.terms = Count()
        self.statements = Count()
        self.scopes = {}

    # the frame

    def emit(self):
        """Write everything; afterwards the builder stands where the single pass is to be written."""
        builder, lower = self.builder, self.lower
        function = builder.function
        new = function.append_basic_block
        self.head, self.check, self.before, self.body = (new(n) for n in ("head", "check", "before", "strip"))
        finish, failed, waiting, single = (new(n) for n in ("finish", "failed", "waiting", "single"))
        entry = builder.basic_block
        self.at = statementtape.state(builder, self.coef)
        wait, penalty = (cgutils.alloca_once_value(builder, word(0)) for _ in range(2))
        range_type = lower.typeof(self.loop.iterator)
        iterator = make_range_iterator(range_type)(
            self.context, builder, value=lower.loadvar(self.loop.iterator)
        )
        self.first = lower.loadvar(min(self.loop.counters))
        left = builder.add(builder.load(iterator.count), word(1))
        enough = builder.icmp_signed(">=", left, word(stripsweep.LEAST))
        ready = builder.and_(enough, builder.icmp_signed("==", builder.load(wait), word(0)))
        ready = builder.and_(ready, builder.icmp_signed("==", iterator.step, word(1)))
        mark = len(function.blocks)
        written = self._written(left, failed, finish)
        builder.position_at_end(entry)
        if not written:
            builder.branch(single)
            dead = {
                self.head,
                self.check,
                self.before,
                self.body,
                finish,
                failed,
                waiting,
                *function.blocks[mark:],
            }
            function.blocks[:] = [block for block in function.blocks if block not in dead]
            builder.position_at_end(single)
            return
        builder.cbranch(ready, self.head, waiting)
        self._count_down(waiting, wait, single)
        self._put_off(failed, wait, penalty, single)
        builder.position_at_end(self.before)
        after = builder.add(self.position, self.terms.value(builder, self.n))
        room = builder.icmp_signed("<", after, self.at.capacity)
        builder.cbranch(room, self.body, failed)
        builder.position_at_end(finish)
        self._finish()
        builder.store(word(0), penalty)
        past = builder.sub(self.n, word(1))
        builder.store(builder.sub(builder.load(iterator.count), past), iterator.count)
        builder.store(builder.add(builder.load(iterator.iter), past), iterator.iter)
        builder.branch(lower.blkmap[self.loop.header])
        builder.position_at_end(single)

    def _written(self, left, failed, finish):
        """Whether the checks and the body could be written, and record something: copies do not."""
        lower = self.lower
        saved = dict(lower._blk_local_varmap), set(lower._singly_assigned_vars)
        try:
            self._check(left, failed)
            self._write_body(finish)
            return bool(self.groups)
        except Refused:
            return False
        finally:
            lower._blk_local_varmap, lower._singly_assigned_vars = saved
            self.builder.function.tapejit_strip = lower.strip = None

    def _count_down(self, block, wait, single):
        """A pass of its own, one fewer of those before a strip is tried again."""
        builder = self.builder
        builder.position_at_end(block)
        now = builder.load(wait)
        zero = builder.icmp_signed("==", now, word(0))
        builder.store(builder.select(zero, now, builder.sub(now, word(1))), wait)
        builder.branch(single)

    def _put_off(self, block, wait, penalty, single):
        """After a strip that could not be: twice as many passes of their own as after the one before."""
        builder = self.builder
        builder.position_at_end(block)
        now = builder.load(penalty)
        builder.store(now, wait)
        more = builder.add(builder.add(now, now), word(1))
        large = builder.icmp_signed(">", more, word(stripsweep.PATIENCE))
        builder.store(builder.select(large, word(stripsweep.PATIENCE), more), penalty)
        builder.branch(single)

    # the loop

    def _write_body(self, finish):
        builder, lower = self.builder, self.lower
        builder.position_at_end(self.before)
        self.position = statementtape.load_counter(builder, self.at.terms)
        self.statement = statementtape.load_counter(builder, self.at.statements)
        builder.position_at_end(self.body)
        start = len(builder.function.blocks)
        self.turn = builder.phi(I64)
        self.turn.add_incoming(word(0), self.before)
        self.counter = builder.add(self.first, self.turn)
        lower.pre_block(self.block)
        builder.function.tapejit_strip = lower.strip = self
        builder.position_at_end(self.body)
        for inst in self.block.body[:-1]:
            lower.loc = inst.loc
            lower.lower_inst(inst)
        lower.post_block(self.block)
        following = builder.add(self.turn, word(1), flags=("nsw", "nuw"))
        self.turn.add_incoming(following, builder.basic_block)
        builder.cbranch(builder.icmp_signed("<", following, self.n), self.body, finish)
        builder.position_at_end(self.head)
        builder.branch(self.check)
        for block in [self.body, *builder.function.blocks[start:]]:
            self._separate(block)

    def _own_memory(self, inst, array):
        """Note whose memory an instruction uses; the scope is declared here, so that a copy of the loop has its own."""
        inst.tapejit_array = array
        if array in self.scopes:
            return
        builder, module = self.builder, self.builder.module
        name = f"{builder.function.name}.{self.loop.header}"
        domain = module.add_metadata([name])
        self.scopes[array] = module.add_metadata([f"{name}.{array}", domain])
        fnty = llvm.FunctionType(llvm.VoidType(), [llvm.MetaDataType()])
        declare = cgutils.get_or_insert_function(module, fnty, "llvm.experimental.noalias.scope.decl")
        with builder.goto_block(self.before):
            builder.call(declare, [module.add_metadata([self.scopes[array]])])

    def _separate(self, block):
        """Tell LLVM what the checks have found: different arrays do not overlap."""
        module = self.builder.module
        counters = statementtape.counter_scope(module)
        for inst in block.instructions:
            if not isinstance(inst, (llvm.LoadInstr, llvm.StoreInstr)) or "alias.scope" in inst.metadata:
                continue
            own = getattr(inst, "tapejit_array", None)
            if own is not None:
                inst.set_metadata("alias.scope", module.add_metadata([self.scopes[own]]))
            others = [scope for name, scope in self.scopes.items() if name != own]
            inst.set_metadata("noalias", module.add_metadata([*counters.operands, *others]))

    def read(self, access):
        """An element of an active array, as a pending value."""
        builder = self.builder
        ty = self.lower.typeof(access.array).dtype
        alg = algebra(self.context, builder, ty)
        if access.stored:
            v, number = self.stored[access.key]
            return Pending(alg.base.unpack(v), [(alg.coef.constant(1.0), number)])
        pointer, _, _ = self._pointer(access, self.counter)
        place = builder.gep(pointer, [llvm.Constant(I32, 0), llvm.Constant(I32, 0)], inbounds=True)
        value = builder.load(place, align=8)
        self._own_memory(value, access.array)
        return Pending(alg.base.unpack(value), [(alg.coef.constant(1.0), self.streams[access.key])])

    def write(self, access, value_type, value):
        """Store a value and the number of its statement."""
        builder = self.builder
        ty = self.lower.typeof(access.array).dtype
        alg = algebra(self.context, builder, ty)
        if is_active(value_type):
            source = algebra(self.context, builder, value_type)
            value = source.unpack(value)
            terms = value.terms
            v = alg.base.lift(value_type.scalar, source.base.pack(value.v))
        else:
            assert is_number(value_type)
            terms, v = [], alg.base.lift(types.unliteral(value_type), value)
        number = self._number_of(terms)
        self.stored[access.key] = v, number
        pointer, _, _ = self._pointer(access, self.counter)
        for k, item in enumerate((v, number)):
            place = builder.gep(pointer, [llvm.Constant(I32, 0), llvm.Constant(I32, k)], inbounds=True)
            self._own_memory(builder.store(item, place, align=8), access.array)

    def _number_of(self, terms):
        terms = self._operands(terms)
        if not terms:
            return word(0)
        operand, coefficient = terms[0]
        if len(terms) == 1 and Real._is(self.coef, coefficient, 1.0):
            number = self.builder.add(operand.base, self.builder.mul(operand.step, self.turn))
            self._remember(number, operand)
            return number
        return self._record(terms)

    def _operands(self, terms):
        found = []
        for coefficient, index in terms:
            if isinstance(index, llvm.Constant) and id(index) not in self.known:
                continue  # statement 0: a constant
            operand = self.known.get(id(index))
            if operand is None:
                raise Refused
            found.append((operand, coefficient))
        return found

    def push(self, terms):
        """``tape.push`` inside a strip: one statement of every pass; the number of this pass's."""
        terms = self._operands(terms)
        return self._record(terms) if terms else word(0)

    def _at(self, start, count):
        """A place that is known before the loop."""
        with self.builder.goto_block(self.before):
            return self.builder.add(start, count.value(self.builder, self.n))

    def _is_invariant(self, value):
        outside = (self.head, self.check, self.before, self.builder.function.entry_basic_block)
        return isinstance(value, (llvm.Constant, llvm.Argument)) or getattr(value, "parent", None) in outside

    def _terms(self, terms):
        """Write the coefficients that vary, set room aside for those that do not: [(operand, coefficient, place)]."""
        builder = self.builder
        placed = []
        for operand, coefficient in terms:
            if self._is_invariant(coefficient):
                continue
            place = self._at(self.position, self.terms)
            self.terms.add(1, 0)
            target = builder.gep(self.at.coefficients, [builder.add(place, self.turn)], inbounds=True)
            store = builder.store(coefficient, target, align=8)
            store.set_metadata("alias.scope", statementtape.counter_scope(builder.module))
            placed.append((operand, None, place))
        varying = len(placed)
        for operand, coefficient in terms:
            if self._is_invariant(coefficient):
                placed.append((operand, coefficient, self._at(self.position, self.terms)))
                self.terms.add(0, 1)
        return placed, varying

    def _record(self, terms):
        start = self._open()
        placed, varying = self._terms(terms)
        if not varying:
            self.terms.add(
                1, 0
            )  # at least a term's room for each statement, which adjoints and counts rely on
        number = self._at(self.statement, self.statements)
        self.statements.add(1, 0)
        self._close(placed, start, None)
        index = self.builder.add(number, self.turn)
        self._remember(index, Operand(number, word(1)))
        return index

    def _open(self):
        """Where a group's terms begin; the first is the address of what sweeps it."""
        start = self._at(self.position, self.terms)
        self.terms.add(0, 1)
        return start

    def _close(self, placed, start, total):
        end = self._at(self.position, self.terms)
        self.terms.add(0, 4 * len(placed) + 5)
        with self.builder.goto_block(self.before):
            last = self.builder.sub(
                self.builder.add(self.statement, self.statements.value(self.builder, self.n)), word(1)
            )
        self.groups.append((placed, start, end, total, last))

    # running sums

    def read_sum(self, name):
        """A running sum's value; its additions in this loop share one statement."""
        algebra_ = algebra(self.context, self.builder, self.lower.typeof(name))
        if name not in self.loop.assigned:
            struct = self.load(name)
            return algebra_.unpack(struct)
        mark = self.slots.get(name)
        if mark is None:
            mark = llvm.Constant(I64, llvm.Undefined)
            slot = self.lower.getvar(name)
            with self.builder.goto_block(self.before):
                place = cgutils.gep_inbounds(self.builder, slot, 0, 2)
                own = self.builder.load(place)
            self.slots[name] = mark
            self.sums[id(mark)] = [mark, own, None]
            algebra_.running_sum(mark)
        place = cgutils.gep_inbounds(self.builder, self.lower.getvar(name), 0, 0)
        v = algebra_.base.unpack(self.builder.load(place))
        return Pending(v, [(algebra_.coef.constant(1.0), mark)])

    def write_sum(self, name, value):
        """Store a running sum: an addition to one that the body has read."""
        alg = algebra(self.context, self.builder, self.lower.typeof(name))
        value = alg.unpack(value)
        own = [term for term in value.terms if id(term[1]) in self.sums]
        if len(own) != 1 or not Real._is(self.coef, own[0][0], 1.0):
            raise Refused
        mark = own[0][1]
        others = self._operands([term for term in value.terms if term is not own[0]])
        if others:
            self._add(self.sums[id(mark)], others)
        self.slots[name] = mark
        self.lower._alloca_var(name, self.lower.typeof(name))
        place = cgutils.gep_inbounds(self.builder, self.lower.getvar(name), 0, 0)
        self.builder.store(alg.base.pack(value.v), place)

    def _add(self, entry, terms):
        start = self._open()
        placed, _ = self._terms(terms)
        with self.builder.goto_block(self.before):
            builder = self.builder
            number = builder.add(self.statement, self.statements.value(builder, self.n))
            if entry[2] is None:
                fresh = builder.icmp_unsigned("==", entry[1], word(0))
                entry[2] = builder.select(fresh, number, entry[1])
        self.statements.add(0, 1)
        self.terms.add(0, 1)  # the statement's own
        self._close(placed, start, entry[2])

    # behind the loop

    def _finish(self):
        builder = self.builder
        address = statementtape.sweep_address(self.context, builder, stripsweep.sweep_strip)
        address = builder.bitcast(address, llvm.DoubleType())
        for placed, start, end, total, last in self.groups:
            builder.store(address, builder.gep(self.at.coefficients, [start], inbounds=True), align=8)
            words = []
            for operand, coefficient, place in placed:
                if coefficient is not None:
                    target = builder.gep(self.at.coefficients, [place], inbounds=True)
                    builder.store(coefficient, target, align=8)
                words += [operand.base, operand.step, place, word(int(coefficient is None))]
            statements = self.n if total is None else word(1)
            words += [word(len(placed)), self.n, word(-1) if total is None else total, statements, start]
            for k, value in enumerate(words):
                target = builder.gep(self.at.indices, [builder.add(end, word(k))], inbounds=True)
                builder.store(builder.trunc(value, I32), target, align=4)
            target = builder.gep(self.at.counts, [last], inbounds=True)
            builder.store(llvm.Constant(I32, statementtape.CALL), target, align=4)
        statementtape.store_counter(
            builder, builder.add(self.position, self.terms.value(builder, self.n)), self.at.terms
        )
        statementtape.store_counter(
            builder, builder.add(self.statement, self.statements.value(builder, self.n)), self.at.statements
        )
        for name, mark in self.slots.items():
            entry = self.sums[id(mark)]
            number = entry[1] if entry[2] is None else entry[2]
            slot = self.lower.getvar(name)
            builder.store(number, cgutils.gep_inbounds(builder, slot, 0, 2))
            builder.store(llvm.Constant(llvm.DoubleType(), 1.0), cgutils.gep_inbounds(builder, slot, 0, 1))
